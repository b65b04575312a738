"""`call.json`: one call as its events tell it, with the caller's own measurements beside ours.

Everything but the caller's side is read back from Kafka: what is not in the events is not in the report.
Quantities, prices and amounts are decimal strings; `amount_usd` is `quantity` x `unit_price_usd`, unrounded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import PlainSerializer

from local_stack.private_files import write_private
from local_stack.reporting.join import AgentExchange, CallerUtterance, join_turns
from local_stack.reporting.plain_text import encodable, encodable_object
from shared.adapters.kafka_consumer import ReceivedEvent
from shared.contracts.calls import CallEnded, CallRefused, CallStarted
from shared.contracts.event import Event
from shared.contracts.sealed import Sealed, SealedPlace
from shared.contracts.turns import Stages, TurnCompleted, TurnKind
from shared.contracts.usage import UsageRecord
from shared.domain.model import FrozenModel
from shared.errors import StackError
from shared.pricing.catalogue import PriceCatalogue, total_usd
from shared.pricing.price import CostLine

EventT = TypeVar("EventT", bound=Event)
Unseal = Callable[[Sealed, SealedPlace], str]

PlainDecimal = Annotated[Decimal, PlainSerializer(lambda value: format(value, "f"), return_type=str)]
"""A decimal written as a plain string, never in exponent form."""


class CallerTurn(FrozenModel):
    """What the caller measured of one of its utterances."""

    speak_to_hear_ms: float | None = None
    """End of its speech as sent -> first audible sample heard."""
    barge_in_stop_ms: float | None = None
    """Its first voiced sample over the agent -> last agent sample heard; None when it did not barge in."""
    start_s: float = 0.0
    """Where its speech begins on the recording, seconds."""
    end_s: float = 0.0
    """Where it ends."""
    spoken_text: str | None = None
    """What the caller was given to say, where that is known (synthesised callers)."""


class ReportTurn(FrozenModel):
    """One exchange: the caller spoke, the agent answered."""

    turn_id: str
    index: int
    """Position among all of the call's turns, those of `agent_only` too."""
    caller_text: str
    """As the agent understood it."""
    agent_text: str
    speak_to_hear_ms: float | None
    """Measured by the agent."""
    stages_ms: Stages
    interrupted: bool
    barge_in_stop_ms: float | None
    """Measured by the agent, on interrupted turns."""
    caller_side_speak_to_hear_ms: float | None
    """Measured by the caller; None where no utterance of the caller fits this turn."""
    caller_side_barge_in_stop_ms: float | None
    """Measured by the caller, on interrupted turns."""
    caller_start_s: float | None
    """Where the caller's speech begins on the recording, seconds."""
    caller_end_s: float | None
    """Where it ends."""
    spoken_text: str | None
    """What the caller was given to say, where that is known."""
    reply_from_cache: bool
    error_codes: tuple[str, ...]


class ReportSpeech(FrozenModel):
    """Something the agent said that answers nothing: greeting, wrap-up, apology."""

    index: int
    """Position among all of the call's turns."""
    kind: TurnKind
    agent_text: str
    reply_from_cache: bool
    interrupted: bool
    barge_in_stop_ms: float | None


class ReportTool(FrozenModel):
    """One tool call."""

    turn_id: str
    name: str
    arguments: dict[str, Any]
    result: str | None
    ok: bool
    error_code: str | None
    duration_ms: float


class ReportUsage(FrozenModel):
    """One rated quantity."""

    provider: str
    sku: str
    quantity: PlainDecimal
    unit: str
    unit_price_usd: PlainDecimal
    amount_usd: PlainDecimal
    price_id: str
    estimated: bool


