"""What the demo asserts about its calls: each finding is a sentence and whether it is as it must be."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from local_stack.calls import PlacedCall
from local_stack.demo.evaluation import Mismatch, WordErrors, compare_book, word_errors
from local_stack.demo.scripts import CallScript, ExpectedBooking
from local_stack.reporting.call_report import CallReport
from shared.pricing.price import EXACT

BARGE_IN_LIMIT_MS = 500.0
"""Longest time from the caller's first voiced sample over the agent to the agent's last sample."""
BOTH_ENDS_MS = 50.0
"""How far the medians of the two ends may lie apart over WebSocket media."""
WORD_ERROR_LIMIT = 0.3
"""A recogniser that gets more words wrong has not earned the bookings."""


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    text: str
    ok: bool


@dataclass(frozen=True)
class DemoCall:
    """A script and what became of it."""

    script: CallScript
    placed: PlacedCall
    general_texts: Sequence[str]
    """What the general language model made of the same audio."""


def check(calls: Sequence[DemoCall], booked: Mapping[str, Sequence[Mapping[str, object]]]) -> list[Finding]:
    """Hold what happened against the scripts.

    Args:
        calls: the demo's calls.
        booked: path on the business server -> what stands in that book; all books of the demo's tenants.
    """
    findings = [_answered(call) for call in calls]
    findings += _bookings(calls, booked)
    findings += [finding for call in calls for finding in _barge_in(call)]
    findings.append(_recognition(calls))
    findings += [_amounts(call.script.name, call.placed.report) for call in calls]
    findings.append(_both_ends_agree(calls))
    return findings


def heard_errors(call: DemoCall) -> WordErrors:
    """Word errors of the agent's recogniser, over the whole call."""
    said = " ".join(turn.text for turn in call.script.turns)
    return word_errors(said, " ".join(turn.caller_text for turn in call.placed.report.turns))


def general_errors(call: DemoCall) -> WordErrors:
    """Word errors of the general language model on the same audio."""
    return word_errors(" ".join(turn.text for turn in call.script.turns), " ".join(call.general_texts))


def _answered(call: DemoCall) -> Finding:
    turns = len(call.script.turns)
    spoke = call.placed.caller.turns
    answered = len(spoke) - call.placed.caller.unanswered
    # the last words, and no others, may be answered by the goodbye that ends the call
    early_answered = not any(turn.unanswered for turn in spoke[:-1])
    ok = len(spoke) == turns and early_answered and call.placed.report.error_code is None
    return Finding(f"{call.script.name}: {answered} of {turns} turns answered", ok)


def _bookings(
    calls: Sequence[DemoCall], booked: Mapping[str, Sequence[Mapping[str, object]]]
) -> list[Finding]:
    findings = []
    wanted = [(call.script.name, call.script.expected) for call in calls if call.script.expected is not None]
    for path in dict.fromkeys([*(expected.path for _, expected in wanted), *booked]):
        of_this_book = [(name, expected) for name, expected in wanted if expected.path == path]
        compared = compare_book([expected for _, expected in of_this_book], booked.get(path, ()))
        findings += [
            _booking(name, expected, mismatches)
            for (name, expected), mismatches in zip(of_this_book, compared.mismatches, strict=True)
        ]
        if compared.unasked:
            findings.append(Finding(f"{path} holds {compared.unasked} more than callers asked for", ok=False))
    return findings


def _booking(name: str, expected: ExpectedBooking, mismatches: Sequence[Mismatch]) -> Finding:
    if not mismatches:
        what = ", ".join(f"{field} {value}" for field, value in expected.fields.items())
        return Finding(f"{name}: booked what was said ({what})", ok=True)
    wrong = "; ".join(f"{m.field}: said {m.expected!r}, booked {m.found!r}" for m in mismatches)
    return Finding(f"{name}: booked something else than was said ({wrong})", ok=False)


def _barge_in(call: DemoCall) -> list[Finding]:
    return [
        _stop(call, position)
        for position, turn in enumerate(call.script.turns)
        if turn.barge_in_at_s is not None
    ]


def _stop(call: DemoCall, position: int) -> Finding:
    """Whether the utterance at `position` of the script cut the reply to the one before, by both ends' figures."""
    cut = call.script.turns[position - 1].text if position else None
    replies = [turn for turn in call.placed.report.turns if cut is not None and turn.spoken_text == cut]
    at_agent = replies[0].barge_in_stop_ms if replies else None
    utterances = call.placed.caller.turns
    at_caller = utterances[position].barge_in_stop_ms if position < len(utterances) else None
    name = call.script.name
    if at_agent is None or at_caller is None:
        return Finding(f"{name}: the caller's interruption did not stop the agent", ok=False)
    return Finding(
        f"{name}: the agent fell silent {at_agent:.0f} ms after the caller broke in "
        f"({at_caller:.0f} ms at the caller)",
        ok=max(at_agent, at_caller) <= BARGE_IN_LIMIT_MS,
    )


def _recognition(calls: Sequence[DemoCall]) -> Finding:
    own = sum((heard_errors(call) for call in calls), WordErrors(0, 0)).rate
    general = sum((general_errors(call) for call in calls), WordErrors(0, 0)).rate
    return Finding(
        f"word error rate {own:.2f} with each tenant's own language model, {general:.2f} with the general one",
        ok=own <= WORD_ERROR_LIMIT,
    )


def _amounts(name: str, report: CallReport) -> Finding:
    exact, total = True, Decimal(0)
    for line in report.usage:
        # Python's own context would round products and sums to 28 digits
        exact = exact and line.amount_usd == EXACT.multiply(line.quantity, line.unit_price_usd)
        total = EXACT.add(total, line.amount_usd)
    unpriced = f" (not priced: {', '.join(report.unpriced)})" if report.unpriced else ""
    return Finding(
        f"{name}: {len(report.usage)} usage lines add up to ${report.cost_usd:f}{unpriced}",
        ok=exact and total == report.cost_usd and not report.unpriced and bool(report.usage),
    )


def _both_ends_agree(calls: Sequence[DemoCall]) -> Finding:
    pairs = [
        (turn.speak_to_hear_ms, turn.caller_side_speak_to_hear_ms)
        for call in calls
        for turn in call.placed.report.turns
        if turn.speak_to_hear_ms is not None and turn.caller_side_speak_to_hear_ms is not None
    ]
    if not pairs:
        return Finding("no turn was measured at both ends", ok=False)
    ours = statistics.median(ours for ours, _theirs in pairs)
    theirs = statistics.median(theirs for _ours, theirs in pairs)
    return Finding(
        f"median speak-to-hear {ours:.0f} ms at the agent, {theirs:.0f} ms at the caller",
        ok=abs(ours - theirs) <= BOTH_ENDS_MS,
    )
