"""Calls that never were: their events, what their callers measured, and a recording to go with them."""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from local_stack.reporting.call_report import CallerTurn, CallReport, build_call_report
from shared.adapters.kafka_consumer import ReceivedEvent
from shared.adapters.sealing import KEY_BYTES, AesGcmSealer
from shared.contracts.calls import CallAdmitted, CallEnded, CallRefused, CallRequested, CallStarted
from shared.contracts.event import Event
from shared.contracts.turns import Stages, ToolPii, ToolUse, TurnCompleted, TurnKind, TurnPii, turn_place
from shared.contracts.usage import UsageItem, UsageRecord, UsageSnapshot, UsageUnit
from shared.domain.call import EndReason, Media, RefusalReason
from shared.ids import IdKind, new_id
from shared.pricing.catalogue import packaged_catalogue

START = datetime(2026, 11, 3, 9, 26, 53, tzinfo=UTC)
"""A day for which the packaged catalogue has prices."""
RATE_HZ = 16000
Samples = NDArray[np.int16]


@dataclass
class MadeUpCall:
    """Collects events as an agent would publish them; times are seconds since the call was answered."""

    media: Media = Media.WEBSOCKET
    events: list[Event] = field(default_factory=list)
    sealer: AesGcmSealer = field(default_factory=lambda: AesGcmSealer(bytes(KEY_BYTES)))
    call_id: str = field(default_factory=lambda: new_id(IdKind.CALL))
    tenant_id: str = field(default_factory=lambda: new_id(IdKind.TENANT))
    version_id: str = field(default_factory=lambda: new_id(IdKind.AGENT_VERSION))
    agent_id: str = field(default_factory=lambda: new_id(IdKind.AGENT))
    turns: int = 0
    turn_id: str = field(default_factory=lambda: new_id(IdKind.TURN))
    tools: int = 0

    def arrives(self) -> None:
        """Asked for and let in."""
        self.events.append(
            CallRequested(**self._ids(0), agent_id=self.agent_id, media=self.media, region="local")
        )
        self.events.append(CallAdmitted(**self._ids(0), segment=1))

    def is_refused(self) -> None:
        """No room."""
        self.events.append(CallRefused(**self._ids(0), reason=RefusalReason.AT_CAPACITY))

    def starts(self) -> None:
        """The agent is on the line."""
        self.events.append(
            CallStarted(
                **self._ids(0),
                agent_id=self.agent_id,
                version_id=self.version_id,
                version_number=3,
                media=self.media,
                region="local",
                price_catalogue="prices-1",
            )
        )

    def agent_says(self, text: str, over_s: float, *, kind: TurnKind = TurnKind.AGENT_ONLY) -> None:
        """Something that answers nothing."""
        self.turn(over_s, kind=kind, agent_text=text)

    def exchange(self, caller_text: str, agent_text: str, over_s: float, **more: Any) -> None:
        """The caller spoke, the agent answered."""
        self.turn(over_s, kind=TurnKind.EXCHANGE, caller_text=caller_text, agent_text=agent_text, **more)

    def turn(
        self, over_s: float, *, kind: TurnKind, caller_text: str = "", agent_text: str = "", **more: Any
    ) -> None:
        """Any turn; `more` are further fields of the event."""
        pii = TurnPii(
            caller_text=self._seal(caller_text, "pii.caller_text") if caller_text else None,
            agent_text=self._seal(agent_text, "pii.agent_text") if agent_text else None,
        )
        self.events.append(
            TurnCompleted(
                **self._ids(over_s),
                turn_id=self.turn_id,
                index=self.turns,
                kind=kind,
                pii=pii,
                **more,
            )
        )
        self.turns += 1
        self.turn_id, self.tools = new_id(IdKind.TURN), 0

    def tool(self, name: str, arguments: object, result: str | None, **more: Any) -> ToolUse:
        """For the next exchange's `tools`, in the order in which they are made."""
        field = f"tools.{self.tools}.pii"
        self.tools += 1
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        pii = ToolPii(
            arguments=self._seal(text, f"{field}.arguments"),
            result=None if result is None else self._seal(result, f"{field}.result"),
        )
        return ToolUse(**{"name": name, "ok": True, "duration_ms": 41.5, "pii": pii, **more})

    def uses(self, *items: UsageItem, at_s: float = 10.0) -> None:
        """A snapshot on the way."""
        self.events.append(UsageSnapshot(**self._ids(at_s), segment=1, seq=1, started_at=START, items=items))

    def books(self, *items: UsageItem, at_s: float = 30.0) -> None:
        """The final usage record."""
        self.events.append(
            UsageRecord(
                **self._ids(at_s),
                agent_id=self.agent_id,
                started_at=START,
                ended_at=START + timedelta(seconds=at_s),
                end_reason=EndReason.CALLER_HUNG_UP,
                segments=1,
                items=items,
            )
        )

    def ends(self, at_s: float = 30.0, **more: Any) -> None:
        """The last event."""
        fields: dict[str, Any] = {"end_reason": EndReason.CALLER_HUNG_UP, "greeting_ms": 180, **more}
        exchanges = sum(
            isinstance(event, TurnCompleted) and event.kind is TurnKind.EXCHANGE for event in self.events
        )
        self.events.append(
            CallEnded(**self._ids(at_s), duration_ms=round(at_s * 1000), turns=exchanges, **fields)
        )

    def received(self) -> list[ReceivedEvent]:
        """The events as a reader finds them."""
        return [
            ReceivedEvent(
                topic=event.TOPIC, partition=0, offset=offset, key=event.key, headers={}, event=event
            )
            for offset, event in enumerate(self.events)
        ]

    def report(self, *caller_turns: CallerTurn, tenant_slug: str = "rooms") -> CallReport:
        """What the product makes of it."""
        return build_call_report(
            self.received(),
            tenant_slug=tenant_slug,
            caller_turns=caller_turns,
            caller_side_greeting_ms=190.04,
            unseal=self.sealer.unseal,
            catalogue=packaged_catalogue(),
        )

    def _ids(self, at_s: float) -> dict[str, Any]:
        return {
            "event_id": new_id(IdKind.EVENT),
            "at": START + timedelta(seconds=at_s),
            "tenant_id": self.tenant_id,
            "call_id": self.call_id,
        }

    def _seal(self, text: str, field: str) -> Any:
        return self.sealer.seal(text, turn_place(self.tenant_id, self.call_id, self.turn_id, field))


