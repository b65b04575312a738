"""Counters of what a call consumes, exact to the last decimal."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.providers.meter import UsageMeter
from shared.contracts.usage import UsageItem, UsageUnit


def test_quantities_of_one_thing_are_added_up() -> None:
    meter = UsageMeter()
    meter.add("openai", "gpt-4.1-mini", UsageUnit.INPUT_TOKEN, 100)
    meter.add("openai", "gpt-4.1-mini", UsageUnit.INPUT_TOKEN, Decimal("0.5"))

    assert meter.items() == (
        UsageItem(
            provider="openai", sku="gpt-4.1-mini", unit=UsageUnit.INPUT_TOKEN, quantity=Decimal("100.5")
        ),
    )


def test_what_differs_in_anything_is_counted_apart_and_told_in_a_stable_order() -> None:
    meter = UsageMeter()
    meter.add("openai", "b", UsageUnit.OUTPUT_TOKEN, 1, estimated=True)
    meter.add("openai", "b", UsageUnit.OUTPUT_TOKEN, 2)
    meter.add("openai", "b", UsageUnit.INPUT_TOKEN, 3)
    meter.add("openai", "a", UsageUnit.INPUT_TOKEN, 4)
    meter.add("azure", "neural", UsageUnit.CHARACTER, 5)

    assert [(i.provider, i.sku, i.unit, i.estimated, int(i.quantity)) for i in meter.items()] == [
        ("azure", "neural", UsageUnit.CHARACTER, False, 5),
        ("openai", "a", UsageUnit.INPUT_TOKEN, False, 4),
        ("openai", "b", UsageUnit.INPUT_TOKEN, False, 3),
        ("openai", "b", UsageUnit.OUTPUT_TOKEN, False, 2),
        ("openai", "b", UsageUnit.OUTPUT_TOKEN, True, 1),
    ]


def test_zero_leaves_no_trace() -> None:
    meter = UsageMeter()
    meter.add("openai", "m", UsageUnit.CACHED_INPUT_TOKEN, 0)
    meter.add_seconds("deepgram", "nova-3", 0.0)
    meter.add_seconds("deepgram", "nova-3", 0.0004)
    meter.add_seconds("deepgram", "nova-3", -0.1)

    assert meter.items() == ()


def test_a_negative_quantity_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="negative"):
        UsageMeter().add("openai", "m", UsageUnit.INPUT_TOKEN, -1)


def test_seconds_are_kept_in_whole_milliseconds_and_added_without_binary_rounding() -> None:
    meter = UsageMeter()
    for _ in range(1000):
        meter.add_seconds("deepgram", "nova-3", 0.1)
    meter.add_seconds("deepgram", "nova-3", 1.23456)

    assert [item.quantity for item in meter.items()] == [Decimal("101.235")]


def test_items_handed_out_do_not_change_later() -> None:
    meter = UsageMeter()
    meter.add("openai", "m", UsageUnit.INPUT_TOKEN, 1)
    before = meter.items()
    meter.add("openai", "m", UsageUnit.INPUT_TOKEN, 1)

    assert before[0].quantity == 1


@given(st.lists(st.floats(0, 10_000), max_size=50))
def test_the_sum_is_the_sum_of_the_rounded_parts(parts: list[float]) -> None:
    meter = UsageMeter()
    for seconds in parts:
        meter.add_seconds("deepgram", "nova-3", seconds)

    expected = sum((Decimal(repr(part)).quantize(Decimal("0.001")) for part in parts), Decimal(0))
    assert sum((item.quantity for item in meter.items()), Decimal(0)) == expected