class CallReport(FrozenModel):
    """The whole of `call.json`."""

    call_id: str
    tenant_id: str
    tenant: str
    agent_version: str
    agent_version_number: int
    media: str
    region: str
    started_at: datetime
    duration_ms: int
    end_reason: str
    error_code: str | None
    greeting_ms: float | None
    caller_side_greeting_ms: float | None
    turns: tuple[ReportTurn, ...]
    agent_only: tuple[ReportSpeech, ...]
    tools: tuple[ReportTool, ...]
    usage: tuple[ReportUsage, ...]
    unpriced: tuple[str, ...]
    """What was used and has no price, as `provider/sku/unit`; `cost_usd` leaves it out."""
    cost_usd: PlainDecimal
    """Sum of the amounts in `usage`."""
    cost_complete: bool
    """Whether everything that was used has a price."""
    price_catalogue: str
    events: dict[str, int]

    def in_order(self) -> list[ReportTurn | ReportSpeech]:
        """All that was said, as it was said."""
        said: list[ReportTurn | ReportSpeech] = [*self.turns, *self.agent_only]
        return sorted(said, key=lambda speech: speech.index)

    def write(self, path: Path) -> None:
        """Write as indented JSON (0600)."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False)
        write_private(path, text + "\n")


def is_complete(events: Sequence[ReceivedEvent]) -> bool:
    """Whether the events of a call are all there: it ended and its usage is final, or it was refused."""
    kinds = {type(received.event) for received in events}
    return CallRefused in kinds or {CallEnded, UsageRecord} <= kinds


def build_call_report(
    events: Sequence[ReceivedEvent],
    *,
    tenant_slug: str,
    caller_turns: Sequence[CallerTurn],
    caller_side_greeting_ms: float | None,
    unseal: Unseal,
    catalogue: PriceCatalogue,
) -> CallReport:
    """Put a call's report together.

    Args:
        events: all events of one call.
        tenant_slug: the tenant's short name.
        caller_turns: the caller's measurements, in the order in which it spoke.
        caller_side_greeting_ms: connect -> greeting heard, at the caller's end.
        unseal: opens personal data (Sealer.unseal).
        catalogue: rates the usage.

    Raises:
        StackError: the call was refused, or its events are not all there.
    """
    started, ended, record = _whole_call(events)
    turns = sorted(_events(events, TurnCompleted), key=lambda turn: turn.index)
    lines, unpriced = catalogue.rate_partial(record.items, record.started_at)
    return CallReport(
        call_id=ended.call_id,
        tenant_id=ended.tenant_id,
        tenant=tenant_slug,
        agent_version=started.version_id,
        agent_version_number=started.version_number,
        media=started.media.value,
        region=started.region,
        started_at=record.started_at,
        duration_ms=ended.duration_ms,
        end_reason=ended.end_reason.value,
        error_code=ended.error_code,
        greeting_ms=ended.greeting_ms,
        caller_side_greeting_ms=_rounded(caller_side_greeting_ms),
        turns=_exchanges(turns, caller_turns, started.at, unseal),
        agent_only=tuple(_speech(turn, unseal) for turn in turns if turn.kind is not TurnKind.EXCHANGE),
        tools=tuple(_tool(turn, at, unseal) for turn in turns for at in range(len(turn.tools))),
        usage=tuple(_usage(line) for line in lines),
        unpriced=tuple(f"{item.provider}/{item.sku}/{item.unit.value}" for item in unpriced),
        cost_usd=total_usd(lines),
        cost_complete=not unpriced,
        price_catalogue=started.price_catalogue,
        events=dict(sorted(Counter(received.topic for received in events).items())),
    )


def _whole_call(events: Sequence[ReceivedEvent]) -> tuple[CallStarted, CallEnded, UsageRecord]:
    """The events that a report can't do without.

    Raises:
        StackError: as `build_call_report`.
    """
    hint = "see the agent's log"
    if refused := _events(events, CallRefused):
        raise StackError(f"the call was refused: {refused[0].reason.value}", hint=hint)
    if not is_complete(events):
        seen = ", ".join(sorted({received.event.TYPE for received in events})) or "none"
        raise StackError(f"the call's events did not all arrive (seen: {seen})", hint=hint)
    started, ended = _events(events, CallStarted), _events(events, CallEnded)[0]
    if not started:
        why = ended.error_code or ended.end_reason.value
        raise StackError(f"the call failed before it started: {why}", hint=hint)
    return started[0], ended, _events(events, UsageRecord)[0]


def _events(events: Sequence[ReceivedEvent], kind: type[EventT]) -> list[EventT]:
    return [received.event for received in events if isinstance(received.event, kind)]


def _exchanges(
    turns: Sequence[TurnCompleted],
    caller_turns: Sequence[CallerTurn],
    started_at: datetime,
    unseal: Unseal,
) -> tuple[ReportTurn, ...]:
    exchanges = [turn for turn in turns if turn.kind is TurnKind.EXCHANGE]
    joined = join_turns(
        _as_noted_by_the_agent(turns, started_at),
        [CallerUtterance(turn.start_s, turn.end_s, turn.speak_to_hear_ms) for turn in caller_turns],
    )
    return tuple(
        _exchange(turn, caller_turns, position, unseal)
        for turn, position in zip(exchanges, joined, strict=True)
    )


def _as_noted_by_the_agent(turns: Sequence[TurnCompleted], started_at: datetime) -> list[AgentExchange]:
    over_s = [(turn.at - started_at).total_seconds() for turn in turns]
    return [
        AgentExchange(over_s[index], over_s[index - 1] if index else None, turn.speak_to_hear_ms)
        for index, turn in enumerate(turns)
        if turn.kind is TurnKind.EXCHANGE
    ]


def _exchange(
    turn: TurnCompleted,
    caller_turns: Sequence[CallerTurn],
    position: int | None,
    unseal: Unseal,
) -> ReportTurn:
    """One exchange, with the utterance at `position` of the caller's where there is one."""
    caller = cutting = None
    if position is not None:
        caller = caller_turns[position]
        # the caller measures a barge-in on the utterance that cut the reply: the one after
        cutting = caller_turns[position + 1] if position + 1 < len(caller_turns) else None
    return ReportTurn(
        turn_id=turn.turn_id,
        index=turn.index,
        caller_text=_open(turn, "pii.caller_text", turn.pii.caller_text, unseal),
        agent_text=_open(turn, "pii.agent_text", turn.pii.agent_text, unseal),
        speak_to_hear_ms=_rounded(turn.speak_to_hear_ms),
        stages_ms=turn.stages_ms,
        interrupted=turn.interrupted,
        barge_in_stop_ms=_rounded(turn.barge_in_stop_ms),
        caller_side_speak_to_hear_ms=_rounded(caller.speak_to_hear_ms) if caller else None,
        caller_side_barge_in_stop_ms=(
            _rounded(cutting.barge_in_stop_ms) if turn.interrupted and cutting else None
        ),
        caller_start_s=caller.start_s if caller else None,
        caller_end_s=caller.end_s if caller else None,
        spoken_text=caller.spoken_text if caller else None,
        reply_from_cache=turn.reply_from_cache,
        error_codes=turn.error_codes,
    )


