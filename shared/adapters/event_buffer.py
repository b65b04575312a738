"""Decides where each event is until the brokers have it: in memory, on its way, or on disk.

No Kafka, no thread and no clock of its own: a sender (kafka.py) asks what to send, reports what became of
it, and calls `settle` between. Events take one line, in the order in which they were offered:

    disk (oldest)  ->  on its way  ->  memory (newest)

         DIRECT  nothing on disk; memory is sent as it comes
           |  a delivery failed, or took longer than delivery_timeout_s: what is on its way is taken back
           v
          AWAY   memory goes to disk; once every probe_interval_s the oldest record alone is tried
           |  the probe was delivered
           v
          DISK   disk is sent batch by batch; memory waits (and goes to disk above spill_above_records)
           |  nothing is left on disk
           v
         DIRECT

Promises:

* Every event that `offer` took is delivered at least once, or is on disk, or stands in a counter.
* Events of one key are delivered in the order of `offer`: first deliveries never overtake each other. After a
  failure some may come twice. This holds within a process and across its restarts, not across processes.
* The oldest record holds the others back: one partition that is away sends all events to disk.
* When memory is full the event just offered is dropped and counted; that needs brokers away *and* a disk that
  is full, broken or too slow.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

import structlog

from shared.adapters.event_limits import BufferLimits, BufferStats
from shared.adapters.event_spill import OutgoingRecord, Spill, to_line
from shared.ports import Clock

logger = structlog.get_logger(__name__)

_DISK_BATCH_RECORDS = 500
"""Records per write and fsync, and per batch that is read back."""

_ALARM_EVERY_S = 10.0
"""Dropped events are logged at most this often; the counter has them all."""


class Route(StrEnum):
    """Which way events take; see the module."""

    DIRECT = "direct"
    AWAY = "away"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Sending:
    """A record to send now. Its ticket must come back exactly once: acknowledged, lost or refused."""

    ticket: int
    record: OutgoingRecord


@dataclass(frozen=True, slots=True)
class _Held:
    number: int
    record: OutgoingRecord


@dataclass(frozen=True, slots=True)
class _Flight:
    record: OutgoingRecord
    held: _Held | None
    """None when the record came from disk."""
    sent_at_s: float


class EventBuffer:
    """The line in which events wait. `offer`, `flushed` and `stats` may be called from any thread; everything
    else from one sender thread.
    """

    def __init__(self, *, spill: Spill, limits: BufferLimits, clock: Clock) -> None:
        self._spill = spill
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        # under the lock
        self._queue: deque[_Held] = deque()
        self._held_records = 0
        self._held_bytes = 0
        self._last_number = 0
        self._closed = False
        self._stats = BufferStats(spilled_bytes_now=spill.size_bytes)
        self._waiters: list[tuple[int, Future[None]]] = []
        # the sender's own
        self._flights: dict[int, _Flight] = {}
        self._flight_bytes = 0
        self._batch: deque[OutgoingRecord] = deque()
        self._last_ticket = 0
        self._failed = False
        self._next_probe_s = 0.0
        self._disk_failed = False
        self._alarmed_dropped = 0
        self._next_alarm_s = 0.0
        self.route = Route.DIRECT if spill.empty else Route.DISK

    # any thread

    def offer(self, record: OutgoingRecord) -> bool:
        """Take a record; returns at once, whatever the brokers and the disk do.

        Returns:
            False when it was dropped (and counted): memory is full, or the buffer closed.
        """
        limits = self._limits
        with self._lock:
            full = (
                self._held_records >= limits.max_records
                or self._held_bytes + record.size_bytes > limits.max_bytes
            )
            if full or self._closed:
                self._stats = replace(self._stats, dropped=self._stats.dropped + 1)
                return False
            self._last_number += 1
            self._queue.append(_Held(self._last_number, record))
            self._held_records += 1
            self._held_bytes += record.size_bytes
        return True

    def too_large(self) -> None:
        """Count an event that was refused for its size."""
        self._count(too_large=1)

    def flushed(self) -> Future[None]:
        """A future that ends when everything offered so far was delivered, spilled, parked or dropped."""
        future: Future[None] = Future()
        with self._lock:
            self._waiters.append((self._last_number, future))
        return future

    @property
    def stats(self) -> BufferStats:
        """The counters now."""
        with self._lock:
            return replace(self._stats, buffered=self._held_records, spilled_bytes_now=self._spill.size_bytes)

    # the sender's thread

    @property
    def in_flight(self) -> int:
        """Records on their way."""
        return len(self._flights)

    @property
    def waiting(self) -> bool:
        """Whether memory holds records that are not on their way."""
        return bool(self._queue)

    def take(self) -> list[Sending]:
        """What to send now, in this order."""
        now_s = self._clock.monotonic_s()
        if self.route is Route.AWAY:
            if self._flights or now_s < self._next_probe_s:
                return []
            return self._probe(now_s)
        if self.route is Route.DISK:
            if self._flights:
                return []
            batch = self._from_disk(_DISK_BATCH_RECORDS)
            if batch:
                return [self._send(record, None, now_s) for record in batch]
            self._change_route(Route.DIRECT)
        return self._from_memory(now_s)

    def acknowledged(self, ticket: int) -> None:
        """The brokers have it."""
        flight = self._landed(ticket)
        if flight is None:
            return
        self._count(delivered=1, resent=0 if flight.held else 1)
        if self.route is Route.AWAY:
            self._change_route(Route.DISK)

    def refused(self, ticket: int, reason: str) -> None:
        """The brokers will never take this record: it is parked with the reason."""
        flight = self._landed(ticket)
        if flight is None:
            return
        try:
            kept = self._spill.park(to_line(flight.record), reason)
        except OSError:
            kept = False
        self._count(parked=int(kept), dropped=int(not kept))
        logger.error("the brokers refuse an event", topic=flight.record.topic, reason=reason, kept=kept)

    def lost(self, ticket: int, reason: str) -> None:
        """It was not delivered, as far as the sender knows, and may be later."""
        if ticket in self._flights and not self._failed:
            self._failed = True
            logger.warning(
                "an event was not delivered", topic=self._flights[ticket].record.topic, reason=reason
            )

    def must_abandon(self) -> bool:
        """Whether the sender must stop all that is on its way and then call `abandoned`."""
        if self._failed:
            return True
        oldest = next(iter(self._flights.values()), None)
        if oldest is None:
            return False
        return self._clock.monotonic_s() - oldest.sent_at_s > self._limits.delivery_timeout_s

    def abandoned(self) -> None:
        """Nothing is on its way any more: what was not acknowledged goes back to where it came from."""
        flights = [flight for _, flight in sorted(self._flights.items())]
        self._flights.clear()
        self._flight_bytes = 0
        self._failed = False
        self._batch.extendleft(reversed([flight.record for flight in flights if flight.held is None]))
        with self._lock:
            self._queue.extendleft(reversed([flight.held for flight in flights if flight.held]))
        self._next_probe_s = self._clock.monotonic_s() + self._limits.probe_interval_s
        self._change_route(Route.AWAY)

    def settle(self) -> None:
        """Move memory to disk where the route asks for it, end finished waits, sound the alarm."""
        if len(self._queue) > self._limits.spill_above_records and self.route is Route.DIRECT:
            self._change_route(Route.DISK)
        crowded = self.route is Route.DISK and len(self._queue) > self._limits.spill_above_records
        if crowded or self.route is Route.AWAY:
            self._to_disk()
        with self._lock:
            self._stats = replace(self._stats, spilled_bytes_now=self._spill.size_bytes)
        self._end_waits()
        self._alarm()

    def close(self) -> None:
        """Take nothing more; what is left goes to disk. Nothing may be on its way (see `abandoned`)."""
        with self._lock:
            self._closed = True
        self._to_disk()
        with self._lock:
            left = len(self._queue)
            self._queue.clear()
            self._held_records = self._held_bytes = 0
            dropped = self._stats.dropped + left
            on_disk = self._spill.size_bytes
            self._stats = replace(self._stats, dropped=dropped, spilled_bytes_now=on_disk)
        self._end_waits()
        self._next_alarm_s = 0.0
        self._alarm()
        self._spill.close()

    # parts

    def _from_memory(self, now_s: float) -> list[Sending]:
        limits = self._limits
        sending: list[Sending] = []
        while (
            self._queue
            and len(self._flights) < limits.max_in_flight_records
            and self._flight_bytes < limits.max_in_flight_bytes
        ):
            with self._lock:
                held = self._queue.popleft()
            sending.append(self._send(held.record, held, now_s))
        return sending

    def _probe(self, now_s: float) -> list[Sending]:
        batch = self._from_disk(1)
        if batch:
            return [self._send(batch[0], None, now_s)]
        if not self._queue:  # nothing is owed: the next event finds out
            self._change_route(Route.DIRECT)
            return []
        with self._lock:  # the disk takes nothing: memory is all there is
            held = self._queue.popleft()
        return [self._send(held.record, held, now_s)]

    def _from_disk(self, count: int) -> list[OutgoingRecord]:
        """The next records of the batch that is being resent, or of a new batch."""
        if not self._batch:
            parked_before = self._spill.parked_lines
            self._spill.release()
            try:
                batch = self._spill.next_batch(
                    max_records=_DISK_BATCH_RECORDS, max_bytes=self._limits.max_in_flight_bytes
                )
            except OSError as error:
                self._disk_error(error)
                batch = []
            self._batch.extend(batch)
            self._count(parked=self._spill.parked_lines - parked_before)
        return [self._batch.popleft() for _ in range(min(count, len(self._batch)))]

    def _send(self, record: OutgoingRecord, held: _Held | None, now_s: float) -> Sending:
        self._last_ticket += 1
        self._flights[self._last_ticket] = _Flight(record, held, now_s)
        self._flight_bytes += record.size_bytes
        return Sending(self._last_ticket, record)

    def _landed(self, ticket: int) -> _Flight | None:
        flight = self._flights.pop(ticket, None)
        if flight is None:
            return None  # taken back before; it is sent again, and readers go by the event's id
        self._flight_bytes -= flight.record.size_bytes
        if flight.held:
            self._forget([flight.held])
        return flight

    def _to_disk(self) -> None:
        if any(flight.held for flight in self._flights.values()):
            return  # they are older than what waits, so they must land or come back first
        while self._queue:
            waiting = list(islice(self._queue, _DISK_BATCH_RECORDS))
            try:
                kept = self._spill.append([held.record for held in waiting])
            except OSError as error:
                self._disk_error(error)
                return
            self._disk_failed = False
            with self._lock:
                for _ in range(kept):
                    self._queue.popleft()
            self._forget(waiting[:kept])
            self._count(spilled=kept)
            if kept < len(waiting):
                return  # the spill is full

    def _forget(self, helds: Iterable[_Held]) -> None:
        with self._lock:
            for held in helds:
                self._held_records -= 1
                self._held_bytes -= held.record.size_bytes

    def _end_waits(self) -> None:
        with self._lock:
            if not self._waiters:
                return
            flying = (flight.held.number for flight in self._flights.values() if flight.held)
            waiting = self._queue[0].number if self._queue else self._last_number + 1
            oldest = next(flying, waiting)
            done = [future for number, future in self._waiters if number < oldest]
            self._waiters = [waiter for waiter in self._waiters if waiter[0] >= oldest]
        for future in done:
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def _alarm(self) -> None:
        stats, now_s = self.stats, self._clock.monotonic_s()
        if stats.dropped > self._alarmed_dropped and now_s >= self._next_alarm_s:
            logger.error("events were dropped", dropped=stats.dropped, buffered=stats.buffered)
            self._alarmed_dropped, self._next_alarm_s = stats.dropped, now_s + _ALARM_EVERY_S

    def _disk_error(self, error: OSError) -> None:
        if not self._disk_failed:
            logger.error("the spill's disk fails", error_number=error.errno)
        self._disk_failed = True

    def _change_route(self, route: Route) -> None:
        if route is not self.route:
            logger.info("events take another route", before=self.route, after=route)
        self.route = route

    def _count(self, **more: int) -> None:
        if any(more.values()):
            with self._lock:
                now = {name: getattr(self._stats, name) + count for name, count in more.items()}
                self._stats = replace(self._stats, **now)
