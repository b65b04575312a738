"""The life of a call: requested, admitted or refused, started, transferred, ended."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from shared.contracts.event import CallEvent
from shared.domain.call import EndReason, Media, RefusalReason


class CallRequested(CallEvent):
    """Somebody wants to talk to an agent; nothing has been granted yet."""

    TYPE: ClassVar[str] = "parley.call.requested.v1"

    agent_id: str
    """The agent asked for."""
    media: Media
    """How the audio would come."""
    region: str
    """Where it arrived."""


class CallAdmitted(CallEvent):
    """Admission granted a lease."""

    TYPE: ClassVar[str] = "parley.call.admitted.v1"

    segment: int = Field(ge=1)
    """The lease's fencing token: grows when another worker takes the call over."""


class CallRefused(CallEvent):
    """Admission said no: no agent answered, no provider was touched, nothing is owed."""

    TYPE: ClassVar[str] = "parley.call.refused.v1"

    reason: RefusalReason
    """Why."""


class CallStarted(CallEvent):
    """The agent is on the line: its audio is published and it is about to greet."""

    TYPE: ClassVar[str] = "parley.call.started.v1"

    agent_id: str
    """The agent."""
    version_id: str
    """The immutable version this call runs."""
    version_number: int = Field(ge=1)
    """Its number."""
    media: Media
    """How the audio comes."""
    region: str
    """Where it runs."""
    price_catalogue: str
    """Version of the price catalogue that will rate it."""


class CallTransferred(CallEvent):
    """The caller was handed to another target; the agent leaves."""

    TYPE: ClassVar[str] = "parley.call.transferred.v1"

    target: str
    """The target's name in the agent's configuration, never its number."""


class CallEnded(CallEvent):
    """The call is over; the final usage record follows or precedes on its own topic."""

    TYPE: ClassVar[str] = "parley.call.ended.v1"

    end_reason: EndReason
    """Why."""
    duration_ms: int = Field(ge=0)
    """From started to ended, milliseconds."""
    turns: int = Field(ge=0)
    """Turns of the caller."""
    greeting_ms: int | None = Field(default=None, ge=0)
    """Media connected -> first audible sample of the greeting, milliseconds; None when none was heard."""
    error_code: str | None = None
    """Stable code of the error that ended the call, when one did."""
