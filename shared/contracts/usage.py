"""What a call consumed. Snapshots are cumulative per segment; the final record is the sum of its segments."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from shared.contracts.event import CallEvent, UtcDatetime
from shared.domain.call import EndReason
from shared.domain.model import FrozenModel
from shared.names import Topic


class UsageUnit(StrEnum):
    """Billing units of vendors."""

    SECOND = "second"
    """Connection or audio seconds."""
    MINUTE = "minute"
    """Started minutes, where a vendor rounds up."""
    CHARACTER = "character"
    """Characters pushed to a voice, spoken or not."""
    INPUT_TOKEN = "input_token"
    """Prompt tokens that were not read from a cache."""
    CACHED_INPUT_TOKEN = "cached_input_token"
    """Prompt tokens read from the vendor's prompt cache."""
    OUTPUT_TOKEN = "output_token"
    """Generated tokens, reasoning included."""


class UsageItem(FrozenModel):
    """A quantity of one thing that a vendor bills."""

    provider: str = Field(min_length=1)
    """Vendor, as in the price catalogue (`deepgram`, `openai`, `parley` …)."""
    sku: str = Field(min_length=1)
    """The vendor's item: model or service."""
    unit: UsageUnit
    """What is counted."""
    quantity: Decimal = Field(ge=0)
    """How many, exact."""
    estimated: bool = False
    """True where the vendor bills something that it did not report, such as a cancelled reply's tokens."""


class UsageSnapshot(CallEvent):
    """Consumption of one segment so far. Only the latest of a segment counts."""

    TYPE: ClassVar[str] = "parley.usage.snapshot.v1"
    TOPIC: ClassVar[str] = Topic.USAGE

    segment: int = Field(ge=1)
    """Fencing token of the lease under which it was consumed."""
    seq: int = Field(ge=1)
    """Grows within the segment."""
    started_at: UtcDatetime
    """When the call started: the day it is billed to."""
    items: tuple[UsageItem, ...]
    """Cumulative within the segment."""


class UsageRecord(CallEvent):
    """The one final record of a call."""

    TYPE: ClassVar[str] = "parley.usage.record.v1"
    TOPIC: ClassVar[str] = Topic.USAGE

    agent_id: str
    """The agent that answered."""
    started_at: UtcDatetime
    """When the call started: the day it is billed to."""
    ended_at: UtcDatetime
    """When it ended."""
    end_reason: EndReason
    """Why it ended."""
    segments: int = Field(ge=1)
    """How many segments were summed."""
    items: tuple[UsageItem, ...]
    """Sum of the last snapshot of every segment."""


def sum_items(segments: list[tuple[UsageItem, ...]]) -> tuple[UsageItem, ...]:
    """Add up the items of several segments.

    Args:
        segments: the last snapshot's items of every segment.

    Returns:
        One item per (provider, sku, unit, estimated), sorted by that key.
    """
    totals: dict[tuple[str, str, UsageUnit, bool], Decimal] = {}
    for items in segments:
        for item in items:
            key = (item.provider, item.sku, item.unit, item.estimated)
            totals[key] = totals.get(key, Decimal(0)) + item.quantity
    return tuple(
        UsageItem(provider=provider, sku=sku, unit=unit, quantity=quantity, estimated=estimated)
        for (provider, sku, unit, estimated), quantity in sorted(totals.items())
    )
