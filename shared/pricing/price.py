"""What a price is, and what one line of a bill is. Money is Decimal and never rounded here."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Underflow
from enum import StrEnum
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from shared.contracts.usage import UsageUnit
from shared.domain.model import FrozenModel
from shared.errors import InvalidInputError

EXACT: Final = Context(prec=120, traps=[Inexact, InvalidOperation, Overflow, Underflow])
"""Arithmetic that fails instead of rounding. 120 digits hold the product of any quantity that `check_quantity` lets
through (36 digits) and any price (some 20), and the sum of more such products than there can be."""

MAX_QUANTITY: Final = Decimal(10) ** 15
"""Far more seconds, characters or tokens than any bill holds; a larger quantity is garbage."""
MAX_DECIMALS: Final = 20
"""Decimals of a quantity; a binary float turned into a Decimal has more, and is refused for it."""


class PriceKind(StrEnum):
    """What the vendor calls the price."""

    LIST = "list"
    """The regular price: what budgets are planned with."""
    PROMO = "promo"
    """A limited-time price that the vendor charges instead of the list price while it holds."""


class Price(FrozenModel):
    """One price of one item in one unit, for some time."""

    price_id: str = Field(min_length=1, max_length=200)
    """Stable: `provider/sku/unit/valid_from` (`.../promo` for a promotion), for example
    `deepgram/nova-3/second/2026-08-01/promo`; prices of language models name the version of genai-prices instead
    of the day, for example `openai/gpt-4.1-mini/input_token/genai-prices-0.2.3`."""
    provider: str = Field(min_length=1)
    """Vendor."""
    sku: str = Field(min_length=1)
    """The vendor's item (shared/pricing/sku.py)."""
    unit: UsageUnit
    """What is counted."""
    unit_price_usd: Decimal = Field(ge=0)
    """US dollars for one unit, exact. Prices that vendors give per minute or hour and bill per second are the one
    exception: they were divided once, when the catalogue was read (shared/pricing/price_file.py)."""
    kind: PriceKind = PriceKind.LIST
    """List price or promotion."""
    valid_from: date | None = None
    """First day, UTC; None since always."""
    valid_to: date | None = None
    """First day, UTC, on which it no longer holds; None: until further notice."""
    source: str = Field(min_length=1)
    """Where it was read."""
    read_on: date | None = None
    """When; None where the source is a package's version."""
    confidence: Literal["A", "B", "C"] = "A"
    """A: maintained catalogue or vendor's document, cross-checked; B: one good source; C: a vendor's claim or a
    blog. An unverified price is not in the catalogue at all."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_from is not None and self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to must be after valid_from")
        return self

    def holds_at(self, at: datetime) -> bool:
        """Whether the price holds at an instant."""
        day = _utc_day(at)
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day < self.valid_to
        )


class CostLine(FrozenModel):
    """A quantity and what it costs."""

    provider: str
    """Vendor."""
    sku: str
    """The vendor's item."""
    quantity: Decimal
    """How many units."""
    unit: UsageUnit
    """What is counted."""
    unit_price_usd: Decimal
    """US dollars for one."""
    amount_usd: Decimal
    """quantity x unit_price_usd, exact and unrounded; rounding is for the invoice."""
    price_id: str
    """The price it was rated with."""
    estimated: bool
    """Whether the quantity was estimated."""


def start_of(day: date) -> datetime:
    """Midnight UTC at which a day begins."""
    return datetime.combine(day, time(), UTC)


def _utc_day(at: datetime) -> date:
    if at.tzinfo is None:
        raise InvalidInputError("the time of a price must be timezone-aware")
    return at.astimezone(UTC).date()


def check_quantity(quantity: Decimal) -> Decimal:
    """Return `quantity` if it can be billed exactly.

    Raises:
        InvalidInputError: it is no Decimal, negative, infinite, no number, over 10^15 or has over 20 decimals.
    """
    if not isinstance(quantity, Decimal) or not quantity.is_finite() or quantity < 0:
        raise InvalidInputError("a quantity must be a finite, non-negative decimal")
    exponent = quantity.as_tuple().exponent
    if quantity > MAX_QUANTITY or not isinstance(exponent, int) or exponent < -MAX_DECIMALS:
        raise InvalidInputError("a quantity is at most 10^15 with at most 20 decimals")
    return quantity
