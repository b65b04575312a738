"""call.json tells what the events say, exactly, and says clearly when it can't."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from local_stack.reporting.call_report import CallerTurn, CallReport, is_complete
from local_stack.reporting.figures import cost
from shared.contracts.turns import Stages, TurnKind
from shared.contracts.usage import UsageUnit
from shared.domain.call import EndReason
from shared.errors import StackError
from tests.parts import data_folder
from tests.unit.local_stack.reporting.made_up_call import (
    STAGES,
    MadeUpCall,
    booking,
    bookings_caller,
    item,
    usage,
)


def as_json(report: CallReport, folder: Path) -> dict[str, Any]:
    """The file as a reader finds it."""
    report.write(folder / "call.json")
    found = json.loads((folder / "call.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert isinstance(found, dict)
    return found


def small_call(**turn: Any) -> MadeUpCall:
    call = MadeUpCall()
    call.starts()
    call.exchange(turn.pop("caller_text", "hello"), turn.pop("agent_text", "hi"), 6.0, **turn)
    call.books()
    call.ends()
    return call


def test_call_json_has_every_field_that_users_rely_on(tmp_path: Path) -> None:
    call = booking()
    found = as_json(call.report(*bookings_caller()), tmp_path)
    assert found["call_id"] == call.call_id
    assert found["tenant_id"] == call.tenant_id
    assert found["agent_version"] == call.version_id
    assert found["end_reason"] == "caller_hung_up"
    assert found["started_at"] == "2026-11-03T09:26:53Z"
    assert (found["greeting_ms"], found["caller_side_greeting_ms"]) == (180, 190.0)
    turn = found["turns"][0]
    assert {name: turn[name] for name in ("caller_text", "agent_text", "spoken_text")} == {
        "caller_text": "book a room",
        "agent_text": "Of course. Where is it to be?",
        "spoken_text": "book a room",
    }
    assert turn["speak_to_hear_ms"] == 1012.5
    assert turn["stages_ms"] == {
        "endpointing": 508.4,
        "stt_final": 351.2,
        "llm_first_token": 402.6,
        "tts_first_byte": 152.3,
    }
    assert turn["interrupted"] is False
    assert turn["barge_in_stop_ms"] is None
    assert turn["caller_side_speak_to_hear_ms"] == 1020.0
    assert found["tools"] == [
        {
            "turn_id": found["turns"][2]["turn_id"],
            "name": "book_room",
            "arguments": {"city": "Mountain View", "people": 2},
            "result": '{"booked": true}',
            "ok": True,
            "error_code": None,
            "duration_ms": 41.5,
        }
    ]
    assert found["events"] == {"parley.calls.v1": 4, "parley.turns.v1": 5, "parley.usage.v1": 2}


def test_an_interrupted_turn_has_what_both_ends_measured_of_it(tmp_path: Path) -> None:
    turn = as_json(booking().report(*bookings_caller()), tmp_path)["turns"][1]
    assert turn["interrupted"] is True
    assert turn["barge_in_stop_ms"] == 212.3
    # the caller noted it on the utterance that broke in
    assert turn["caller_side_barge_in_stop_ms"] == 240.1


def test_what_the_agent_said_on_its_own_stands_apart_and_keeps_its_place() -> None:
    report = booking().report(*bookings_caller())
    assert [speech.kind for speech in report.agent_only] == [TurnKind.GREETING, TurnKind.AGENT_ONLY]
    assert report.in_order()[0].agent_text == "Hello, this is Meeting Rooms."
    assert [speech.index for speech in report.in_order()] == [0, 1, 2, 3, 4]


def test_turns_stand_in_their_order_however_they_were_read() -> None:
    call = booking()
    call.events.reverse()
    report = call.report(*bookings_caller())
    assert [turn.caller_text for turn in report.turns] == [
        "book a room",
        "in mountain view",
        "for two people",
    ]


def test_a_report_reads_back_as_it_was_written(tmp_path: Path) -> None:
    report = booking().report(*bookings_caller())
    report.write(tmp_path / "call.json")
    assert CallReport.model_validate_json((tmp_path / "call.json").read_bytes()) == report


# --- money


def test_every_amount_is_quantity_times_price_and_they_add_up_exactly(tmp_path: Path) -> None:
    found = as_json(booking().report(*bookings_caller()), tmp_path)
    assert [(line["provider"], line["sku"], line["unit"], line["estimated"]) for line in found["usage"]] == [
        ("deepgram", "aura-2", "character", False),
        ("deepgram", "nova-3", "second", False),
        ("openai", "gpt-4.1-mini", "input_token", False),
        ("openai", "gpt-4.1-mini", "output_token", True),
    ]
    for line in found["usage"]:
        assert Decimal(line["quantity"]) * Decimal(line["unit_price_usd"]) == Decimal(line["amount_usd"])
        assert line["price_id"].startswith(f"{line['provider']}/{line['sku']}/{line['unit']}/")
    assert sum(Decimal(line["amount_usd"]) for line in found["usage"]) == Decimal(found["cost_usd"])


@pytest.mark.parametrize("quantity", ["1E+7", "0E+3", "0.00000000000001", "1E-18", "100000000000000.5"])
def test_figures_of_money_are_plain_decimal_strings(quantity: str, tmp_path: Path) -> None:
    call = MadeUpCall()
    call.starts()
    call.books(item("deepgram", "nova-3", UsageUnit.SECOND, quantity))
    call.ends()
    found = as_json(call.report(), tmp_path)
    line = found["usage"][0]
    for figure in (line["quantity"], line["unit_price_usd"], line["amount_usd"], found["cost_usd"]):
        assert isinstance(figure, str)
        assert set(figure) <= set("0123456789.")
    assert Decimal(line["quantity"]) == Decimal(quantity)


def test_sums_lose_no_digit_where_decimal_arithmetic_would_round_to_28() -> None:
    call = MadeUpCall()
    call.starts()
    call.books(
        item("deepgram", "nova-3", UsageUnit.SECOND, "999999999999999"),
        item("deepgram", "aura-2", UsageUnit.CHARACTER, "0.00000000000000000001"),
    )
    call.ends()
    report = call.report()
    assert format(report.cost_usd, "f") == "79999999999.9999200000000000000000003"


def test_what_has_no_price_is_named_and_not_counted_as_nothing() -> None:
    call = MadeUpCall()
    call.starts()
    call.books(*usage(), item("nobody", "nothing", UsageUnit.SECOND, "3"))
    call.ends()
    report = call.report()
    assert report.unpriced == ("nobody/nothing/second",)
    assert not report.cost_complete
    assert cost(report).endswith(", incomplete")
    assert len(report.usage) == len(usage())


def test_a_call_that_used_nothing_costs_nothing(tmp_path: Path) -> None:
    assert as_json(small_call().report(), tmp_path)["cost_usd"] == "0"


# --- the two ends


def test_an_utterance_that_the_agent_missed_shifts_no_measurement() -> None:
    caller = bookings_caller()
    missed = CallerTurn(speak_to_hear_ms=None, start_s=19.6, end_s=20.2)
    report = booking().report(*caller, missed)
    assert [turn.caller_side_speak_to_hear_ms for turn in report.turns] == [1020.0, 1001.5, 1210.0]


def test_without_a_caller_there_are_no_measurements_of_it() -> None:
    report = booking().report()
    assert {turn.caller_side_speak_to_hear_ms for turn in report.turns} == {None}
    assert {turn.caller_start_s for turn in report.turns} == {None}


def test_an_interruption_of_the_last_reply_has_no_measurement_of_the_caller() -> None:
    call = small_call(interrupted=True, barge_in_stop_ms=150.0, speak_to_hear_ms=900.0, stages_ms=STAGES)
    turn = call.report(CallerTurn(speak_to_hear_ms=910, start_s=1, end_s=2)).turns[0]
    assert (turn.barge_in_stop_ms, turn.caller_side_barge_in_stop_ms) == (150.0, None)


def test_a_turn_without_a_reply_has_nothing_measured(tmp_path: Path) -> None:
    found = as_json(small_call(agent_text="", stages_ms=Stages(endpointing=500.0)).report(), tmp_path)
    turn = found["turns"][0]
    assert turn["agent_text"] == ""
    assert turn["speak_to_hear_ms"] is None
    assert turn["stages_ms"] == {
        "endpointing": 500.0,
        "stt_final": None,
        "llm_first_token": None,
        "tts_first_byte": None,
    }


# --- calls without a report


def test_a_refused_call_has_no_report_but_a_reason() -> None:
    call = MadeUpCall()
    call.is_refused()
    assert is_complete(call.received())
    with pytest.raises(StackError, match="refused: at_capacity"):
        call.report()


def test_a_call_that_failed_before_it_started_has_no_report_but_a_reason() -> None:
    call = MadeUpCall()
    call.arrives()
    call.books()
    call.ends(end_reason=EndReason.MEDIA_FAILED, error_code="media_failed", greeting_ms=None)
    with pytest.raises(StackError, match="failed before it started: media_failed"):
        call.report()


def test_without_a_code_the_reason_of_the_end_is_given() -> None:
    call = MadeUpCall()
    call.books()
    call.ends(end_reason=EndReason.WORKER_LOST, greeting_ms=None)
    with pytest.raises(StackError, match="failed before it started: worker_lost"):
        call.report()


@pytest.mark.parametrize("missing", ["ended", "record", "both"])
def test_events_that_did_not_arrive_are_an_error_that_names_those_that_did(missing: str) -> None:
    call = MadeUpCall()
    call.starts()
    if missing == "ended":
        call.books()
    elif missing == "record":
        call.ends()
    assert not is_complete(call.received())
    with pytest.raises(StackError, match=r"did not all arrive \(seen: .*parley\.call\.started\.v1") as caught:
        call.report()
    assert caught.value.hint


def test_no_events_at_all_are_an_error_too() -> None:
    assert not is_complete([])
    with pytest.raises(StackError, match=r"seen: none"):
        MadeUpCall().report()


# --- hostile words


@pytest.mark.needs("vectors")
def test_hostile_words_are_kept_as_they_are_and_break_no_json(tmp_path: Path) -> None:
    words = json.loads(data_folder().joinpath("vectors", "strings", "blns.json").read_bytes())
    call = MadeUpCall()
    call.starts()
    for at, text in enumerate(words):
        tool = call.tool("look_up", {text: text}, text)
        call.exchange(text, text, 2.0 + at, tools=(tool,))
    call.books()
    call.ends()
    found = as_json(call.report(), tmp_path)
    assert [turn["caller_text"] for turn in found["turns"]] == words
    assert [turn["agent_text"] for turn in found["turns"]] == words
    assert [tool["arguments"] for tool in found["tools"]] == [{text: text} for text in words]
    assert [tool["result"] for tool in found["tools"]] == words


def test_half_characters_of_a_model_break_no_json(tmp_path: Path) -> None:
    call = MadeUpCall()
    call.starts()
    tool = call.tool("look_up", '{"name": "\\ud83d"}', "\udc00")
    call.exchange("caf\ud800", "\udfff", 6.0, tools=(tool,))
    call.books()
    call.ends()
    found = as_json(call.report(), tmp_path)
    assert found["turns"][0]["caller_text"] == "caf\N{REPLACEMENT CHARACTER}"
    assert found["tools"][0]["arguments"] == {"name": "\N{REPLACEMENT CHARACTER}"}


def test_numbers_that_json_lacks_break_no_json(tmp_path: Path) -> None:
    call = MadeUpCall()
    call.starts()
    call.exchange("x", "y", 6.0, tools=(call.tool("look_up", {"people": math.nan}, None),))
    call.books()
    call.ends()
    assert as_json(call.report(), tmp_path)["tools"][0]["arguments"] == {"people": "NaN"}
