"""The picture of what the caller waited for: one row a turn, all rows on one time axis.

0 ms               500 ms             1000 ms
┌─────────────────────────────────────┐          outline: last voiced sample -> first audible one (agent's end)
│▓▓▓▓▓▓▓▓▓endpointing▓▓◆              │ ┊        ◆ final transcript   ┊ heard by the caller
│                      ▒▒▒▒LLM▒▒▒░TTS░│          lengths, drawn back from the first sound
└─────────────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from local_stack.reporting.call_report import ReportTurn
from local_stack.reporting.figures import longest, median, milliseconds, play_button

_HEIGHT: Final = 40
_BAR: Final = 10
_HEARING_Y: Final = 8
_ANSWERING_Y: Final = 22
_STEPS_MS: Final = (50, 100, 200, 250, 500, 1000, 2000, 5000, 10_000, 30_000)
_MOST_STEPS: Final = 6
"""Marks on the axis: with more, their figures touch each other on a telephone."""


@dataclass(frozen=True)
class _Axis:
    """Milliseconds to percent of a row's width; 0 is the caller's last voiced sample."""

    low_ms: float
    high_ms: float

    @property
    def marks_ms(self) -> list[int]:
        """Where lines are drawn."""
        length_ms = self.high_ms - self.low_ms
        step = next((step for step in _STEPS_MS if length_ms / step <= _MOST_STEPS), _STEPS_MS[-1])
        first = -int(-self.low_ms // step) * step
        return list(range(first, int(self.high_ms) + 1, step))

    def edge(self, at_ms: float) -> str:
        """Whether a moment is at the `left` or `right` edge, or in the `middle`."""
        part = (at_ms - self.low_ms) / (self.high_ms - self.low_ms)
        return "left" if part < 0.05 else "right" if part > 0.95 else "middle"

    def x(self, at_ms: float) -> str:
        part = (at_ms - self.low_ms) / (self.high_ms - self.low_ms)
        return f"{min(max(part, 0), 1) * 100:.2f}%"

    def bar(self, css: str, start_ms: float, end_ms: float, *, y: int, height: int = _BAR) -> str:
        start_ms, end_ms = sorted((max(start_ms, self.low_ms), max(end_ms, self.low_ms)))
        width = (end_ms - start_ms) / (self.high_ms - self.low_ms) * 100
        return f"<rect class='{css}' x='{self.x(start_ms)}' y='{y}' width='{width:.2f}%' height='{height}'/>"

    def line(self, css: str, at_ms: float, top: int, bottom: int) -> str:
        x = self.x(at_ms)
        return f"<line class='{css}' x1='{x}' x2='{x}' y1='{top}' y2='{bottom}'/>"


def latency_chart(turns: Sequence[ReportTurn]) -> str:
    """Heading, legend and one row for every turn; nothing for a call without turns."""
    if not turns:
        return ""
    axis = _axis(turns)
    rows = "".join(_row(number, turn, axis) for number, turn in enumerate(turns, 1))
    return (
        f"<section id='waited'><h2>What the caller waited for</h2><p>{escape(_summary(turns))}</p>{_LEGEND}"
        f"<ol class='latencies'><li class='axis' aria-hidden='true'><span></span>{_axis_row(axis)}"
        f"<span></span></li>{rows}</ol></section>"
    )


_LEGEND: Final = (
    "<ul class='legend'>"
    "<li><i class='total'></i>caller's last sound → agent's first, at the agent</li>"
    "<li><i class='heard'></i>first sound, at the caller</li>"
    "<li><i class='endpointing'></i>endpointing</li>"
    "<li><i class='stt'></i>final transcript</li>"
    "<li><i class='llm'></i>LLM first token</li>"
    "<li><i class='tts'></i>TTS first byte</li></ul>"
    "<p class='soft small'>Endpointing and transcript count from the caller's last sound. LLM and TTS are lengths, "
    "drawn back from the agent's first sound: they may have run earlier. Stages overlap and do not add up.</p>"
)


def _summary(turns: Sequence[ReportTurn]) -> str:
    ours = [turn.speak_to_hear_ms for turn in turns if turn.speak_to_hear_ms is not None]
    theirs = [
        turn.caller_side_speak_to_hear_ms for turn in turns if turn.caller_side_speak_to_hear_ms is not None
    ]
    if not ours:
        return "No turn was answered."
    parts = [f"Median {milliseconds(median(ours))} measured by the agent"]
    if theirs:
        parts.append(f"{milliseconds(median(theirs))} by the caller")
    return f"{', '.join(parts)}; longest {milliseconds(longest(ours))}."


def _axis(turns: Sequence[ReportTurn]) -> _Axis:
    ends = [0.0]
    for turn in turns:
        stages = turn.stages_ms
        ends += [
            value
            for value in (
                turn.speak_to_hear_ms,
                turn.caller_side_speak_to_hear_ms,
                stages.endpointing,
                stages.stt_final,
            )
            if value is not None
        ]
        ends += [start for start, _end, _css in _answering(turn)]
    high_ms = max(*ends, 100.0) * 1.03
    # replies that began while the caller still spoke reach to the left, but never squeeze the rest
    return _Axis(low_ms=max(min(ends), -high_ms / 2), high_ms=high_ms)


def _answering(turn: ReportTurn) -> list[tuple[float, float, str]]:
    """LLM and TTS as start, end and class; none where there is no first sound to draw them from."""
    end_ms = turn.speak_to_hear_ms
    if end_ms is None:
        return []
    found = []
    for css, length_ms in (("tts", turn.stages_ms.tts_first_byte), ("llm", turn.stages_ms.llm_first_token)):
        if length_ms is not None:
            found.append((end_ms - length_ms, end_ms, css))
            end_ms -= length_ms
    return found


def _axis_row(axis: _Axis) -> str:
    marks = "".join(
        # figures at the edges would stick out
        f"<text x='{axis.x(mark)}' y='13' class='{axis.edge(mark)}'>{_axis_label(mark)}</text>"
        for mark in axis.marks_ms
    )
    return f"<svg height='18'>{marks}</svg>"


def _axis_label(mark_ms: int) -> str:
    if mark_ms == 0:
        return "0 ms"
    return f"{mark_ms / 1000:g} s" if abs(mark_ms) >= 1000 else str(mark_ms)


def _row(number: int, turn: ReportTurn, axis: _Axis) -> str:
    return (
        f"<li class='latency'><span class='which'>{play_button(turn, f'Turn {number}')}</span>"
        f"<svg height='{_HEIGHT}' aria-hidden='true'>{''.join(_picture(turn, axis))}</svg>"
        f"<b>{milliseconds(turn.speak_to_hear_ms)}</b>"
        f"<p class='detail'>{escape(_detail(turn))}</p></li>"
    )


def _picture(turn: ReportTurn, axis: _Axis) -> Iterator[str]:
    for mark in axis.marks_ms:
        yield axis.line("zero" if mark == 0 else "tick", mark, 0, _HEIGHT)
    stages = turn.stages_ms
    if turn.speak_to_hear_ms is not None:
        yield axis.bar("total", 0, turn.speak_to_hear_ms, y=3, height=_HEIGHT - 6)
    if stages.endpointing is not None:
        yield axis.bar("endpointing", 0, stages.endpointing, y=_HEARING_Y)
    for start_ms, end_ms, css in _answering(turn):
        yield axis.bar(css, start_ms, end_ms, y=_ANSWERING_Y)
    if stages.stt_final is not None:
        yield axis.line("stt", stages.stt_final, _HEARING_Y - 3, _HEARING_Y + _BAR + 3)
    if turn.caller_side_speak_to_hear_ms is not None:
        yield axis.line("heard", turn.caller_side_speak_to_hear_ms, 0, _HEIGHT)


def _detail(turn: ReportTurn) -> str:
    stages = turn.stages_ms
    figures = (
        ("endpointing", stages.endpointing),
        ("final transcript", stages.stt_final),
        ("LLM first token", stages.llm_first_token),
        ("TTS first byte", stages.tts_first_byte),
        ("heard by the caller after", turn.caller_side_speak_to_hear_ms),
        ("interrupted: silent after", turn.barge_in_stop_ms),
        ("at the caller after", turn.caller_side_barge_in_stop_ms),
    )
    return " · ".join(f"{name} {milliseconds(value)}" for name, value in figures if value is not None)
