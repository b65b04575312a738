"""Events to Kafka: CloudEvents 1.0 in binary mode, from a thread of its own, so that no call waits for a broker.

The event buffer decides (event_buffer.py: its states and promises), this module does: it owns the producer and
the one thread that talks to it.

    publish() -> memory -> thread -> librdkafka -> brokers
                              |  brokers away
                              v
                            spill

Delivery is at least once, by event id, in order per key. An event that is in memory when the process is
killed is lost: with brokers there that is about the last 10 ms, at the start of an outage the last
`delivery_timeout_s`. Every spill is flushed with fsync before its events count as spilled.

Topics must take values of 1 MiB with their headers: `max.message.bytes` of at least MESSAGE_MAX_BYTES
(Kafka's default is 12 bytes over 1 MiB, for the whole record batch).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from shared.adapters.clock import SystemClock
from shared.adapters.event_buffer import EventBuffer, Route, Sending
from shared.adapters.event_limits import BufferLimits, BufferStats
from shared.adapters.event_spill import OutgoingRecord, Spill
from shared.contracts.event import CallEvent, Event
from shared.errors import EventTooLargeError, InvalidInputError
from shared.names import MAX_EVENT_BYTES, Header
from shared.ports import Clock

logger = structlog.get_logger(__name__)

MESSAGE_MAX_BYTES: Final = MAX_EVENT_BYTES + 65_536
"""Largest record with key and headers that the producer makes."""

_ACK_POLL_S = 0.005
"""While records are on their way: how long a new event can wait for the thread."""

_AWAY_POLL_S = 0.05
"""The same while brokers are away and new events only go to disk."""

_IDLE_WAIT_S = 0.2
"""While nothing is on its way; an event ends the wait at once."""

_AFTER_ERROR_S = 1.0
"""Pause of the thread after an error of its own, so that a bug does not burn a core."""

_CLOSE_MARGIN_S = 5.0
"""Time for the last write to disk, beyond the deadline of a close."""

_REFUSED = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_MSG_SIZE,
    }
)
"""Errors about the record itself: sending it again can't help. All others mean that the brokers, or our
rights on them, are not as they should be: the events wait."""


DeliveryReport = Callable[[KafkaError | None, Any], None]
"""Called with None when the brokers have the record, else with the error."""


class KafkaProducer(Protocol):
    """What is used of a producer of confluent_kafka."""

    def produce(
        self,
        topic: str,
        *,
        key: bytes,
        value: bytes,
        headers: list[tuple[str, str | bytes | None]],
        on_delivery: DeliveryReport,
    ) -> None:
        """Queue a record; raises BufferError or KafkaException."""
        ...

    def poll(self, timeout: float) -> object:
        """Serve delivery reports and errors, waiting for the first at most `timeout` seconds."""
        ...

    def purge(self, *, blocking: bool) -> None:
        """Fail everything that is on its way; without `blocking` some reports come later."""
        ...


class KafkaEventPublisher:
    """EventPublisher over Kafka. Starts its thread at once; `aclose` ends it.

    Args:
        bootstrap: host:port of the brokers, comma separated. They may be away.
        spill_dir: folder that survives the process; what dead processes left in it is sent first. Processes
            may share it.
        source: CloudEvents `source`, a URI reference that names this process's role and place, such as
            `/parley/agent/eu-central-1`.
        spill_max_bytes: bound of the files of this process, with those it took over and all parked ones, bytes.
        limits: bounds in memory and deadlines.
        extra: more librdkafka properties (TLS, SASL); they win over ours.
        clock: for deadlines.
        make_producer: builds the client from its properties; tests bring their own.

    Raises:
        InvalidInputError: the spill folder can't be used.
    """

    def __init__(
        self,
        *,
        bootstrap: str,
        spill_dir: Path,
        source: str,
        spill_max_bytes: int = 268_435_456,
        limits: BufferLimits | None = None,
        extra: Mapping[str, str | int | bool] | None = None,
        clock: Clock | None = None,
        make_producer: Callable[[dict[str, Any]], KafkaProducer] | None = None,
    ) -> None:
        limits = limits or BufferLimits()
        try:
            spill = Spill(spill_dir, max_bytes=spill_max_bytes)
        except OSError as error:
            raise InvalidInputError(
                f"the spill folder can't be used: {error.strerror or error}",
                hint="PARLEY_SPILL_DIR must name a folder that this process may write to.",
            ) from error
        self._source = source
        self._buffer = EventBuffer(spill=spill, limits=limits, clock=clock or SystemClock())
        self._config = _producer_config(bootstrap, limits, extra or {}) | {"error_cb": self._on_error}
        self._make_producer = make_producer or _make_producer
        self._producer = self._make_producer(self._config)
        self._fatal = False
        self._wake = threading.Event()
        self._close_at_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="event-publisher", daemon=True)
        self._thread.start()

    @property
    def stats(self) -> BufferStats:
        """The counters now."""
        return self._buffer.stats

    @property
    def brokers_away(self) -> bool:
        """Whether events go to disk because the brokers don't take them."""
        return self._buffer.route is Route.AWAY

    def publish(self, event: Event, *, traceparent: str | None = None) -> None:
        """Hand an event over; returns at once, whatever the brokers and the disk do. From any thread.

        An event that comes after `aclose`, or when memory and disk are full, is dropped and counted.

        Raises:
            EventTooLargeError: the value is over 1 MiB; counted.
        """
        value = event.model_dump_json().encode()
        if len(value) > MAX_EVENT_BYTES:
            self._buffer.too_large()
            raise EventTooLargeError(
                f"an event's value has {len(value)} bytes, at most {MAX_EVENT_BYTES} go on a topic",
                hint="Store the large part elsewhere and publish a reference to it.",
                type=event.TYPE,
                size_bytes=len(value),
            )
        headers = _headers(event, self._source, traceparent)
        self._buffer.offer(OutgoingRecord(topic=event.TOPIC, key=event.key, value=value, headers=headers))
        self._wake.set()

    async def flush(self, timeout_s: float) -> bool:
        """Wait until everything handed over so far is acknowledged, spilled, parked or dropped.

        Cancelling it changes nothing: the events stay where they are.

        Returns:
            False when `timeout_s` ran out first; the rest stays buffered.
        """
        flushed = self._buffer.flushed()
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.wrap_future(flushed)
        except TimeoutError:
            return False
        return True

    async def aclose(self, timeout_s: float = 5.0) -> None:
        """Send what can be sent within `timeout_s`, spill the rest, end the thread. Closing twice does nothing.

        When cancelled the thread still does so in the background.
        """
        if self._close_at_s is None:
            self._close_at_s = time.monotonic() + timeout_s
        self._wake.set()
        await asyncio.to_thread(self._thread.join, timeout_s + _CLOSE_MARGIN_S)
        if self._thread.is_alive():
            logger.error("the event publisher did not end in time", buffered=self.stats.buffered)

    # the thread

    def _run(self) -> None:
        while not self._may_end():
            try:
                self._step()
            except Exception:  # the edge of the thread: calls depend on it going on
                logger.exception("the event publisher failed")
                time.sleep(_AFTER_ERROR_S)
        try:
            self._take_back()
            self._buffer.close()
        except Exception:
            logger.exception("the event publisher could not end in order")

    def _may_end(self) -> bool:
        if self._close_at_s is None:
            return False
        buffer = self._buffer
        idle = not buffer.in_flight and not buffer.waiting and buffer.route is not Route.DISK
        return idle or buffer.route is Route.AWAY or time.monotonic() >= self._close_at_s

    def _step(self) -> None:
        for sending in self._buffer.take():
            self._send(sending)
        if self._buffer.in_flight:
            self._producer.poll(_AWAY_POLL_S if self.brokers_away else _ACK_POLL_S)
        else:
            self._wake.wait(_IDLE_WAIT_S)
            self._producer.poll(0)
        self._wake.clear()
        if self._buffer.must_abandon() or self._fatal:
            self._take_back()
        self._buffer.settle()

    def _send(self, sending: Sending) -> None:
        record = sending.record
        try:
            self._producer.produce(
                record.topic,
                key=record.key.encode(),
                value=record.value,
                headers=[(name, value.encode()) for name, value in record.headers],
                on_delivery=partial(self._report, sending.ticket),
            )
        except BufferError:
            self._buffer.lost(sending.ticket, "librdkafka's queue is full")
        except KafkaException as error:
            self._failed(sending.ticket, error.args[0])

    def _report(self, ticket: int, error: KafkaError | None, _: object) -> None:
        if error is None:
            self._buffer.acknowledged(ticket)
        else:
            self._failed(ticket, error)

    def _failed(self, ticket: int, error: KafkaError) -> None:
        if error.code() in _REFUSED:
            self._buffer.refused(ticket, error.name())
        else:
            self._buffer.lost(ticket, error.name())

    def _take_back(self) -> None:
        """Stop everything that is on its way. Deliveries acknowledged by now count; reports that come later are
        for tickets that nobody holds any more.
        """
        if self._buffer.in_flight:
            # it holds the interpreter's lock: waiting here for librdkafka's threads would stop the calls
            self._producer.purge(blocking=False)
            self._producer.poll(0)
            self._buffer.abandoned()
        if self._fatal:  # an idempotent producer that lost count of its sequence can't go on
            self._producer = self._make_producer(self._config)
            self._fatal = False

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = True
            logger.error("the producer failed for good and is replaced", reason=error.name())


