"""Prices of language models, from the data that comes inside the genai-prices package.

Nothing is fetched: only the package's bundled data module is read. Its updater, which would download newer data,
is not started, and a snapshot that something else in the process installs is not looked at.

What is left out, on purpose:

- tiers: above a threshold (272,000 tokens of context at OpenAI) prices rise. A call's history is held to at most
  200,000 (`CallLimits.context_tokens`), so the base tier is taken;
- cache writes, which OpenAI surcharges from gpt-5.6 on: usage has no unit for them;
- models priced by the hour of the day (none of OpenAI's): they get no price rather than a wrong one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Final

import genai_prices
from genai_prices.data import providers
from genai_prices.types import ModelInfo, ModelPrice, Provider, StartDateConstraint, TieredPrices

from shared.contracts.usage import UsageUnit
from shared.pricing.price import Price, start_of

SOURCE: Final = f"genai-prices-{genai_prices.__version__}"
_FIELDS: Final = {
    UsageUnit.INPUT_TOKEN: ("input_mtok",),
    # a vendor without a price for cached tokens bills them as any other
    UsageUnit.CACHED_INPUT_TOKEN: ("cache_read_mtok", "input_mtok"),
    UsageUnit.OUTPUT_TOKEN: ("output_mtok",),
}
_MODELS_REMEMBERED: Final = 1024


@lru_cache(maxsize=_MODELS_REMEMBERED)
def llm_prices(provider: str, model: str) -> tuple[Price, ...]:
    """All prices of a model, oldest first within a unit; empty where the package knows none.

    Args:
        provider: id in genai-prices, for example `openai`.
        model: as sent to the vendor's API; dated snapshots are known too.
    """
    known = _providers().get(provider)
    info = known.find_model(model) if known else None
    starts = _starts(info) if info else None
    if info is None or starts is None:
        return ()
    prices: list[Price] = []
    for unit, fields in _FIELDS.items():
        for start, end in zip(starts, [*starts[1:], None], strict=True):
            at = start_of(start) if start else datetime.min.replace(tzinfo=UTC)
            per_token = _per_token(info.get_prices(at), fields)
            if per_token is not None:
                prices.append(_price(provider, model, unit, per_token, start=start, end=end))
    return tuple(prices)


@cache
def _providers() -> dict[str, Provider]:
    return {provider.id: provider for provider in providers}


def _starts(info: ModelInfo) -> list[date | None] | None:
    """First days of the periods in which a model's prices differ; None where days don't tell them apart."""
    if isinstance(info.prices, ModelPrice):
        return [None]
    days: set[date] = set()
    for conditional in info.prices:
        if isinstance(conditional.constraint, StartDateConstraint):
            days.add(conditional.constraint.start_date)
        elif conditional.constraint is not None:
            return None
    return [None, *sorted(days)]


def _per_token(prices: ModelPrice, fields: tuple[str, ...]) -> Decimal | None:
    """US dollars for one token, exact: the package's figure for a million, six places shifted."""
    for field in fields:
        per_million = getattr(prices, field, None)
        if isinstance(per_million, TieredPrices):
            per_million = per_million.base
        if isinstance(per_million, Decimal):
            return per_million.scaleb(-6)
    return None


def _price(
    provider: str, model: str, unit: UsageUnit, per_token: Decimal, *, start: date | None, end: date | None
) -> Price:
    parts = [provider, model, unit.value, SOURCE]
    if start is not None:
        parts.append(start.isoformat())
    return Price(
        price_id="/".join(parts),
        provider=provider,
        sku=model,
        unit=unit,
        unit_price_usd=per_token,
        valid_from=start,
        valid_to=end,
        source=SOURCE,
    )
