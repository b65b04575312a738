"""From a vendor's figure to a price of one unit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shared.contracts.usage import UsageUnit
from shared.errors import InvalidInputError
from shared.pricing.price_file import packaged_price_file, read_prices, unit_price

ROW = """
[[price]]
provider = "deepgram"
sku = "nova-3"
unit = "second"
price = {price}
per = "minute"
kind = "list"
valid_from = {start}
{end}
source = "a page"
read_on = 2026-08-08
confidence = "A"
"""


def _rows(*rows: tuple[str, str]) -> bytes:
    return "".join(
        ROW.format(price="0.0077", start=start, end=f"valid_to = {end}" if end else "") for start, end in rows
    ).encode()


@pytest.mark.parametrize(
    ("price", "per", "unit", "expected"),
    [
        ("0.0048", "minute", UsageUnit.SECOND, "0.00008"),
        ("0.0077", "minute", UsageUnit.SECOND, "0.000128333333"),
        ("0.0058", "minute", UsageUnit.SECOND, "0.000096666667"),
        ("1.00", "hour", UsageUnit.SECOND, "0.000277777778"),
        ("0.00000000003", "minute", UsageUnit.SECOND, "0"),  # 5e-13: half goes to the even digit
        ("0.00000000009", "minute", UsageUnit.SECOND, "0.000000000002"),  # 1.5e-12
        ("0.0085", "minute", UsageUnit.MINUTE, "0.0085"),
        ("0.030", "1k", UsageUnit.CHARACTER, "0.00003"),
        ("15", "1M", UsageUnit.CHARACTER, "0.000015"),
        ("0", "unit", UsageUnit.INPUT_TOKEN, "0"),
    ],
)
def test_a_price_per_minute_or_thousand_becomes_a_price_per_unit(
    price: str, per: str, unit: UsageUnit, expected: str
) -> None:
    assert unit_price(Decimal(price), per, unit) == Decimal(expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("per", "unit"), [("1k", UsageUnit.SECOND), ("minute", UsageUnit.CHARACTER), ("hour", UsageUnit.MINUTE)]
)
def test_a_price_for_another_kind_of_unit_is_refused(per: str, unit: UsageUnit) -> None:
    with pytest.raises(InvalidInputError):
        unit_price(Decimal(1), per, unit)  # type: ignore[arg-type]


def test_the_packaged_list_has_a_source_for_each_price_and_no_two_of_one_id() -> None:
    prices = read_prices(packaged_price_file())
    assert len({price.price_id for price in prices}) == len(prices)
    assert all(price.source and price.read_on for price in prices)


def test_periods_may_touch_but_not_overlap() -> None:
    assert len(read_prices(_rows(("2026-08-01", "2026-12-01"), ("2026-12-01", "")))) == 2
    for rows in (
        _rows(("2026-08-01", "2026-12-02"), ("2026-12-01", "")),
        _rows(("2026-08-01", ""), ("2026-12-01", "")),
        _rows(("2026-08-01", ""), ("2026-08-01", "")),
    ):
        with pytest.raises(InvalidInputError):
            read_prices(rows)


@pytest.mark.parametrize("price", ["-0.1", "nan", "inf", "-inf", '"free"', "true", "[]"])
def test_a_price_that_is_no_amount_is_refused(price: str) -> None:
    with pytest.raises(InvalidInputError):
        read_prices(ROW.format(price=price, start="2026-08-01", end="").encode())


@pytest.mark.parametrize(
    "toml",
    [
        b"",
        b"price = 1",
        b"price = []\nprice = []",
        b"\xff\xfe",
        b"[[price]]\nprovider = 'deepgram'",
        _rows(("2026-08-01", "2026-08-01")),
        _rows(("2026-08-01", "")) + b"typo = 1\n",
        _rows(("yesterday", "")),
    ],
)
def test_a_malformed_list_is_refused(toml: bytes) -> None:
    with pytest.raises(InvalidInputError):
        read_prices(toml)