def _speech(turn: TurnCompleted, unseal: Unseal) -> ReportSpeech:
    return ReportSpeech(
        index=turn.index,
        kind=turn.kind,
        agent_text=_open(turn, "pii.agent_text", turn.pii.agent_text, unseal),
        reply_from_cache=turn.reply_from_cache,
        interrupted=turn.interrupted,
        barge_in_stop_ms=_rounded(turn.barge_in_stop_ms),
    )


def _tool(turn: TurnCompleted, position: int, unseal: Unseal) -> ReportTool:
    tool, field = turn.tools[position], f"tools.{position}.pii"
    return ReportTool(
        turn_id=turn.turn_id,
        name=encodable(tool.name),
        arguments=encodable_object(unseal(tool.pii.arguments, turn.place(f"{field}.arguments"))),
        result=_open(turn, f"{field}.result", tool.pii.result, unseal) if tool.pii.result else None,
        ok=tool.ok,
        error_code=tool.error_code,
        duration_ms=tool.duration_ms,
    )


def _usage(line: CostLine) -> ReportUsage:
    return ReportUsage(
        provider=line.provider,
        sku=line.sku,
        quantity=line.quantity,
        unit=line.unit.value,
        unit_price_usd=line.unit_price_usd,
        amount_usd=line.amount_usd,
        price_id=line.price_id,
        estimated=line.estimated,
    )


def _open(turn: TurnCompleted, field: str, sealed: Sealed | None, unseal: Unseal) -> str:
    return encodable(unseal(sealed, turn.place(field))) if sealed is not None else ""


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
