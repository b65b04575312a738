"""What a call has used: the providers' counts and our own minutes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from edge_agents.providers.meter import UsageMeter
from edge_agents.session.usage import CallUsage
from shared.contracts.usage import UsageUnit
from shared.pricing.catalogue import PriceCatalogue, packaged_catalogue
from tests.fakes.clock import FakeClock

FEE = b"""
[[price]]
provider = "parley"
sku = "platform"
unit = "minute"
price = 0.05
per = "minute"
kind = "list"
valid_from = 2020-01-01
source = "a test"
read_on = 2026-11-22
confidence = "A"
"""


class Bill:
    """A call's usage on a clock that the test turns."""

    def __init__(self, catalogue: PriceCatalogue) -> None:
        self.clock = FakeClock()
        self.meter = UsageMeter()
        self.usage = CallUsage(self.meter, catalogue=catalogue, started_at=self.clock.now(), clock=self.clock)

    @property
    def minutes(self) -> list[Decimal]:
        return [item.quantity for item in self.usage.items() if item.provider == "parley"]


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(0.0, 1), (0.1, 1), (60.0, 1), (60.1, 2), (119.9, 2), (3600.0, 60)]
)
def test_our_own_minutes_are_counted_as_they_begin(seconds: float, minutes: int) -> None:
    bill = Bill(packaged_catalogue())
    bill.clock.advance(30)
    bill.usage.answered()
    bill.clock.advance(seconds)

    assert bill.minutes == [minutes]


def test_a_call_that_was_never_answered_has_no_minutes() -> None:
    bill = Bill(packaged_catalogue())
    bill.clock.advance(10)
    assert bill.usage.items() == ()


def test_what_it_takes_to_close_a_call_is_no_minute_of_it() -> None:
    bill = Bill(packaged_catalogue())
    bill.usage.answered()
    bill.clock.advance(59)
    bill.usage.over()
    bill.clock.advance(15)
    bill.usage.over()
    assert bill.minutes == [1]


def test_our_fee_counts_towards_the_spend_limit() -> None:
    bill = Bill(PriceCatalogue.from_toml(FEE))
    bill.usage.answered()
    bill.clock.advance(61)
    assert bill.usage.spend_usd() == Decimal("0.10")


def test_what_has_no_price_is_logged_once_and_costs_nothing() -> None:
    bill = Bill(PriceCatalogue.from_toml(FEE))
    bill.meter.add("openai", "llama", UsageUnit.INPUT_TOKEN, 10)
    bill.meter.add("openai", "llama", UsageUnit.OUTPUT_TOKEN, 10)
    with capture_logs() as logs:
        assert [bill.usage.spend_usd() for _ in range(3)] == [0, 0, 0]
    assert [(line["event"], line["item"]) for line in logs] == [("usage_without_price", "openai/llama")]
