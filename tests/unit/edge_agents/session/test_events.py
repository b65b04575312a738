"""Events of a call: whose they are, sealed, counted."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from edge_agents.session.events import ArrivalEvents, CallEvents
from edge_agents.session.plan import CallPlan
from edge_agents.session.turns import FinishedTurn, ToolCall
from shared.contracts.calls import (
    CallAdmitted,
    CallEnded,
    CallRefused,
    CallRequested,
    CallStarted,
    CallTransferred,
)
from shared.contracts.turns import Stages, TurnCompleted, TurnKind
from shared.contracts.usage import UsageItem, UsageRecord, UsageSnapshot, UsageUnit
from shared.domain.call import EndReason, Media, RefusalReason
from shared.ids import IdKind, new_id
from tests.fakes.clock import FakeClock
from tests.fakes.configs import agent_record
from tests.fakes.events import RecordingPublisher
from tests.fakes.sealer import FakeSealer

CANARY = "my number is 078-05-1120"


class Desk:
    """One call's events and where they go."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.publisher = RecordingPublisher()
        self.sealer = FakeSealer()
        record = agent_record()
        self.plan = CallPlan(
            call_id=new_id(IdKind.CALL),
            tenant=record.tenant,
            version=record.version,
            media=Media.WEBSOCKET,
            region="local",
            segment=3,
            price_catalogue="cat-1",
            started_at=self.clock.now(),
        )
        self.events = CallEvents(self.plan, publisher=self.publisher, sealer=self.sealer, clock=self.clock)

    def text_on_the_wire(self) -> str:
        return "\n".join(event.model_dump_json() for event in self.publisher.events)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def turn(**changes: Any) -> FinishedTurn:
    fields: dict[str, Any] = {
        "turn_id": "turn_1",
        "kind": TurnKind.EXCHANGE,
        "caller_text": "",
        "agent_text": "",
        "speak_to_hear_ms": None,
        "stages": Stages(),
        "interrupted": False,
        "barge_in_stop_ms": None,
        "from_cache": False,
        "tools": (),
        "error_codes": (),
    }
    return FinishedTurn(**(fields | changes))


def tool(**changes: Any) -> ToolCall:
    fields: dict[str, Any] = {
        "name": "book",
        "arguments": {"day": "friday"},
        "result": "ok",
        "error_code": None,
        "duration_ms": 12.5,
    }
    return ToolCall(**(fields | changes))


def test_every_event_names_its_call_its_tenant_and_when(desk: Desk) -> None:
    desk.events.started()
    desk.clock.advance(2)
    desk.events.transferred("reception")

    assert {(e.tenant_id, e.key) for e in desk.publisher.events} == {
        (desk.plan.tenant.tenant_id, desk.plan.call_id)
    }
    first, second = desk.publisher.events
    assert second.at - first.at == timedelta(seconds=2)
    assert first.event_id != second.event_id


def test_a_start_says_which_version_and_price_list_the_call_runs_with(desk: Desk) -> None:
    desk.events.started()

    started = desk.publisher.one(CallStarted)
    assert started.version_id == desk.plan.version.version_id
    assert (started.version_number, started.price_catalogue) == (1, "cat-1")
    assert (started.media, started.region) == (Media.WEBSOCKET, "local")


def test_what_was_said_and_what_tools_were_given_leaves_the_process_sealed_only(desk: Desk) -> None:
    desk.events.turn(
        turn(
            caller_text=CANARY,
            agent_text=f"So {CANARY}",
            tools=(tool(arguments={"note": CANARY}, result=f'{{"note":"{CANARY}"}}'),),
        )
    )

    completed = desk.publisher.one(TurnCompleted)
    assert CANARY not in desk.text_on_the_wire()
    assert "078-05" not in desk.text_on_the_wire()
    assert completed.pii.caller_text is not None
    assert completed.pii.agent_text is not None
    place, unseal = completed.place, desk.sealer.unseal
    assert unseal(completed.pii.caller_text, place("pii.caller_text")) == CANARY
    assert unseal(completed.pii.agent_text, place("pii.agent_text")) == f"So {CANARY}"
    [use] = completed.tools
    assert json.loads(unseal(use.pii.arguments, place("tools.0.pii.arguments"))) == {"note": CANARY}
    assert use.pii.result is not None
    assert json.loads(unseal(use.pii.result, place("tools.0.pii.result"))) == {"note": CANARY}
    owner = (desk.plan.tenant.tenant_id, desk.plan.call_id)
    assert {(sealed_at.tenant_id, sealed_at.call_id) for sealed_at in desk.sealer.places} == {owner}


