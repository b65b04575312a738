"""What every event has in common: CloudEvents 1.0 attributes, our ids, its topic and its key."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from shared.domain.model import FrozenModel
from shared.names import Topic


def _is_utc(value: datetime) -> datetime:
    if value.tzinfo is None or value.utcoffset():
        raise ValueError("must be timezone-aware and UTC")
    return value


UtcDatetime = Annotated[datetime, AfterValidator(_is_utc)]
"""A timezone-aware instant in UTC; anything else is refused."""


class Event(FrozenModel):
    """Base of all events. A change that breaks readers is a new TYPE with the next version."""

    TYPE: ClassVar[str] = ""
    """CloudEvents type: past tense with a version, for example `parley.call.started.v1`."""
    TOPIC: ClassVar[str] = ""
    """Kafka topic."""

    event_id: str = Field(pattern=r"^evt_[0-9A-HJKMNP-TV-Z]{26}$")
    """`evt_` + ULID; the same on every delivery of the same event."""
    at: UtcDatetime
    """When it happened (not when it was sent), UTC."""
    tenant_id: str
    """Whose it is."""

    @property
    def key(self) -> str:
        """Kafka key: what orders this event among others. Call events override it."""
        return self.tenant_id


class CallEvent(Event):
    """An event of one call; all events of a call share a partition and so keep their order."""

    TOPIC: ClassVar[str] = Topic.CALLS

    call_id: str
    """The call."""

    @property
    def key(self) -> str:
        """Kafka key: the call."""
        return self.call_id
