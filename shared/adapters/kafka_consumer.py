"""Read events back from Kafka, from the beginning: for the local stack's reports and for tests.

Not how consumers of the product read (they keep offsets, in groups): a reader starts anew with each `read`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from pydantic import ValidationError
from ulid import ULID

from shared.contracts.event import Event
from shared.contracts.registry import event_types
from shared.errors import RemoteError
from shared.names import MAX_EVENT_BYTES, Header, Topic

logger = structlog.get_logger(__name__)

_BATCH_RECORDS: Final = 500
_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as it stands on its topic."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: dict[str, str]
    event: Event


class EventReader:
    """Reads all events of some topics. One read at a time; nothing to close.

    Args:
        bootstrap: host:port of the brokers, comma separated.
        topics: which; those that don't exist are left out.
        max_events: a read ends when it has so many.
        connect_timeout_s: how long brokers may take to say which partitions there are, seconds.
    """

    def __init__(
        self,
        *,
        bootstrap: str,
        topics: Sequence[str] = (Topic.CALLS, Topic.TURNS, Topic.USAGE),
        max_events: int = 100_000,
        connect_timeout_s: float = 5.0,
    ) -> None:
        self._bootstrap = bootstrap
        self._topics = tuple(topics)
        self._max_events = max_events
        self._connect_timeout_s = connect_timeout_s
        self._types = event_types()
        self.skipped = 0
        """Records of the last read that are no events: unknown type, unreadable or over-long value."""
        self.duplicates = 0
        """Second and later deliveries in the last read; only the first is returned."""

    async def read(
        self,
        *,
        until: Callable[[Sequence[ReceivedEvent]], bool],
        timeout_s: float,
        call_id: str | None = None,
    ) -> list[ReceivedEvent]:
        """Read from the beginning until `until` is content or the time is over.

        Args:
            until: asked after every batch with all events so far; say True when there are enough.
            timeout_s: when to give up, seconds. What was read until then is returned: ask `until` again
                to tell the two ends apart.
            call_id: only events of this call; None for all.

        Returns:
            Each event once, by its id. In order within a partition (so within a call and topic); across
            partitions as they came.

        Raises:
            RemoteError: the brokers can't be reached, or failed.
        """
        self.skipped = self.duplicates = 0
        deadline_s = time.monotonic() + timeout_s
        loop = asyncio.get_running_loop()
        # one thread: whatever is cancelled, the consumer is closed after its last call has ended
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="event-reader")
        consumer = Consumer(_config(self._bootstrap))
        found: dict[str, ReceivedEvent] = {}
        try:
            await loop.run_in_executor(thread, self._assign, consumer)
            while not until(list(found.values())) and len(found) < self._max_events:
                if time.monotonic() >= deadline_s:
                    break
                for message in await loop.run_in_executor(thread, consumer.consume, _BATCH_RECORDS, _POLL_S):
                    self._take(message, call_id, found)
        except KafkaException as error:
            raise RemoteError(f"Kafka failed: {error.args[0].name()}") from error
        finally:
            thread.submit(consumer.close)
            thread.shutdown(wait=False)
        return list(found.values())

    def _assign(self, consumer: Consumer) -> None:
        topics = consumer.list_topics(timeout=self._connect_timeout_s).topics
        consumer.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING)
                for topic in self._topics
                if topic in topics
                for partition in topics[topic].partitions
            ]
        )

    def _take(self, message: Message, call_id: str | None, found: dict[str, ReceivedEvent]) -> None:
        if message.error():
            raise KafkaException(message.error())
        headers = {header[0]: _text(header[1]) for header in message.headers() or ()}
        if call_id is not None and headers.get(Header.CALL_ID) != call_id:
            return
        event = self._parse(headers.get(Header.CE_TYPE, ""), message.value())
        if event is None:
            self.skipped += 1
            logger.warning(
                "a record that is no event was skipped",
                topic=message.topic(),
                partition=message.partition(),
                offset=message.offset(),
            )
        elif event.event_id in found:
            self.duplicates += 1
        else:
            found[event.event_id] = ReceivedEvent(
                topic=message.topic() or "",
                partition=_number(message.partition()),
                offset=_number(message.offset()),
                key=_text(message.key()),
                headers=headers,
                event=event,
            )

    def _parse(self, event_type: str, value: bytes | None) -> Event | None:
        cls = self._types.get(event_type)
        if cls is None or value is None or len(value) > MAX_EVENT_BYTES:
            return None
        try:
            return cls.model_validate_json(value)
        except ValidationError:
            return None


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def _number(value: int | None) -> int:
    return -1 if value is None else value


def _config(bootstrap: str) -> dict[str, str | int | bool]:
    return {
        "bootstrap.servers": bootstrap,
        "group.id": f"parley-reader-{ULID()}",  # the client wants one; nothing is committed under it
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 50,
        "socket.connection.setup.timeout.ms": 3000,
        "reconnect.backoff.max.ms": 1000,
        "log_level": 3,
    }