def test_silence_is_not_sealed(desk: Desk) -> None:
    desk.events.turn(turn(tools=(tool(result=None, error_code="cancelled"),)))

    completed = desk.publisher.one(TurnCompleted)
    assert (completed.pii.caller_text, completed.pii.agent_text) == (None, None)
    [use] = completed.tools
    assert (use.ok, use.error_code, use.pii.result) == (False, "cancelled", None)


def test_a_turn_carries_everything_that_was_measured(desk: Desk) -> None:
    stages = Stages(endpointing=250, stt_final=180, llm_first_token=400, tts_first_byte=90)
    desk.events.turn(
        turn(
            stages=stages,
            speak_to_hear_ms=-3.5,
            interrupted=True,
            barge_in_stop_ms=210.0,
            from_cache=True,
            error_codes=("llm_failed",),
            tools=(tool(),),
        )
    )

    completed = desk.publisher.one(TurnCompleted)
    assert completed.stages_ms == stages
    assert (completed.speak_to_hear_ms, completed.barge_in_stop_ms) == (-3.5, 210.0)
    assert (completed.interrupted, completed.reply_from_cache) == (True, True)
    assert completed.error_codes == ("llm_failed",)
    assert [(use.name, use.ok, use.duration_ms) for use in completed.tools] == [("book", True, 12.5)]


def test_turns_are_counted_from_zero(desk: Desk) -> None:
    for number in range(3):
        desk.events.turn(turn(turn_id=f"turn_{number}"))

    assert [event.index for event in desk.publisher.of(TurnCompleted)] == [0, 1, 2]
    assert desk.events.turns_published == 3


def test_a_turn_whose_tool_results_are_too_large_for_an_event_is_told_without_them(desk: Desk) -> None:
    huge = tool(result="r" * 262_144)

    desk.events.turn(turn(caller_text="hello", tools=(huge,) * 4, error_codes=("tts_failed",)))
    desk.events.turn(turn())

    first, second = desk.publisher.of(TurnCompleted)
    assert [use.pii.result for use in first.tools] == [None] * 4
    assert first.error_codes == ("tts_failed", "event_too_large")
    assert first.pii.caller_text is not None
    assert (first.index, second.index) == (0, 1)


def test_a_turn_whose_words_are_too_large_for_an_event_is_told_without_them(desk: Desk) -> None:
    desk.events.turn(turn(agent_text="w" * 2_000_000, tools=(tool(),), interrupted=True, barge_in_stop_ms=9))

    completed = desk.publisher.one(TurnCompleted)
    assert (completed.pii.agent_text, completed.tools) == (None, ())
    assert (completed.barge_in_stop_ms, completed.error_codes) == (9, ("event_too_large",))


def test_a_turn_that_is_too_large_in_any_form_is_counted_and_ends_nothing(desk: Desk) -> None:
    desk.events.turn(turn(error_codes=("x" * 2_000_000,)))
    desk.events.turn(turn())

    assert [event.index for event in desk.publisher.of(TurnCompleted)] == [1]
    assert (desk.events.turns_lost, desk.events.turns_published) == (1, 1)


def test_arguments_that_are_no_json_are_told_as_text(desk: Desk) -> None:
    desk.events.turn(turn(tools=(tool(arguments={"amount": Decimal("1.50"), "odd": {1}}),)))

    completed = desk.publisher.one(TurnCompleted)
    place = completed.place("tools.0.pii.arguments")
    assert json.loads(desk.sealer.unseal(completed.tools[0].pii.arguments, place)) == {
        "amount": "1.50",
        "odd": "{1}",
    }


