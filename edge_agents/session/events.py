"""Makes a call's events and hands them to the publisher."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import structlog

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
from shared.contracts.event import UtcDatetime
from shared.contracts.sealed import Sealed
from shared.contracts.turns import ToolPii, ToolUse, TurnCompleted, TurnPii, turn_place
from shared.contracts.usage import UsageItem, UsageRecord, UsageSnapshot, sum_items
from shared.domain.call import EndReason, Media, RefusalReason
from shared.errors import EventTooLargeError
from shared.ids import IdKind, new_id
from shared.ports import Clock, EventPublisher, Sealer

log = structlog.get_logger(__name__)


class ArrivalEvents:
    """Events of a call that has no plan yet: requested, refused."""

    def __init__(self, *, publisher: EventPublisher, clock: Clock, tenant_id: str, call_id: str) -> None:
        self._publisher = publisher
        self._clock = clock
        self._ids = {"tenant_id": tenant_id, "call_id": call_id}

    def requested(self, *, agent_id: str, media: Media, region: str) -> None:
        """Somebody wants to talk to an agent."""
        self._publisher.publish(
            CallRequested(**self._common(), agent_id=agent_id, media=media, region=region)
        )

    def refused(self, reason: RefusalReason) -> None:
        """Admission said no."""
        self._publisher.publish(CallRefused(**self._common(), reason=reason))

    def admitted(self, segment: int) -> None:
        """Admission granted a lease."""
        self._publisher.publish(CallAdmitted(**self._common(), segment=segment))

    def _common(self) -> dict[str, Any]:
        return {"event_id": new_id(IdKind.EVENT), "at": self._clock.now(), **self._ids}


class CallEvents:
    """Events of one running call. Seals personal data; counts snapshots."""

    def __init__(self, plan: CallPlan, *, publisher: EventPublisher, sealer: Sealer, clock: Clock) -> None:
        self._plan = plan
        self._publisher = publisher
        self._sealer = sealer
        self._clock = clock
        self._seq = 0
        self._turn_index = 0
        self._turns_lost = 0

    @property
    def turns_published(self) -> int:
        """How many turn events went out."""
        return self._turn_index - self._turns_lost

    @property
    def turns_lost(self) -> int:
        """How many turns were too large for an event, however much was left out."""
        return self._turns_lost

    def started(self) -> None:
        """The agent is on the line."""
        plan = self._plan
        self._publisher.publish(
            CallStarted(
                **self._common(),
                agent_id=plan.version.agent_id,
                version_id=plan.version.version_id,
                version_number=plan.version.number,
                media=plan.media,
                region=plan.region,
                price_catalogue=plan.price_catalogue,
            )
        )

    def turn(self, turn: FinishedTurn) -> None:
        """A turn is over. What makes its event too large is left out of it, and it says so.

        Tool results go first, then all words and tool calls. An event that is too large even so is lost: it is
        logged and counted, its index stays a gap, and the call goes on.
        """
        codes = (*turn.error_codes, EventTooLargeError.code)
        without_results = tuple(replace(call, result=None) for call in turn.tools)
        for attempt in (
            turn,
            replace(turn, tools=without_results, error_codes=codes),
            replace(turn, caller_text="", agent_text="", tools=(), error_codes=codes),
        ):
            try:
                self._publisher.publish(self._turn_completed(attempt))
                break
            except EventTooLargeError:
                log.warning("turn_event_too_large", tools=len(attempt.tools))
        else:
            self._turns_lost += 1
            log.error("turn_event_lost", lost=self._turns_lost)
        self._turn_index += 1

    def _turn_completed(self, turn: FinishedTurn) -> TurnCompleted:
        return TurnCompleted(
            **self._common(),
            turn_id=turn.turn_id,
            index=self._turn_index,
            kind=turn.kind,
            speak_to_hear_ms=turn.speak_to_hear_ms,
            stages_ms=turn.stages,
            interrupted=turn.interrupted,
            barge_in_stop_ms=turn.barge_in_stop_ms,
            reply_from_cache=turn.from_cache,
            tools=tuple(self._tool_use(call, turn.turn_id, at) for at, call in enumerate(turn.tools)),
            error_codes=turn.error_codes,
            pii=TurnPii(
                caller_text=self._seal_words(turn.caller_text, turn.turn_id, "pii.caller_text"),
                agent_text=self._seal_words(turn.agent_text, turn.turn_id, "pii.agent_text"),
            ),
        )

    def transferred(self, target: str) -> None:
        """The caller was handed over."""
        self._publisher.publish(CallTransferred(**self._common(), target=target))

    def usage_snapshot(self, items: Iterable[UsageItem]) -> None:
        """Consumption so far."""
        self._seq += 1
        self._publisher.publish(
            UsageSnapshot(
                **self._common(),
                segment=self._plan.segment,
                seq=self._seq,
                started_at=self._plan.started_at,
                items=tuple(items),
            )
        )

    def usage_record(
        self, segments: list[tuple[UsageItem, ...]], *, ended_at: UtcDatetime, reason: EndReason
    ) -> None:
        """The one final record: the sum of the last snapshot of every segment."""
        self._publisher.publish(
            UsageRecord(
                **self._common(),
                agent_id=self._plan.version.agent_id,
                started_at=self._plan.started_at,
                ended_at=ended_at,
                end_reason=reason,
                segments=len(segments),
                items=sum_items(segments),
            )
        )

    def ended(
        self,
        *,
        reason: EndReason,
        ended_at: UtcDatetime,
        turns: int,
        greeting_ms: float | None,
        error_code: str | None,
    ) -> None:
        """The call is over."""
        duration_ms = (ended_at - self._plan.started_at).total_seconds() * 1000
        self._publisher.publish(
            CallEnded(
                **self._common(),
                end_reason=reason,
                duration_ms=max(round(duration_ms), 0),
                turns=turns,
                greeting_ms=None if greeting_ms is None else max(round(greeting_ms), 0),
                error_code=error_code,
            )
        )

    def _tool_use(self, call: ToolCall, turn_id: str, position: int) -> ToolUse:
        arguments = json.dumps(call.arguments, ensure_ascii=False, default=_as_text)
        field = f"tools.{position}.pii"
        return ToolUse(
            name=call.name,
            ok=call.error_code is None,
            duration_ms=call.duration_ms,
            error_code=call.error_code,
            pii=ToolPii(
                arguments=self._seal(arguments, turn_id, f"{field}.arguments"),
                result=None if call.result is None else self._seal(call.result, turn_id, f"{field}.result"),
            ),
        )

    def _seal_words(self, text: str, turn_id: str, field: str) -> Sealed | None:
        return self._seal(text, turn_id, field) if text else None

    def _seal(self, text: str, turn_id: str, field: str) -> Sealed:
        place = turn_place(self._plan.tenant.tenant_id, self._plan.call_id, turn_id, field)
        return self._sealer.seal(text, place)

    def _common(self) -> dict[str, Any]:
        return {
            "event_id": new_id(IdKind.EVENT),
            "at": self._clock.now(),
            "tenant_id": self._plan.tenant.tenant_id,
            "call_id": self._plan.call_id,
        }


def _as_text(value: object) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)
