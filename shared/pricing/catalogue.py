"""What things cost: the price of one unit at a time, and the exact cost of what a call used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Final, Self

from shared.contracts.usage import UsageItem, UsageUnit
from shared.errors import PriceNotFoundError
from shared.pricing.llm_prices import SOURCE as LLM_SOURCE
from shared.pricing.llm_prices import llm_prices
from shared.pricing.price import EXACT, CostLine, Price, PriceKind, check_quantity
from shared.pricing.price_file import packaged_price_file, read_prices

_Key = tuple[str, str, UsageUnit]
_LLM_PROVIDERS: Final = frozenset({"openai"})
"""Vendors whose prices come from genai-prices."""


class PriceCatalogue:
    """Prices with validity dates. Immutable; makes no network request.

    A call is billed at the prices valid when it *started*: callers pass the call's start as `at` for everything
    that the call used, however long it lasted.

    Args:
        prices: hand-kept prices.
        version: names exactly this set of prices.
    """

    def __init__(self, prices: Iterable[Price], *, version: str) -> None:
        self.version = version
        """Goes into `CallStarted.price_catalogue`; equal versions rate equally."""
        self.prices = tuple(prices)
        """The hand-kept prices, in the file's order."""
        by_key: dict[_Key, tuple[Price, ...]] = {}
        for price in self.prices:
            key = (price.provider, price.sku, price.unit)
            by_key[key] = (*by_key.get(key, ()), price)
        self._by_key: Mapping[_Key, tuple[Price, ...]] = MappingProxyType(by_key)

    @classmethod
    def from_toml(cls, toml: bytes) -> Self:
        """Read a price list in the form of prices.toml; the version is its SHA-256 and that of genai-prices.

        Raises:
            InvalidInputError: the list is malformed.
        """
        return cls(read_prices(toml), version=f"{hashlib.sha256(toml).hexdigest()[:12]}+{LLM_SOURCE}")

    def price_for(self, provider: str, sku: str, unit: UsageUnit, at: datetime) -> Price:
        """The price that the vendor charges at an instant: a promotion while it holds, else the list price.

        Raises:
            PriceNotFoundError: there is none; `data["missing"]` names it.
            InvalidInputError: `at` is not timezone-aware.
        """
        held = [price for price in self._candidates(provider, sku, unit) if price.holds_at(at)]
        for price in held:
            if price.kind is PriceKind.PROMO:
                return price
        if not held:
            raise _not_found([_name(provider, sku, unit)], at)
        return held[0]

    def list_price_for(self, provider: str, sku: str, unit: UsageUnit, at: datetime) -> Price:
        """The regular price at an instant, promotion or not: for budgets, which must survive a promotion's end.

        Raises:
            PriceNotFoundError, InvalidInputError: as `price_for`.
        """
        for price in self._candidates(provider, sku, unit):
            if price.kind is PriceKind.LIST and price.holds_at(at):
                return price
        raise _not_found([_name(provider, sku, unit)], at)

    def rate(self, items: Iterable[UsageItem], at: datetime) -> tuple[CostLine, ...]:
        """What `items` cost at the prices of `at`, one line per item, in order.

        Raises:
            PriceNotFoundError: something has no price; `data["missing"]` names all of it. Nothing is charged as
                zero for want of a price.
            InvalidInputError: a quantity is negative, infinite, no number or absurd; `at` is not timezone-aware.
        """
        lines, missing = self.rate_partial(items, at)
        if missing:
            raise _not_found([_name(item.provider, item.sku, item.unit) for item in missing], at)
        return lines

    def rate_partial(
        self, items: Iterable[UsageItem], at: datetime
    ) -> tuple[tuple[CostLine, ...], tuple[UsageItem, ...]]:
        """As `rate`, for reports that must not fail: what has a price, and what has none.

        Raises:
            InvalidInputError: as `rate`.
        """
        lines: list[CostLine] = []
        missing: list[UsageItem] = []
        for item in items:
            check_quantity(item.quantity)
            try:
                price = self.price_for(item.provider, item.sku, item.unit, at)
            except PriceNotFoundError:
                missing.append(item)
            else:
                lines.append(_line(item, price))
        return tuple(lines), tuple(missing)

    def _candidates(self, provider: str, sku: str, unit: UsageUnit) -> tuple[Price, ...]:
        kept = self._by_key.get((provider, sku, unit))
        if kept is not None or provider not in _LLM_PROVIDERS:
            return kept or ()
        return tuple(price for price in llm_prices(provider, sku) if price.unit is unit)


@cache
def packaged_catalogue() -> PriceCatalogue:
    """The catalogue that comes with this package; read once."""
    return PriceCatalogue.from_toml(packaged_price_file())


def total_usd(lines: Iterable[CostLine]) -> Decimal:
    """The exact sum of lines' amounts, unrounded; 0 for none."""
    total = Decimal(0)
    for line in lines:
        total = EXACT.add(total, line.amount_usd)
    return total


def _line(item: UsageItem, price: Price) -> CostLine:
    return CostLine(
        provider=item.provider,
        sku=item.sku,
        quantity=item.quantity,
        unit=item.unit,
        unit_price_usd=price.unit_price_usd,
        amount_usd=EXACT.multiply(item.quantity, price.unit_price_usd),
        price_id=price.price_id,
        estimated=item.estimated,
    )


def _name(provider: str, sku: str, unit: UsageUnit) -> str:
    return f"{provider}/{sku}/{unit.value}"


def _not_found(names: Iterable[str], at: datetime) -> PriceNotFoundError:
    missing = tuple(sorted(set(names)))
    return PriceNotFoundError(
        f"the price catalogue has no price for {', '.join(missing)} at {at.isoformat()}",
        hint="Add the price to shared/pricing/prices.toml, or update genai-prices.",
        missing=missing,
    )