def items(seconds: str, *, estimated: bool = False) -> tuple[UsageItem, ...]:
    return (
        UsageItem(
            provider="deepgram",
            sku="nova-3",
            unit=UsageUnit.SECOND,
            quantity=Decimal(seconds),
            estimated=estimated,
        ),
    )


def test_snapshots_are_numbered_and_belong_to_the_lease_s_segment(desk: Desk) -> None:
    for seconds in ("1", "2.5", "2.5"):
        desk.events.usage_snapshot(items(seconds))

    snapshots = desk.publisher.of(UsageSnapshot)
    assert [(event.seq, event.segment) for event in snapshots] == [(1, 3), (2, 3), (3, 3)]
    assert [event.items[0].quantity for event in snapshots] == [Decimal(1), Decimal("2.5"), Decimal("2.5")]
    assert {event.started_at for event in snapshots} == {desk.plan.started_at}


def test_the_final_record_is_the_exact_sum_of_all_segments_and_keeps_estimates_apart(desk: Desk) -> None:
    desk.clock.advance(61.5)
    desk.events.usage_record(
        [items("0.1"), items("0.2"), items("5", estimated=True)],
        ended_at=desk.clock.now(),
        reason=EndReason.AGENT_ENDED,
    )

    record = desk.publisher.one(UsageRecord)
    assert [(item.quantity, item.estimated) for item in record.items] == [
        (Decimal("0.3"), False),
        (Decimal(5), True),
    ]
    assert (record.segments, record.end_reason) == (3, EndReason.AGENT_ENDED)
    assert record.started_at == desk.plan.started_at
    assert record.ended_at - record.started_at == timedelta(seconds=61.5)


@pytest.mark.parametrize(
    ("greeting_ms", "told"), [(310.4, 310), (-2.0, 0), (None, None)], ids=["usual", "clocks", "none"]
)
def test_an_end_says_why_and_how_long_in_whole_milliseconds(
    desk: Desk, greeting_ms: float | None, told: int | None
) -> None:
    desk.clock.advance(61.0204)
    desk.events.ended(
        reason=EndReason.LIMIT_REACHED,
        ended_at=desk.clock.now(),
        turns=4,
        greeting_ms=greeting_ms,
        error_code=None,
    )

    ended = desk.publisher.one(CallEnded)
    assert (ended.end_reason, ended.duration_ms, ended.turns) == (EndReason.LIMIT_REACHED, 61_020, 4)
    assert ended.greeting_ms == told


def test_a_wall_clock_that_went_back_makes_no_negative_duration(desk: Desk) -> None:
    desk.events.ended(
        reason=EndReason.CALLER_HUNG_UP,
        ended_at=desk.plan.started_at - timedelta(seconds=1),
        turns=0,
        greeting_ms=None,
        error_code="media_failed",
    )

    assert desk.publisher.one(CallEnded).duration_ms == 0


def test_a_transfer_names_the_target_and_not_its_number(desk: Desk) -> None:
    desk.events.transferred("reception")

    assert desk.publisher.one(CallTransferred).target == "reception"


def test_a_call_without_a_plan_yet_is_requested_and_then_admitted_or_refused() -> None:
    publisher, clock = RecordingPublisher(), FakeClock()
    events = ArrivalEvents(publisher=publisher, clock=clock, tenant_id="ten_1", call_id="call_1")

    events.requested(agent_id="agt_1", media=Media.SIP, region="local")
    events.admitted(7)
    events.refused(RefusalReason.DRAINING)

    assert publisher.one(CallRequested).media is Media.SIP
    assert publisher.one(CallAdmitted).segment == 7
    assert publisher.one(CallRefused).reason is RefusalReason.DRAINING
    assert {(event.tenant_id, event.key) for event in publisher.events} == {("ten_1", "call_1")}
