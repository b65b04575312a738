"""Usage adds up exactly."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.usage import UsageItem, UsageUnit, sum_items

QUANTITIES = st.decimals(min_value=0, max_value=10**9, places=6, allow_nan=False, allow_infinity=False)
ITEMS = st.builds(
    UsageItem,
    provider=st.sampled_from(["deepgram", "openai"]),
    sku=st.sampled_from(["a", "b"]),
    unit=st.sampled_from(UsageUnit),
    quantity=QUANTITIES,
    estimated=st.booleans(),
)
SEGMENTS = st.lists(st.lists(ITEMS, max_size=6).map(tuple), max_size=6)


@given(SEGMENTS, st.randoms(use_true_random=False))
def test_the_order_of_segments_and_items_does_not_matter(
    segments: list[tuple[UsageItem, ...]], random: object
) -> None:
    shuffled = [tuple(reversed(items)) for items in segments]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sum_items(shuffled) == sum_items(segments)


@given(SEGMENTS)
def test_nothing_is_lost_and_nothing_is_made(segments: list[tuple[UsageItem, ...]]) -> None:
    total = sum_items(segments)
    assert sum(item.quantity for item in total) == sum(item.quantity for items in segments for item in items)
    keys = [(item.provider, item.sku, item.unit, item.estimated) for item in total]
    assert keys == sorted(set(keys))


def test_estimated_quantities_stay_apart_from_reported_ones() -> None:
    fields = {"provider": "openai", "sku": "m", "unit": "output_token", "quantity": 3}
    items = tuple(UsageItem.model_validate({**fields, "estimated": guess}) for guess in (True, False))
    assert sum_items([items]) == tuple(sorted(items, key=lambda item: item.estimated))


@pytest.mark.parametrize("quantity", ["-1", "NaN", "Infinity", "-Infinity", "sNaN", "1,5", None])
def test_a_quantity_is_a_finite_decimal_that_is_not_negative(quantity: object) -> None:
    with pytest.raises(ValidationError):
        UsageItem.model_validate(
            {"provider": "openai", "sku": "m", "unit": "output_token", "quantity": quantity}
        )


def test_a_quantity_goes_through_json_as_text_to_the_last_digit() -> None:
    item = UsageItem(
        provider="deepgram", sku="nova-3", unit=UsageUnit.SECOND, quantity=Decimal("0.1000000000000000000001")
    )
    assert '"0.1000000000000000000001"' in item.model_dump_json()
    assert UsageItem.model_validate_json(item.model_dump_json()) == item
