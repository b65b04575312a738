"""The picture of a call: both sides' waveforms on one time axis, with the turns laid on them.

1        2                  turn numbers, where the caller begins to speak
▂▅▇▃     ▃▆▂                caller
     ▃▇▅     ▆▂             agent; shaded from the caller's last sample to the agent's first: the wait
0:00   0:05   0:10          time
"""

from __future__ import annotations

import io
import itertools
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from local_stack.reporting.call_report import CallReport, ReportTurn

_PIXELS_A_SECOND: Final = 12
"""Narrowest scale at which turns can be told apart; longer calls scroll."""
_MAX_WIDTH: Final = 14_400
"""Twenty minutes at full scale; longer ones are drawn narrower."""
_MIN_COLUMNS: Final = 1040
_MAX_COLUMNS: Final = 6000
"""Columns of a waveform: some 40 bytes each, so at most a quarter of a megabyte a call."""
_TOP: Final = 22
_LANE: Final = 88
_BOTTOM: Final = _TOP + 2 * _LANE
_HEIGHT: Final = _BOTTOM + 22
_QUIETEST_PEAK: Final = 0.1
"""Channels are drawn to their own loudest sample, but none louder than ten times: noise stays small."""
_TICKS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300)
_TICK_ROOM: Final = 56
"""Pixels that a time needs."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A call's stereo recording: caller left, agent right."""

    wav: bytes
    """The file as it is."""
    rate_hz: int
    caller: NDArray[np.int16]
    """Shape (n,)."""
    agent: NDArray[np.int16]
    """Shape (n,)."""

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.caller) / self.rate_hz

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read `recording.wav`: 16-bit stereo."""
        content = path.read_bytes()
        with wave.open(io.BytesIO(content)) as wav:
            samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
            return cls(content, wav.getframerate(), samples[:, 0], samples[:, 1])


def waveform(report: CallReport, recording: Recording) -> str:
    """The picture as one SVG element. Script and tests find seconds by its `data-seconds`."""
    seconds = max(recording.seconds, 0.1)
    width = min(round(seconds * _PIXELS_A_SECOND), _MAX_WIDTH)
    columns = min(max(width, _MIN_COLUMNS), _MAX_COLUMNS)
    scale = _Scale(seconds)
    turns = "".join(
        part for number, turn in enumerate(report.turns, 1) for part in _turn(number, turn, scale)
    )
    return (
        f"<svg class='picture' width='{width}' height='{_HEIGHT}' data-seconds='{seconds:.3f}' role='img' "
        f"aria-label='Waveforms of {seconds:.0f} seconds: the caller above, the agent below, turns numbered'>"
        f"<rect class='lane' y='{_TOP}' width='100%' height='{2 * _LANE}'/>"
        f"{''.join(_times(seconds, width, scale))}{turns}"
        f"<svg y='{_TOP}' width='100%' height='{2 * _LANE}' viewBox='0 0 {columns} {2 * _LANE}' "
        "preserveAspectRatio='none'>"
        f"{_envelope(recording.caller, 'caller', columns, _LANE // 2)}"
        f"{_envelope(recording.agent, 'agent', columns, _LANE + _LANE // 2)}</svg>"
        f"<line class='divide' x2='100%' y1='{_TOP + _LANE}' y2='{_TOP + _LANE}'/>"
        f"<line class='head' y1='0' y2='{_BOTTOM}'/></svg>"
    )


@dataclass(frozen=True)
class _Scale:
    """Seconds to percent of the picture's width."""

    seconds: float

    def x(self, at_s: float) -> str:
        return f"{min(max(at_s / self.seconds, 0), 1) * 100:.3f}%"

    def span(self, css: str, start_s: float, end_s: float, *, y: int, height: int) -> str:
        """A rectangle between two moments; nothing when the second is not after the first."""
        start_s, end_s = max(start_s, 0), min(end_s, self.seconds)
        if end_s <= start_s:
            return ""
        width = f"{(end_s - start_s) / self.seconds * 100:.3f}%"
        return f"<rect class='{css}' x='{self.x(start_s)}' y='{y}' width='{width}' height='{height}'/>"


def _turn(number: int, turn: ReportTurn, scale: _Scale) -> Iterator[str]:
    if turn.caller_start_s is None or turn.caller_end_s is None:
        return
    yield scale.span("turn", turn.caller_start_s, turn.caller_end_s, y=_TOP, height=_LANE)
    if turn.caller_side_speak_to_hear_ms is not None:
        heard_s = turn.caller_end_s + turn.caller_side_speak_to_hear_ms / 1000
        yield scale.span("wait", turn.caller_end_s, heard_s, y=_TOP, height=2 * _LANE)
    yield f"<text class='mark' x='{scale.x(turn.caller_start_s)}' y='{_TOP - 7}'>{number}</text>"


def _times(seconds: float, width: int, scale: _Scale) -> Iterator[str]:
    pixels_a_second = max(width, _MIN_COLUMNS // 3) / seconds
    step_s = next((step for step in _TICKS_S if step * pixels_a_second >= _TICK_ROOM), _TICKS_S[-1])
    for at_s in range(0, int(seconds) + 1, step_s):
        x = scale.x(at_s)
        yield f"<line class='tick' x1='{x}' x2='{x}' y1='{_TOP}' y2='{_BOTTOM + 5}'/>"
        # a time at the right edge would be cut off
        if (seconds - at_s) * pixels_a_second >= _TICK_ROOM // 2:
            yield f"<text x='{x}' dx='3' y='{_HEIGHT - 6}'>{clock(at_s)}</text>"


def clock(at_s: float) -> str:
    """Minutes and seconds, as players show them."""
    return f"{int(at_s) // 60}:{int(at_s) % 60:02d}"


def _envelope(samples: NDArray[np.int16], name: str, columns: int, middle: int) -> str:
    """A channel as one shape: the peak of each column, above and below the middle."""
    columns = min(columns, max(len(samples), 1))
    edges = np.linspace(0, len(samples), columns + 1, dtype=int)
    peaks = [
        int(np.abs(samples[start:end].astype(np.int32)).max(initial=0)) / 32768
        for start, end in itertools.pairwise(edges)
    ]
    gain = (_LANE / 2 - 4) / max(*peaks, _QUIETEST_PEAK)
    halves = [max(peak * gain, 0.5) for peak in peaks]
    there = " ".join(f"{x},{middle - half:.1f}" for x, half in enumerate(halves))
    back = " ".join(f"{x},{middle + halves[x]:.1f}" for x in reversed(range(columns)))
    return f"<polygon class='{name}' points='{there} {back}'/>"