def _headers(event: Event, source: str, traceparent: str | None) -> tuple[tuple[str, str], ...]:
    """CloudEvents attributes (Kafka protocol binding 1.0.2, binary mode) and our own headers."""
    headers = [
        (Header.CE_ID, event.event_id),
        (Header.CE_TYPE, event.TYPE),
        (Header.CE_SOURCE, source),
        (Header.CE_TIME, _rfc3339(event.at)),
        (Header.CE_SPECVERSION, "1.0"),
        (Header.CONTENT_TYPE, "application/json"),
        (Header.TENANT_ID, event.tenant_id),
    ]
    if isinstance(event, CallEvent):
        headers.append((Header.CALL_ID, event.call_id))
    if traceparent:
        headers.append((Header.TRACEPARENT, traceparent))
    return tuple(headers)


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _make_producer(config: dict[str, Any]) -> KafkaProducer:
    return Producer(config)


def _producer_config(
    bootstrap: str, limits: BufferLimits, extra: Mapping[str, str | int | bool]
) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "client.id": "parley",
        "enable.idempotence": True,  # no duplicates and no reordering within a session: acks=all, 5 in flight
        "partitioner": "murmur2_random",  # the Java client's: all writers agree where a key lives
        "compression.type": "lz4",
        "linger.ms": 2,
        "message.timeout.ms": int(limits.delivery_timeout_s * 1000),
        "message.max.bytes": MESSAGE_MAX_BYTES,
        # twice what the buffer sends: produce() never meets a full queue
        "queue.buffering.max.messages": 2 * limits.max_in_flight_records,
        "queue.buffering.max.kbytes": max(2 * limits.max_in_flight_bytes, 4 * MAX_EVENT_BYTES) // 1024,
        "topic.metadata.propagation.max.ms": 2000,  # names a missing topic as the reason within a delivery
        "socket.connection.setup.timeout.ms": 3000,
        "reconnect.backoff.max.ms": 1000,  # brokers that are back are found within about a second
        "logger": logging.getLogger("parley.librdkafka"),
        "log_level": 4,
        **extra,
    }
