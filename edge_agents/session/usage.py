"""What one call has used, at its vendors and with us, and what that costs so far."""

from __future__ import annotations

import math
from decimal import Decimal

import structlog

from edge_agents.providers.meter import UsageMeter
from shared.contracts.event import UtcDatetime
from shared.contracts.usage import UsageItem, UsageUnit
from shared.ports import Clock
from shared.pricing.catalogue import PriceCatalogue, total_usd
from shared.pricing.sku import PLATFORM_PROVIDER, PLATFORM_SKU

log = structlog.get_logger(__name__)


class CallUsage:
    """Counts of a call and their cost.

    Our own minutes are counted from `answered` until `over`, each one that was begun; a call that was never
    answered has none.

    Args:
        meter: counts what the providers report.
        catalogue: rates it.
        started_at: the day whose prices hold.
        clock: counts the minutes.
    """

    def __init__(
        self, meter: UsageMeter, *, catalogue: PriceCatalogue, started_at: UtcDatetime, clock: Clock
    ) -> None:
        self._meter = meter
        self._catalogue = catalogue
        self._started_at = started_at
        self._clock = clock
        self._answered_s: float | None = None
        self._over_s: float | None = None
        self._unpriced: set[str] = set()

    def answered(self) -> None:
        """The agent is on the line."""
        self._answered_s = self._clock.monotonic_s()

    def over(self) -> None:
        """The call has ended; what it takes to close it is nobody's minute."""
        if self._over_s is None:
            self._over_s = self._clock.monotonic_s()

    def items(self) -> tuple[UsageItem, ...]:
        """Everything so far, cumulative."""
        minutes = self._started_minutes()
        if not minutes:
            return self._meter.items()
        platform = UsageItem(
            provider=PLATFORM_PROVIDER,
            sku=PLATFORM_SKU,
            unit=UsageUnit.MINUTE,
            quantity=Decimal(minutes),
        )
        return (*self._meter.items(), platform)

    def spend_usd(self) -> Decimal:
        """What it costs so far. What has no price can't count: it is logged once for each item."""
        lines, unpriced = self._catalogue.rate_partial(self.items(), self._started_at)
        for item in unpriced:
            name = f"{item.provider}/{item.sku}"
            if name not in self._unpriced:
                self._unpriced.add(name)
                log.warning("usage_without_price", item=name)
        return total_usd(lines)

    def _started_minutes(self) -> int:
        if self._answered_s is None:
            return 0
        until_s = self._clock.monotonic_s() if self._over_s is None else self._over_s
        return max(math.ceil((until_s - self._answered_s) / 60), 1)
