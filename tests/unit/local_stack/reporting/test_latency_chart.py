"""One row a turn on one axis; every figure can be read as text too."""

from __future__ import annotations

from typing import Any

import pytest

from local_stack.reporting.call_report import CallerTurn, CallReport
from local_stack.reporting.latency_chart import latency_chart
from shared.contracts.turns import Stages
from tests.unit.local_stack.reporting.made_up_call import MadeUpCall, booking, bookings_caller
from tests.unit.local_stack.reporting.parsed_page import ParsedPage


def one_turn(heard_ms: float | None, at_the_caller_ms: float | None = None, **turn: Any) -> CallReport:
    call = MadeUpCall()
    call.starts()
    call.exchange("a", "b", 6.0, speak_to_hear_ms=heard_ms, **turn)
    call.books()
    call.ends()
    return call.report(CallerTurn(speak_to_hear_ms=at_the_caller_ms, start_s=1, end_s=2))


def spans(page: ParsedPage, css: str) -> list[tuple[float, float]]:
    """Left and right edges of bars, percent of the row."""
    found = []
    for rect in page.all("rect", css):
        left, width = (float((rect[name] or "").rstrip("%")) for name in ("x", "width"))
        found.append((left, left + width))
    return found


def test_each_turn_has_its_row_with_every_stage() -> None:
    page = ParsedPage(latency_chart(booking().report(*bookings_caller()).turns))
    for css in ("total", "endpointing", "llm", "tts"):
        assert len(page.all("rect", css)) == 3, css
    for css in ("stt", "heard"):
        assert len(page.all("line", css)) == 3, css
    assert (
        "endpointing 508 ms · final transcript 351 ms · LLM first token 403 ms · TTS first byte 152 ms · "
        "heard by the caller after 1020 ms"
    ) in page.texts


def test_the_stages_lie_where_the_caller_waited() -> None:
    stages = Stages(endpointing=500.0, stt_final=400.0, llm_first_token=250.0, tts_first_byte=100.0)
    page = ParsedPage(latency_chart(one_turn(1000.0, 1000.0, stages_ms=stages).turns))
    ((start, heard),) = spans(page, "total")
    per_ms = (heard - start) / 1000
    assert start == 0
    assert spans(page, "endpointing") == [pytest.approx((0, 500 * per_ms), abs=0.02)]
    assert spans(page, "tts") == [pytest.approx((900 * per_ms, heard), abs=0.02)]
    assert spans(page, "llm") == [pytest.approx((650 * per_ms, 900 * per_ms), abs=0.02)]
    (transcript,) = page.all("line", "stt")
    assert float((transcript["x1"] or "").rstrip("%")) == pytest.approx(400 * per_ms, abs=0.02)


def test_rows_share_one_axis() -> None:
    page = ParsedPage(latency_chart(booking().report(*bookings_caller()).turns))
    widths = [end - start for start, end in spans(page, "total")]
    assert widths[2] / widths[1] == pytest.approx(1204 / 987, rel=0.01)


def test_a_reply_that_came_before_the_caller_had_finished_reaches_to_the_left_of_zero() -> None:
    page = ParsedPage(latency_chart(one_turn(-200.0, stages_ms=Stages(endpointing=300.0)).turns))
    ((start, end),) = spans(page, "total")
    (zero,) = page.all("line", "zero")
    assert start < end == pytest.approx(float((zero["x1"] or "").rstrip("%")), abs=0.02)


def test_models_that_ran_while_the_caller_spoke_stay_inside_the_row() -> None:
    stages = Stages(llm_first_token=30_000.0, tts_first_byte=20.0)
    page = ParsedPage(latency_chart(one_turn(400.0, stages_ms=stages).turns))
    for css in ("total", "llm", "tts"):
        for start, end in spans(page, css):
            assert 0 <= start <= end <= 100.01


def test_without_a_first_sound_models_are_told_in_words_only() -> None:
    stages = Stages(endpointing=300.0, llm_first_token=90.0)
    page = ParsedPage(latency_chart(one_turn(None, stages_ms=stages).turns))
    assert len(page.all("rect", "endpointing")) == 1
    assert not page.all("rect", "total")
    assert not page.all("rect", "llm")
    assert "endpointing 300 ms · LLM first token 90 ms" in page.texts
    assert "No turn was answered." in page.texts


def test_a_turn_of_which_nothing_is_known_still_has_its_row() -> None:
    page = ParsedPage(latency_chart(one_turn(None).turns))
    assert len(page.all("li", "latency")) == 1
    assert "–" in page.texts


def test_the_summary_has_both_ends_and_the_longest() -> None:
    page = ParsedPage(latency_chart(booking().report(*bookings_caller()).turns))
    assert "Median 1012 ms measured by the agent, 1020 ms by the caller; longest 1204 ms." in page.texts


def test_an_interruption_is_told_with_both_measurements() -> None:
    page = ParsedPage(latency_chart(booking().report(*bookings_caller()).turns))
    assert "interrupted: silent after 212 ms · at the caller after 240 ms" in page.text


def test_no_turns_no_chart() -> None:
    assert latency_chart([]) == ""


def test_a_row_plays_from_just_before_its_turn() -> None:
    page = ParsedPage(latency_chart(booking().report(*bookings_caller()).turns))
    assert [button["data-at"] for button in page.all("button")] == ["3.00", "7.70", "12.10"]
