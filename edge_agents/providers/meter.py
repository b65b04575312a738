"""Counts what a call consumes at its vendors, in the vendors' own billing units."""

from __future__ import annotations

from decimal import Decimal

from shared.contracts.usage import UsageItem, UsageUnit

_MILLI = Decimal("0.001")


class UsageMeter:
    """Cumulative counters of one segment of one call; not thread-safe (one event loop).

    Counting happens at the last point that is ours: text handed to a voice's connection, tokens that a model
    reported, seconds of an STT connection. What a vendor bills but did not report (a cancelled reply) is
    counted with `estimated=True`, so that it can be told apart for ever.
    """

    def __init__(self) -> None:
        self._totals: dict[tuple[str, str, UsageUnit, bool], Decimal] = {}

    def add(
        self, provider: str, sku: str, unit: UsageUnit, quantity: Decimal | int, *, estimated: bool = False
    ) -> None:
        """Add a quantity >= 0; zero leaves no trace."""
        amount = Decimal(quantity)
        if amount < 0:
            raise ValueError("a quantity can't be negative")
        if amount:
            key = (provider, sku, unit, estimated)
            self._totals[key] = self._totals.get(key, Decimal(0)) + amount

    def add_seconds(self, provider: str, sku: str, seconds: float) -> None:
        """Add a duration, kept in whole milliseconds (vendors report and bill no finer)."""
        self.add(provider, sku, UsageUnit.SECOND, Decimal(repr(max(seconds, 0.0))).quantize(_MILLI))

    def items(self) -> tuple[UsageItem, ...]:
        """All counters so far, in a stable order."""
        return tuple(
            UsageItem(provider=provider, sku=sku, unit=unit, quantity=quantity, estimated=estimated)
            for (provider, sku, unit, estimated), quantity in sorted(self._totals.items())
        )
