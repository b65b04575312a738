"""The demo finds what went wrong, and nothing where all went well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from local_stack.callers.caller import CallerReport
from local_stack.callers.media import CallOver
from local_stack.callers.script import TurnReport
from local_stack.calls import PlacedCall
from local_stack.demo.findings import DemoCall, Finding, check, general_errors, heard_errors
from local_stack.demo.scripts import CallScript, ExpectedBooking, Turn
from local_stack.reporting.call_report import CallReport
from shared.contracts.usage import UsageUnit
from shared.pricing.price import EXACT
from tests.unit.local_stack.reporting.made_up_call import MadeUpCall, booking, bookings_caller, item

BOOK = "/rooms/bookings"
SCRIPT = CallScript(
    name="rooms-booking",
    tenant="rooms",
    voice="caller-1",
    turns=(Turn("book a room"), Turn("in mountain view"), Turn("for two people", barge_in_at_s=2.0)),
    expected=ExpectedBooking(BOOK, {"city": "Mountain View", "people": 2}),
)
BOOKED: Mapping[str, Sequence[Mapping[str, object]]] = {BOOK: [{"city": "mountain view", "people": 2}]}


def heard(turns: int = 3, *, unanswered: Sequence[int] = (), stop_ms: float | None = 240.0) -> CallerReport:
    """What the caller noted: so many utterances, those without an answer, and how fast the agent stopped."""
    turn = TurnReport(1.0, 2.0, 3.0, 1000.0, None, early=False)
    noted = [replace(turn, barge_in_stop_ms=stop_ms if position == 2 else None) for position in range(turns)]
    for position in unanswered:
        noted[position] = replace(noted[position], answered_at_s=None, speak_to_hear_ms=None)
    return CallerReport(
        answered_s=0.0,
        answer_ms=10.0,
        greeting_ms=180.0,
        turns=tuple(noted),
        over=CallOver(ended_by_agent=True, reason="agent_ended"),
        duration_s=30.0,
        late_frames=0,
    )


@dataclass(frozen=True)
class Outcome:
    """One demo call; by default all went well."""

    report: CallReport
    caller: CallerReport
    general: tuple[str, ...] = ("look around", "a mountain few", "for too people")
    script: CallScript = SCRIPT

    def call(self) -> DemoCall:
        placed = PlacedCall(report=self.report, caller=self.caller, folder=Path("call_1"))
        return DemoCall(self.script, placed, self.general)

    def check(self, booked: Mapping[str, Sequence[Mapping[str, object]]] = BOOKED) -> list[Finding]:
        return check([self.call()], booked)


@pytest.fixture
def well() -> Outcome:
    spoken = [
        measured.model_copy(update={"spoken_text": turn.text})
        for measured, turn in zip(bookings_caller(), SCRIPT.turns, strict=True)
    ]
    return Outcome(booking().report(*spoken), heard())


def with_turns(report: CallReport, **fields: Any) -> CallReport:
    """The report with some fields of all its turns changed."""
    turns = tuple(turn.model_copy(update=fields) for turn in report.turns)
    return report.model_copy(update={"turns": turns})


def wrong(findings: Sequence[Finding]) -> list[str]:
    return [finding.text for finding in findings if not finding.ok]


def test_a_call_that_went_well_has_nothing_wrong(well: Outcome) -> None:
    findings = well.check()
    assert wrong(findings) == []
    assert [finding.text for finding in findings] == [
        "rooms-booking: 3 of 3 turns answered",
        "rooms-booking: booked what was said (city Mountain View, people 2)",
        "rooms-booking: the agent fell silent 212 ms after the caller broke in (240 ms at the caller)",
        "word error rate 0.00 with each tenant's own language model, 0.67 with the general one",
        "rooms-booking: 4 usage lines add up to $0.0163492",
        "median speak-to-hear 1012 ms at the agent, 1020 ms at the caller",
    ]


@pytest.mark.parametrize(("unanswered", "ok"), [([2], True), ([1], False), ([0], False), ([1, 2], False)])
def test_last_words_may_go_unanswered_but_no_others(
    unanswered: Sequence[int], ok: bool, well: Outcome
) -> None:
    silent = 3 - len(unanswered)
    expected = [] if ok else [f"rooms-booking: {silent} of 3 turns answered"]
    assert wrong(replace(well, caller=heard(unanswered=unanswered)).check()) == expected


def test_a_call_that_ended_before_all_was_said_is_wrong(well: Outcome) -> None:
    (text, *_) = wrong(replace(well, caller=heard(turns=2)).check())
    assert text == "rooms-booking: 2 of 3 turns answered"


def test_a_call_that_ended_by_an_error_is_wrong(well: Outcome) -> None:
    failed = well.report.model_copy(update={"error_code": "provider_failed"})
    assert wrong(replace(well, report=failed).check()) == ["rooms-booking: 3 of 3 turns answered"]


def test_a_wrong_booking_is_told_field_by_field(well: Outcome) -> None:
    assert wrong(well.check({BOOK: [{"city": "Mountain View", "people": 3}]})) == [
        "rooms-booking: booked something else than was said (people: said '2', booked '3')"
    ]


@pytest.mark.parametrize("booked", [{}, {BOOK: []}])
def test_nothing_booked_is_wrong(booked: Mapping[str, Sequence[Mapping[str, object]]], well: Outcome) -> None:
    (text,) = wrong(well.check(booked))
    assert "booked something else than was said" in text


def test_a_call_that_books_nothing_is_not_asked_for_a_booking(well: Outcome) -> None:
    findings = replace(well, script=replace(SCRIPT, expected=None)).check({})
    assert wrong(findings) == []
    assert not any("booked" in finding.text for finding in findings)


def test_a_second_booking_of_the_same_caller_is_wrong(well: Outcome) -> None:
    twice = {BOOK: [*BOOKED[BOOK], *BOOKED[BOOK]]}
    assert wrong(well.check(twice)) == [f"{BOOK} holds 1 more than callers asked for"]


def test_a_booking_in_a_book_that_nobody_asked_for_is_wrong(well: Outcome) -> None:
    assert wrong(well.check({**BOOKED, "/pizza/orders": [{"pizza": "hawaiian"}]})) == [
        "/pizza/orders holds 1 more than callers asked for"
    ]


def test_two_callers_of_one_book_need_a_booking_each(well: Outcome) -> None:
    call = well.call()
    findings = check([call, call], BOOKED)
    assert len([text for text in wrong(findings) if "booked something else" in text]) == 1


STOPPED_NOBODY = ["rooms-booking: the caller's interruption did not stop the agent"]


def test_an_interruption_that_stopped_nobody_is_wrong(well: Outcome) -> None:
    ignored = with_turns(well.report, interrupted=False, barge_in_stop_ms=None)
    assert wrong(replace(well, report=ignored).check()) == STOPPED_NOBODY


def test_an_agent_that_stopped_on_another_turn_did_not_stop_on_the_scripted_one(well: Outcome) -> None:
    first, second, third = well.report.turns
    moved = (
        first.model_copy(update={"barge_in_stop_ms": second.barge_in_stop_ms}),
        second.model_copy(update={"barge_in_stop_ms": None}),
        third,
    )
    elsewhere = well.report.model_copy(update={"turns": moved})
    assert wrong(replace(well, report=elsewhere).check()) == STOPPED_NOBODY


def test_an_interruption_that_the_caller_did_not_hear_work_is_wrong(well: Outcome) -> None:
    assert wrong(replace(well, caller=heard(stop_ms=None)).check()) == STOPPED_NOBODY


@pytest.mark.parametrize(("stop_ms", "ok"), [(500.0, True), (500.1, False)])
def test_an_agent_falls_silent_within_half_a_second(stop_ms: float, ok: bool, well: Outcome) -> None:
    slow = with_turns(well.report, barge_in_stop_ms=stop_ms)
    assert (wrong(replace(well, report=slow).check()) == []) is ok
    assert (wrong(replace(well, caller=heard(stop_ms=stop_ms)).check()) == []) is ok


def test_callers_who_never_break_in_are_not_asked_about_it(well: Outcome) -> None:
    polite = replace(SCRIPT, turns=tuple(replace(turn, barge_in_at_s=None) for turn in SCRIPT.turns))
    findings = replace(well, script=polite).check()
    assert not any("broke in" in finding.text for finding in findings)


def test_words_are_counted_over_all_calls_of_a_model(well: Outcome) -> None:
    call = well.call()
    assert (heard_errors(call).errors, heard_errors(call).words) == (0, 9)
    assert general_errors(call).words == 9
    findings = check([call, call], {BOOK: [*BOOKED[BOOK], *BOOKED[BOOK]]})
    assert sum(finding.text.startswith("word error rate") for finding in findings) == 1


def test_a_recogniser_that_understands_little_is_wrong(well: Outcome) -> None:
    deaf = with_turns(well.report, caller_text="something else")
    (text,) = wrong(replace(well, report=deaf).check())
    assert text.startswith("word error rate")


def test_an_amount_that_is_not_quantity_times_price_is_wrong(well: Outcome) -> None:
    first, *rest = well.report.usage
    little = Decimal("1E-30")
    off = first.model_copy(update={"amount_usd": EXACT.add(first.amount_usd, little)})
    cost_usd = EXACT.add(well.report.cost_usd, little)
    tampered = well.report.model_copy(update={"usage": (off, *rest), "cost_usd": cost_usd})
    assert len(wrong(replace(well, report=tampered).check())) == 1


def test_a_sum_that_is_not_the_sum_is_wrong(well: Outcome) -> None:
    tampered = well.report.model_copy(update={"cost_usd": Decimal("0.02")})
    assert wrong(replace(well, report=tampered).check()) == ["rooms-booking: 4 usage lines add up to $0.02"]


@pytest.mark.parametrize("sku", ["no-such-sku", None])
def test_usage_without_a_price_and_no_usage_at_all_are_wrong(sku: str | None, well: Outcome) -> None:
    call = MadeUpCall()
    call.starts()
    call.books(*([item("deepgram", sku, UsageUnit.SECOND, "3")] if sku else []))
    call.ends()
    cheap = call.report()
    priced = well.report.model_copy(
        update={"usage": cheap.usage, "unpriced": cheap.unpriced, "cost_usd": cheap.cost_usd}
    )
    (text,) = wrong(replace(well, report=priced).check())
    assert text.startswith("rooms-booking: 0 usage lines")
    assert ("no-such-sku" in text) is (sku is not None)


def test_amounts_of_many_digits_are_still_exact(well: Outcome) -> None:
    call = MadeUpCall()
    call.starts()
    call.books(
        item("deepgram", "nova-3", UsageUnit.SECOND, "999999999999999"),
        item("deepgram", "aura-2", UsageUnit.CHARACTER, "0.12345678901234567891"),
    )
    call.ends()
    rated = call.report()
    report = well.report.model_copy(update={"usage": rated.usage, "cost_usd": rated.cost_usd})
    assert wrong(replace(well, report=report).check()) == []


def test_without_a_turn_measured_at_both_ends_nothing_is_said_to_agree(well: Outcome) -> None:
    alone = with_turns(well.report, caller_side_speak_to_hear_ms=None)
    assert wrong(replace(well, report=alone).check()) == ["no turn was measured at both ends"]
