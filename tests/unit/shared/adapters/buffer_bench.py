"""An event buffer over a folder and a clock, and records with numbers on them."""

from __future__ import annotations

import json
from pathlib import Path

from shared.adapters.event_buffer import EventBuffer, Route, Sending
from shared.adapters.event_limits import BufferLimits
from shared.adapters.event_spill import OutgoingRecord, Spill
from tests.fakes.clock import FakeClock

LIMITS = BufferLimits(
    max_records=20,
    max_bytes=1 << 20,
    spill_above_records=8,
    max_in_flight_records=5,
    delivery_timeout_s=5.0,
    probe_interval_s=1.0,
)


def record(number: int, *, key: str = "k", size: int = 1) -> OutgoingRecord:
    value = json.dumps({"n": number, "fill": "x" * size}).encode()
    return OutgoingRecord(topic="t", key=key, value=value, headers=())


def number(sending: Sending) -> int:
    return int(json.loads(sending.record.value)["n"])


def numbers(sendings: list[Sending]) -> list[int]:
    return [number(sending) for sending in sendings]


class Bench:
    """A buffer over a folder, with a clock."""

    def __init__(self, folder: Path, *, limits: BufferLimits = LIMITS, max_bytes: int = 1 << 20) -> None:
        self.folder, self.limits, self.max_bytes = folder, limits, max_bytes
        self.clock = FakeClock()
        self.restart()

    def restart(self) -> None:
        self.spill = Spill(self.folder, max_bytes=self.max_bytes, segment_bytes=400)
        self.buffer = EventBuffer(spill=self.spill, limits=self.limits, clock=self.clock)

    def offer(self, *values: int) -> None:
        for value in values:
            self.buffer.offer(record(value))

    def deliver(self) -> list[int]:
        """Send and acknowledge until nothing is left to send."""
        found: list[int] = []
        while sendings := self.buffer.take():
            for sending in sendings:
                found.append(number(sending))
                self.buffer.acknowledged(sending.ticket)
            self.buffer.settle()
        return found

    def lose_brokers(self) -> None:
        """The next delivery fails; everything goes to disk."""
        for sending in self.buffer.take():
            self.buffer.lost(sending.ticket, "_MSG_TIMED_OUT")
        assert self.buffer.must_abandon()
        self.buffer.abandoned()
        self.buffer.settle()

    def route(self) -> Route:
        return self.buffer.route

    def files(self) -> int:
        return len(list(self.folder.iterdir()))
