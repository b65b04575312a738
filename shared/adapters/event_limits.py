"""Bounds and counters of the event buffer (event_buffer.py)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BufferLimits:
    """Bounds of a buffer. An event of a turn takes about 2 KB: memory holds seconds of an outage of a busy
    process; the disk's bound stands beside its folder (Spill)."""

    max_records: int = 20_000
    """In memory, on their way included; the next one is dropped."""
    max_bytes: int = 67_108_864
    """The same, bytes."""
    spill_above_records: int = 5_000
    """Waiting in memory; more than this take the way over the disk."""
    max_in_flight_records: int = 2_000
    """On their way at once."""
    max_in_flight_bytes: int = 16_777_216
    """The same, bytes."""
    delivery_timeout_s: float = 5.0
    """A record that is not acknowledged for this long means that the brokers are away, seconds. A leader's
    election takes a few seconds; a false alarm costs a detour over the disk and duplicates."""
    probe_interval_s: float = 1.0
    """How often brokers that are away are tried, seconds."""


@dataclass(frozen=True, slots=True)
class BufferStats:
    """Counters since the start, and `buffered` as it is now."""

    buffered: int = 0
    """In memory: waiting or on their way."""
    spilled: int = 0
    """Written to disk."""
    spilled_bytes_now: int = 0
    """On disk at this moment, parked records included, bytes."""
    delivered: int = 0
    """Acknowledged by the brokers, resent ones included."""
    resent: int = 0
    """Acknowledged out of the spill, those of dead processes included."""
    parked: int = 0
    """Set aside with a reason: unreadable on disk, or refused by the brokers for what they are."""
    dropped: int = 0
    """Lost. Any number but zero is an alarm."""
    too_large: int = 0
    """Refused because the value is over 1 MiB."""
