"""One example of every event, with every field set; `pii` sealed by the fake sealer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from shared.contracts.calls import (
    CallAdmitted,
    CallEnded,
    CallRefused,
    CallRequested,
    CallStarted,
    CallTransferred,
)
from shared.contracts.event import Event
from shared.contracts.turns import Stages, ToolPii, ToolUse, TurnCompleted, TurnKind, TurnPii, turn_place
from shared.contracts.usage import UsageItem, UsageRecord, UsageSnapshot, UsageUnit
from shared.domain.call import EndReason, Media, RefusalReason
from shared.ids import IdKind, new_id
from tests.fakes.clock import START
from tests.fakes.sealer import FakeSealer

CANARY = "my number is 078-05-1120"
"""Said in every example that holds speech; must be found in no sink."""


def call_admitted(*, call_id: str, segment: int = 1) -> CallAdmitted:
    """The smallest event of a call."""
    return CallAdmitted(
        event_id=new_id(IdKind.EVENT), at=START, tenant_id="ten_1", call_id=call_id, segment=segment
    )


def usage_items() -> tuple[UsageItem, ...]:
    """Two items, one exact to eleven decimals."""
    return (
        UsageItem(
            provider="deepgram", sku="nova-3", unit=UsageUnit.SECOND, quantity=Decimal("61.02000000001")
        ),
        UsageItem(
            provider="openai",
            sku="gpt-4.1-mini",
            unit=UsageUnit.OUTPUT_TOKEN,
            quantity=Decimal(214),
            estimated=True,
        ),
    )


def every_event() -> list[Event]:
    """One of each class."""
    call: dict[str, Any] = {
        "tenant_id": new_id(IdKind.TENANT),
        "call_id": new_id(IdKind.CALL),
        "at": START,
    }
    agent_id = new_id(IdKind.AGENT)
    return [*_of_a_call(call, agent_id), _of_a_turn(call), *_of_usage(call, agent_id)]


def _event_id() -> str:
    return new_id(IdKind.EVENT)


def _of_a_call(call: dict[str, Any], agent_id: str) -> list[Event]:
    return [
        CallRequested(event_id=_event_id(), **call, agent_id=agent_id, media=Media.WEBSOCKET, region="local"),
        CallAdmitted(event_id=_event_id(), **call, segment=1),
        CallRefused(event_id=_event_id(), **call, reason=RefusalReason.AT_CAPACITY),
        CallStarted(
            event_id=_event_id(),
            **call,
            agent_id=agent_id,
            version_id=new_id(IdKind.AGENT_VERSION),
            version_number=3,
            media=Media.LIVEKIT,
            region="local",
            price_catalogue="2026-03",
        ),
        CallTransferred(event_id=_event_id(), **call, target="reception"),
        CallEnded(
            event_id=_event_id(),
            **call,
            end_reason=EndReason.CALLER_HUNG_UP,
            duration_ms=61_020,
            turns=4,
            greeting_ms=310,
            error_code="provider_failed",
        ),
    ]


def _of_a_turn(call: dict[str, Any]) -> Event:
    sealer = FakeSealer()

    def sealed() -> dict[str, str]:
        return sealer.seal(
            CANARY, turn_place(call["tenant_id"], call["call_id"], "turn_1", "pii")
        ).model_dump()

    return TurnCompleted(
        event_id=_event_id(),
        **call,
        turn_id=new_id(IdKind.TURN),
        index=1,
        kind=TurnKind.EXCHANGE,
        speak_to_hear_ms=-12.5,
        stages_ms=Stages(endpointing=251.0, stt_final=180.0, llm_first_token=90.5, tts_first_byte=40.0),
        interrupted=True,
        barge_in_stop_ms=220.0,
        reply_from_cache=True,
        tools=(
            ToolUse(
                name="book_room",
                ok=False,
                duration_ms=41.0,
                error_code="remote_timeout",
                pii=ToolPii.model_validate({"arguments": sealed(), "result": sealed()}),
            ),
        ),
        error_codes=("remote_timeout",),
        pii=TurnPii.model_validate({"caller_text": sealed(), "agent_text": sealed()}),
    )


def _of_usage(call: dict[str, Any], agent_id: str) -> list[Event]:
    return [
        UsageSnapshot(event_id=_event_id(), **call, segment=1, seq=2, started_at=START, items=usage_items()),
        UsageRecord(
            event_id=_event_id(),
            **call,
            agent_id=agent_id,
            started_at=START,
            ended_at=START,
            end_reason=EndReason.AGENT_ENDED,
            segments=2,
            items=usage_items(),
        ),
    ]
