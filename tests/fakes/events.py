"""A publisher that keeps what it is given."""

from __future__ import annotations

from typing import TypeVar

from shared.contracts.event import Event
from shared.errors import EventTooLargeError
from shared.names import MAX_EVENT_BYTES

E = TypeVar("E", bound=Event)


class RecordingPublisher:
    """EventPublisher into a list; refuses what Kafka's would refuse."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.traceparents: list[str | None] = []
        self.flushes: list[float] = []
        self.flushed = True
        """What `flush` answers."""

    def publish(self, event: Event, *, traceparent: str | None = None) -> None:
        """Keep the event."""
        if len(event.model_dump_json().encode()) > MAX_EVENT_BYTES:
            raise EventTooLargeError("over 1 MiB")
        self.events.append(event)
        self.traceparents.append(traceparent)

    async def flush(self, timeout_s: float) -> bool:
        """Note that it was asked."""
        self.flushes.append(timeout_s)
        return self.flushed

    def of(self, event_type: type[E]) -> list[E]:
        """The events of one class, in order."""
        return [event for event in self.events if isinstance(event, event_type)]

    def one(self, event_type: type[E]) -> E:
        """The only event of that class."""
        (event,) = self.of(event_type)
        return event