def item(provider: str, sku: str, unit: UsageUnit, quantity: str, *, estimated: bool = False) -> UsageItem:
    """A quantity."""
    return UsageItem(provider=provider, sku=sku, unit=unit, quantity=Decimal(quantity), estimated=estimated)


def usage() -> tuple[UsageItem, ...]:
    """What a short call uses."""
    return (
        item("deepgram", "aura-2", UsageUnit.CHARACTER, "412"),
        item("deepgram", "nova-3", UsageUnit.SECOND, "31.02"),
        item("openai", "gpt-4.1-mini", UsageUnit.INPUT_TOKEN, "2913"),
        item("openai", "gpt-4.1-mini", UsageUnit.OUTPUT_TOKEN, "214", estimated=True),
    )


STAGES = Stages(endpointing=508.4, stt_final=351.2, llm_first_token=402.6, tts_first_byte=152.3)
"""A turn as the local engines make it."""


def booking() -> MadeUpCall:
    """A whole call of three turns: one answered, one interrupted, one with a tool."""
    call = MadeUpCall()
    call.arrives()
    call.starts()
    call.agent_says("Hello, this is Meeting Rooms.", 2.4, kind=TurnKind.GREETING)
    call.exchange(
        "book a room", "Of course. Where is it to be?", 7.0, speak_to_hear_ms=1012.46, stages_ms=STAGES
    )
    call.exchange(
        "in mountain view",
        "We have eleven rooms in Mountain View, and the first",
        12.6,
        speak_to_hear_ms=987.0,
        stages_ms=STAGES,
        interrupted=True,
        barge_in_stop_ms=212.34,
    )
    call.uses(item("deepgram", "aura-2", UsageUnit.CHARACTER, "120"))
    tool = call.tool("book_room", {"city": "Mountain View", "people": 2}, '{"booked": true}')
    call.exchange(
        "for two people",
        "Booked.",
        19.0,
        speak_to_hear_ms=1204.0,
        stages_ms=STAGES,
        tools=(tool,),
        reply_from_cache=True,
        error_codes=("remote_timeout",),
    )
    call.agent_says("Thank you for calling.", 22.0)
    call.books(*usage())
    call.ends()
    return call


def bookings_caller() -> list[CallerTurn]:
    """What the caller of `booking` measured."""
    return [
        CallerTurn(speak_to_hear_ms=1020.0, start_s=3.2, end_s=4.3, spoken_text="book a room"),
        CallerTurn(speak_to_hear_ms=1001.5, start_s=7.9, end_s=9.3, spoken_text="Mountain View"),
        CallerTurn(
            speak_to_hear_ms=1210.0, barge_in_stop_ms=240.06, start_s=12.3, end_s=14.0, spoken_text=None
        ),
    ]


def write_recording(path: Path, caller: Samples, agent: Samples) -> None:
    """A stereo file as callers write it: caller left, agent right."""
    both = np.zeros((max(len(caller), len(agent)), 2), "<i2")
    both[: len(caller), 0] = caller
    both[: len(agent), 1] = agent
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(RATE_HZ)
        wav.writeframes(both.tobytes())


def place(track: Samples, sound: Samples, at_s: float) -> None:
    """Put a sound on a track, over what is there."""
    start = round(at_s * RATE_HZ)
    track[start : start + len(sound)] = sound[: max(len(track) - start, 0)]


def tone(seconds: float, *, amplitude: float = 0.3, hz: float = 220.0) -> Samples:
    """Something audible."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (np.sin(2 * np.pi * hz * time_s) * amplitude * 32767).astype(np.int16)


def tracks(callers: Sequence[CallerTurn], seconds: float) -> tuple[Samples, Samples]:
    """Tones where the caller spoke, and where it heard the agent afterwards."""
    caller, agent = np.zeros((2, round(seconds * RATE_HZ)), np.int16)
    for turn in callers:
        place(caller, tone(turn.end_s - turn.start_s), turn.start_s)
        heard_s = turn.end_s + (turn.speak_to_hear_ms or 0) / 1000
        place(agent, tone(1.5, hz=140.0), heard_s)
    return caller, agent
