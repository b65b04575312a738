"""The hand-kept price list: from the vendor's own figure to a price of one unit."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from importlib.resources import files
from itertools import pairwise
from typing import Final, Literal

from pydantic import Field

from shared.contracts.usage import UsageUnit
from shared.domain.model import FrozenModel
from shared.errors import InvalidInputError
from shared.pricing.price import Price, PriceKind

Per = Literal["unit", "minute", "hour", "1k", "1M"]
"""What a vendor's figure is for."""

UNIT_PRICE_STEP: Final = Decimal("1e-12")
"""Where a price per minute or hour does not divide evenly into seconds, the unit price is rounded to this."""

_WIDE: Final = Context(prec=60)

_UNITS_IN: Final[dict[tuple[Per, UsageUnit], Decimal]] = {
    ("minute", UsageUnit.SECOND): Decimal(60),
    ("hour", UsageUnit.SECOND): Decimal(3600),
    ("minute", UsageUnit.MINUTE): Decimal(1),
    ("1k", UsageUnit.CHARACTER): Decimal(1000),
    ("1M", UsageUnit.CHARACTER): Decimal(10) ** 6,
}


class PriceEntry(FrozenModel):
    """One `[[price]]` of the file; its head explains the fields."""

    provider: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    """Vendor."""
    sku: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    """The vendor's item."""
    unit: UsageUnit
    """What usage counts."""
    price: Decimal = Field(ge=0)
    """The vendor's figure, US dollars."""
    per: Per
    """What the figure is for."""
    kind: PriceKind
    """List price or promotion."""
    valid_from: date
    """First day."""
    valid_to: date | None = None
    """First day on which it no longer holds."""
    source: str
    """Where it was read."""
    read_on: date
    """When."""
    confidence: Literal["A", "B", "C"]
    """How sure it is."""


def packaged_price_file() -> bytes:
    """The price list that comes with this package."""
    return files("shared.pricing").joinpath("prices.toml").read_bytes()


def read_prices(toml: bytes) -> tuple[Price, ...]:
    """Read a price list.

    Returns:
        Its prices in the file's order.

    Raises:
        InvalidInputError: it is malformed, or two prices of the same kind hold on the same day.
    """
    try:
        # parse_float: the digits in the file are the price, no binary float comes in between
        table = tomllib.loads(toml.decode("utf-8"), parse_float=Decimal)
        prices = tuple(_to_price(PriceEntry.model_validate(row)) for row in table["price"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError("the price list is malformed") from error
    _check_no_overlap(prices)
    return prices


def unit_price(price: Decimal, per: Per, unit: UsageUnit) -> Decimal:
    """The price of one unit, in US dollars.

    Prices per 1,000 or 1,000,000 characters divide exactly. Prices per minute or hour that are billed per second
    are divided and rounded half-even to 12 decimals: off by at most 5e-13 USD a second, that is 0.0000000018 USD
    an hour. From then on the rounded figure *is* the price: an amount is quantity x unit price, exactly.

    Raises:
        InvalidInputError: the vendor's figure can't be turned into that unit.
    """
    if per == "unit":
        return price
    units = _UNITS_IN.get((per, unit))
    if units is None:
        raise InvalidInputError(f"a price per {per} can't be a price per {unit.value}")
    quotient = _WIDE.divide(price, units)
    return _shortest(quotient.quantize(UNIT_PRICE_STEP, rounding=ROUND_HALF_EVEN, context=_WIDE))


def _shortest(value: Decimal) -> Decimal:
    """The same number without trailing zeros or exponent notation."""
    return Decimal(f"{value.normalize():f}")


def _to_price(entry: PriceEntry) -> Price:
    parts = [entry.provider, entry.sku, entry.unit.value, entry.valid_from.isoformat()]
    if entry.kind is PriceKind.PROMO:
        parts.append("promo")
    return Price(
        price_id="/".join(parts),
        provider=entry.provider,
        sku=entry.sku,
        unit=entry.unit,
        unit_price_usd=unit_price(entry.price, entry.per, entry.unit),
        kind=entry.kind,
        valid_from=entry.valid_from,
        valid_to=entry.valid_to,
        source=entry.source,
        read_on=entry.read_on,
        confidence=entry.confidence,
    )


def _check_no_overlap(prices: Iterable[Price]) -> None:
    def order(price: Price) -> tuple[str, str, str, str, date]:
        return (price.provider, price.sku, price.unit, price.kind, price.valid_from or date.min)

    for earlier, later in pairwise(sorted(prices, key=order)):
        if order(earlier)[:4] != order(later)[:4]:
            continue
        if earlier.valid_to is None or later.valid_from is None or earlier.valid_to > later.valid_from:
            raise InvalidInputError("two prices hold at once", first=earlier.price_id, second=later.price_id)
