"""One wide event per turn: what was said, what it took, and what went wrong."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from shared.contracts.event import CallEvent
from shared.contracts.sealed import Sealed, SealedPlace
from shared.domain.model import FrozenModel
from shared.names import Topic


class TurnKind(StrEnum):
    """Who began."""

    GREETING = "greeting"
    """The agent's first sentence."""
    EXCHANGE = "exchange"
    """The caller spoke, the agent answered (or failed to)."""
    AGENT_ONLY = "agent_only"
    """The agent spoke on its own: wrap-up, apology, goodbye."""


class Stages(FrozenModel):
    """Where a turn's time went, milliseconds. Stages overlap: their sum is not the turn's latency."""

    endpointing: float | None = Field(default=None, ge=0)
    """Caller's end of speech -> turn taken."""
    stt_final: float | None = Field(default=None, ge=0)
    """Caller's end of speech -> final transcript."""
    llm_first_token: float | None = Field(default=None, ge=0)
    """Request -> first token (may run before the turn is taken)."""
    tts_first_byte: float | None = Field(default=None, ge=0)
    """Text -> first byte of audio."""


class TurnPii(FrozenModel):
    """What was said, sealed."""

    caller_text: Sealed | None = None
    """Transcript of the caller's side."""
    agent_text: Sealed | None = None
    """What the agent said; cut at the interruption when there was one."""


class ToolPii(FrozenModel):
    """What a tool was given and gave back, sealed."""

    arguments: Sealed
    """JSON object."""
    result: Sealed | None = None
    """As the model saw it; None when there was none."""


class ToolUse(FrozenModel):
    """One tool call inside a turn."""

    name: str
    """Function name."""
    ok: bool
    """Whether it gave a result."""
    duration_ms: float = Field(ge=0)
    """From request to result."""
    error_code: str | None = None
    """Stable code when it failed."""
    pii: ToolPii
    """Arguments and result."""


class TurnCompleted(CallEvent):
    """A turn is over: the agent's reply was played to its end, or interrupted, or never came."""

    TYPE: ClassVar[str] = "parley.turn.completed.v1"
    TOPIC: ClassVar[str] = Topic.TURNS

    turn_id: str
    """`turn_` + ULID."""
    index: int = Field(ge=0)
    """0, 1, 2 … in the order in which turns ended."""
    kind: TurnKind
    """Who began."""
    speak_to_hear_ms: float | None = None
    """Caller's end of speech in the received samples -> first audible sample of the reply sent; None when
    either was not there. Negative when the agent began before the caller had finished."""
    stages_ms: Stages = Stages()
    """Breakdown."""
    interrupted: bool = False
    """Whether the caller's speech cut the reply short; a hang-up or the end of the call does not count."""
    barge_in_stop_ms: float | None = Field(default=None, ge=0)
    """Caller's first voiced sample -> last agent sample sent; set exactly on interrupted turns. 0 when the reply was
    cut before any of it was sent."""
    reply_from_cache: bool = False
    """Whether the reply was kept audio rather than fresh synthesis."""
    tools: tuple[ToolUse, ...] = ()
    """Tool calls made for this turn."""
    error_codes: tuple[str, ...] = ()
    """Failures met on the way, even those that a fallback covered."""
    pii: TurnPii = TurnPii()
    """What was said."""

    def place(self, field: str) -> SealedPlace:
        """Where a sealed field of this event stands, for opening it.

        Args:
            field: `pii.caller_text`, `pii.agent_text`, `tools.0.pii.arguments`, `tools.0.pii.result` …
        """
        return turn_place(self.tenant_id, self.call_id, self.turn_id, field)


def turn_place(tenant_id: str, call_id: str, turn_id: str, field: str) -> SealedPlace:
    """Where a field of a turn's event stands, before there is the event."""
    return SealedPlace(tenant_id=tenant_id, call_id=call_id, path=f"{turn_id}/{field}")
