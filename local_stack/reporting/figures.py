"""Figures and small pieces that several parts of a report show alike."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from html import escape

from local_stack.reporting.call_report import CallReport, ReportSpeech, ReportTurn


def milliseconds(value: float | None) -> str:
    """`412 ms`, or a dash where nothing was measured."""
    return "–" if value is None else f"{value:.0f} ms"


def median(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return statistics.median(values) if values else None


def longest(values: Sequence[float]) -> float | None:
    """The largest; None of nothing."""
    return max(values, default=None)


def dollars(amount: Decimal) -> str:
    """`$0.0042`: for the eye only; tables of costs and call.json have all digits."""
    return f"${amount:.4f}"


def cost(report: CallReport) -> str:
    """`$0.0042`, or `$0.0042, incomplete` where something that was used has no price."""
    return dollars(report.cost_usd) + ("" if report.cost_complete else ", incomplete")


def in_words(code: str) -> str:
    """`caller_hung_up` as people read it."""
    return code.replace("_", " ")


def speak_to_hear_ms(report: CallReport) -> list[float]:
    """What the agent measured, of the turns that were answered."""
    return [turn.speak_to_hear_ms for turn in report.turns if turn.speak_to_hear_ms is not None]


def barge_in_stops_ms(report: CallReport) -> list[float]:
    """What the agent measured, of everything it said that was cut."""
    stops = [turn.barge_in_stop_ms for turn in report.turns]
    stops += [speech.barge_in_stop_ms for speech in report.agent_only]
    return [stop for stop in stops if stop is not None]


def tool_names(report: CallReport) -> str:
    """`find_rooms x2, book_room` in the order of first use, or a dash for none."""
    counts = Counter(tool.name for tool in report.tools)
    return ", ".join(f"{name} x{count}" if count > 1 else name for name, count in counts.items()) or "–"


def badges(speech: ReportTurn | ReportSpeech) -> str:
    """What was out of the ordinary, as HTML."""
    words = []
    if speech.interrupted:
        stop_ms = speech.barge_in_stop_ms
        words.append("interrupted" + ("" if stop_ms is None else f", silent {milliseconds(stop_ms)} later"))
    if speech.reply_from_cache:
        words.append("from cache")
    found = [f" <span class='badge'>{escape(word)}</span>" for word in words]
    if isinstance(speech, ReportTurn):
        found += [f" <span class='badge bad'>{escape(in_words(code))}</span>" for code in speech.error_codes]
    return "".join(found)


def play_button(turn: ReportTurn, label: str) -> str:
    """A button that plays the recording from a turn on; only the label where the turn's place isn't known."""
    if turn.caller_start_s is None:
        return escape(label)
    return (
        f"<button type='button' class='play' data-at='{max(turn.caller_start_s - 0.2, 0):.2f}' "
        f"title='Play from here'>{escape(label)}</button>"
    )
