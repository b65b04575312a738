"""Makes a call's events and hands them to the publisher."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

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
from shared.contracts.turns import ToolPii, ToolUse, TurnCompleted, TurnPii
from shared.contracts.usage import UsageItem, UsageRecord, UsageSnapshot, sum_items
from shared.domain.call import EndReason, Media, RefusalReason
from shared.errors import EventTooLargeError
from shared.ids import IdKind, new_id
from shared.ports import Clock, EventPublisher, Sealer


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

    @property
    def turns_published(self) -> int:
        """How many turn events went out."""
        return self._turn_index

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
        """A turn is over. Tool results that make the event too large are left out of it, and it says so."""
        try:
            self._publisher.publish(self._turn_completed(turn))
        except EventTooLargeError as error:
            tools = tuple(replace(call, result=None) for call in turn.tools)
            codes = (*turn.error_codes, error.code)
            self._publisher.publish(self._turn_completed(replace(turn, tools=tools, error_codes=codes)))
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
            tools=tuple(self._tool_use(call) for call in turn.tools),
            error_codes=turn.error_codes,
            pii=TurnPii(
                caller_text=self._seal(turn.caller_text) if turn.caller_text else None,
                agent_text=self._seal(turn.agent_text) if turn.agent_text else None,
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

    def _tool_use(self, call: ToolCall) -> ToolUse:
        return ToolUse(
            name=call.name,
            ok=call.error_code is None,
            duration_ms=call.duration_ms,
            error_code=call.error_code,
            pii=ToolPii(
                arguments=self._seal(json.dumps(call.arguments, ensure_ascii=False, default=_as_text)),
                result=None if call.result is None else self._seal(call.result),
            ),
        )

    def _seal(self, text: str) -> Any:
        return self._sealer.seal(text, tenant_id=self._plan.tenant.tenant_id)

    def _common(self) -> dict[str, Any]:
        return {
            "event_id": new_id(IdKind.EVENT),
            "at": self._clock.now(),
            "tenant_id": self._plan.tenant.tenant_id,
            "call_id": self._plan.call_id,
        }


def _as_text(value: object) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)
