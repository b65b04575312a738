"""Prices by time, and exact bills."""

from __future__ import annotations

import ast
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import shared.pricing.catalogue
from shared.contracts.usage import UsageItem, UsageUnit
from shared.domain.agent import AgentConfig
from shared.errors import InvalidInputError, PriceNotFoundError
from shared.pricing.catalogue import PriceCatalogue, packaged_catalogue, total_usd
from shared.pricing.llm_prices import SOURCE, llm_prices
from shared.pricing.price import Price, PriceKind
from shared.pricing.price_file import packaged_price_file
from shared.pricing.sku import KEYTERM_ADDON, PLATFORM_PROVIDER, PLATFORM_SKU, provider_of, sku_of

NOVEMBER = datetime(2026, 11, 22, 12, tzinfo=UTC)
TOKENS = (UsageUnit.INPUT_TOKEN, UsageUnit.CACHED_INPUT_TOKEN, UsageUnit.OUTPUT_TOKEN)

CALL = (
    ("deepgram", "nova-3", UsageUnit.SECOND, "61.25"),
    ("openai", "gpt-4.1-mini", UsageUnit.INPUT_TOKEN, "2500"),
    ("openai", "gpt-4.1-mini", UsageUnit.CACHED_INPUT_TOKEN, "10000"),
    ("openai", "gpt-4.1-mini", UsageUnit.OUTPUT_TOKEN, "300"),
    ("deepgram", "aura-2", UsageUnit.CHARACTER, "400"),
)


def _item(provider: str, sku: str, unit: UsageUnit, quantity: str, *, estimated: bool = False) -> UsageItem:
    return UsageItem(provider=provider, sku=sku, unit=unit, quantity=Decimal(quantity), estimated=estimated)


def _price(kind: PriceKind, usd: str, start: date, end: date | None = None) -> Price:
    return Price(
        price_id=f"v/s/{kind}/{start}",
        provider="v",
        sku="s",
        unit=UsageUnit.SECOND,
        unit_price_usd=Decimal(usd),
        kind=kind,
        valid_from=start,
        valid_to=end,
        source="a page",
    )


def test_a_call_is_rated_to_the_last_decimal() -> None:
    lines = packaged_catalogue().rate([_item(*item) for item in CALL], NOVEMBER)

    assert [line.amount_usd for line in lines] == [
        Decimal("0.0049"),
        Decimal("0.001"),
        Decimal("0.001"),
        Decimal("0.00048"),
        Decimal("0.012"),
    ]
    assert total_usd(lines) == Decimal("0.01938")
    assert [line.price_id for line in lines] == [
        "deepgram/nova-3/second/2026-08-01/promo",
        f"openai/gpt-4.1-mini/input_token/{SOURCE}",
        f"openai/gpt-4.1-mini/cached_input_token/{SOURCE}",
        f"openai/gpt-4.1-mini/output_token/{SOURCE}",
        "deepgram/aura-2/character/2026-08-01",
    ]


def test_an_estimate_stays_marked() -> None:
    (line,) = packaged_catalogue().rate([_item(*CALL[3], estimated=True)], NOVEMBER)
    assert line.estimated


def test_nothing_used_costs_nothing() -> None:
    assert packaged_catalogue().rate([], NOVEMBER) == ()
    assert total_usd([]) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(CALL),
            st.decimals(min_value=0, max_value=10**15, allow_nan=False, allow_infinity=False, places=20)
            | st.integers(min_value=0, max_value=10**15).map(Decimal),
        ),
        max_size=30,
    )
)
def test_the_sum_of_lines_is_the_total_and_every_amount_is_quantity_times_price(
    used: list[tuple[tuple[str, str, UsageUnit, str], Decimal]],
) -> None:
    items = [UsageItem(provider=p, sku=s, unit=u, quantity=quantity) for (p, s, u, _), quantity in used]
    lines = packaged_catalogue().rate(items, NOVEMBER)

    for item, line in zip(items, lines, strict=True):
        assert Fraction(line.amount_usd) == Fraction(item.quantity) * Fraction(line.unit_price_usd)
    assert Fraction(total_usd(lines)) == sum(Fraction(line.amount_usd) for line in lines)
    assert total_usd(reversed(lines)) == total_usd(lines)


@pytest.mark.parametrize(
    "quantity", ["NaN", "sNaN", "Infinity", "-Infinity", "-1", "-1E-20", "1E+16", "1E-21", "1E+400"]
)
def test_a_quantity_that_is_no_amount_is_refused(quantity: str) -> None:
    item = _item(*CALL[0]).model_copy(update={"quantity": Decimal(quantity)})
    with pytest.raises(InvalidInputError):
        packaged_catalogue().rate([item], NOVEMBER)
    with pytest.raises(InvalidInputError):
        packaged_catalogue().rate_partial([item], NOVEMBER)


@pytest.mark.parametrize("quantity", [Decimal("0.1000000000000000055511151231"), 0.5, 1])
def test_a_quantity_that_was_a_float_or_is_no_decimal_is_refused(quantity: object) -> None:
    item = _item(*CALL[0]).model_copy(update={"quantity": quantity})
    with pytest.raises(InvalidInputError):
        packaged_catalogue().rate([item], NOVEMBER)


def test_what_has_no_price_is_named_and_not_charged_as_zero() -> None:
    items = [
        _item("deepgram", "nova-2", UsageUnit.SECOND, "1"),
        _item(*CALL[0]),
        _item("openai", "gpt-of-tomorrow", UsageUnit.INPUT_TOKEN, "1"),
        _item("deepgram", "aura-2", UsageUnit.SECOND, "0"),
        _item("nobody", "nothing", UsageUnit.MINUTE, "1"),
    ]
    with pytest.raises(PriceNotFoundError) as caught:
        packaged_catalogue().rate(items, NOVEMBER)
    lines, missing = packaged_catalogue().rate_partial(items, NOVEMBER)

    assert caught.value.data["missing"] == (
        "deepgram/aura-2/second",
        "deepgram/nova-2/second",
        "nobody/nothing/minute",
        "openai/gpt-of-tomorrow/input_token",
    )
    assert [line.sku for line in lines] == ["nova-3"]
    assert missing == (items[0], items[2], items[3], items[4])


def test_a_price_holds_from_midnight_utc_of_its_first_day_to_midnight_of_its_last() -> None:
    first, second = date(2026, 8, 1), date(2026, 12, 1)
    catalogue = PriceCatalogue(
        [_price(PriceKind.LIST, "1", first, second), _price(PriceKind.LIST, "2", second)], version="t"
    )
    start, change = datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    tick = timedelta(microseconds=1)

    with pytest.raises(PriceNotFoundError):
        catalogue.price_for("v", "s", UsageUnit.SECOND, start - tick)
    assert catalogue.price_for("v", "s", UsageUnit.SECOND, start).unit_price_usd == 1
    assert catalogue.price_for("v", "s", UsageUnit.SECOND, change - tick).unit_price_usd == 1
    assert catalogue.price_for("v", "s", UsageUnit.SECOND, change).unit_price_usd == 2
    evening_in_new_york = datetime(2026, 11, 30, 19, tzinfo=timezone(timedelta(hours=-5)))
    assert catalogue.price_for("v", "s", UsageUnit.SECOND, evening_in_new_york).unit_price_usd == 2


def test_a_promotion_is_charged_while_it_holds_and_the_list_price_stays_known() -> None:
    promo_end = date(2026, 12, 1)
    catalogue = PriceCatalogue(
        [
            _price(PriceKind.LIST, "2", date(2026, 8, 1)),
            _price(PriceKind.PROMO, "1", date(2026, 8, 1), promo_end),
        ],
        version="t",
    )
    key = ("v", "s", UsageUnit.SECOND)
    assert catalogue.price_for(*key, NOVEMBER).unit_price_usd == 1
    assert catalogue.list_price_for(*key, NOVEMBER).unit_price_usd == 2
    assert catalogue.price_for(*key, datetime(2026, 12, 1, tzinfo=UTC)).unit_price_usd == 2


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        packaged_catalogue().price_for("deepgram", "nova-3", UsageUnit.SECOND, datetime(2026, 11, 22))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("unit", "before", "after"),
    [
        (UsageUnit.INPUT_TOKEN, "1", "0.2"),
        (UsageUnit.CACHED_INPUT_TOKEN, "0.1", "0.02"),
        (UsageUnit.OUTPUT_TOKEN, "6", "1.2"),
    ],
)
def test_a_language_models_price_is_that_of_the_calls_day(unit: UsageUnit, before: str, after: str) -> None:
    change = datetime(2026, 7, 30, tzinfo=UTC)
    old = packaged_catalogue().price_for("openai", "gpt-5.6-luna", unit, change - timedelta(microseconds=1))
    new = packaged_catalogue().price_for("openai", "gpt-5.6-luna", unit, change)

    assert (old.unit_price_usd, new.unit_price_usd) == (Decimal(before) / 10**6, Decimal(after) / 10**6)
    assert old.price_id == f"openai/gpt-5.6-luna/{unit}/{SOURCE}"
    assert new.price_id == f"openai/gpt-5.6-luna/{unit}/{SOURCE}/2026-07-30"


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-4o", ("2.50", "1.25", "10")),
        ("gpt-4.1-mini", ("0.40", "0.10", "1.60")),
        ("gpt-4.1-mini-2025-04-14", ("0.40", "0.10", "1.60")),
        ("gpt-5.4", ("2.50", "0.25", "15")),
        ("gpt-6-luna", ("0.10", "0.01", "0.50")),
        ("gpt-6.1-terra", ("1", "0.05", "5")),
    ],
)
def test_language_model_prices_are_the_base_tier_of_the_vendors_list(
    model: str, tokens: tuple[str, ...]
) -> None:
    for unit, per_million in zip(TOKENS, tokens, strict=True):
        price = packaged_catalogue().price_for("openai", model, unit, NOVEMBER)
        assert price.unit_price_usd == Decimal(per_million) / 10**6


def test_a_model_priced_by_the_hour_of_the_day_has_no_price() -> None:
    assert llm_prices("deepseek", "deepseek-chat") == ()
    assert llm_prices("no-such-vendor", "m") == ()


def test_everything_that_a_default_agent_uses_has_a_price_today() -> None:
    config = AgentConfig(greeting="Hello.", instructions="Be kind.", name="a")
    today = datetime.now(UTC)
    used = [
        *((c.provider, c.model or "nova-3", UsageUnit.SECOND) for c in config.stt),
        *((c.provider, c.model, unit) for c in config.llm for unit in TOKENS),
        *((c.provider, c.model or c.voice, UsageUnit.CHARACTER) for c in config.tts),
    ]
    for provider, model, unit in used:
        assert packaged_catalogue().price_for(provider_of(provider), sku_of(provider, model), unit, today)


@pytest.mark.parametrize(
    ("provider", "model", "unit"),
    [
        ("deepgram", "nova-3-multilingual", UsageUnit.SECOND),
        ("deepgram", "nova-3-medical", UsageUnit.SECOND),
        ("deepgram-flux", "flux-general-en", UsageUnit.SECOND),
        ("deepgram-flux", "flux-general-multi", UsageUnit.SECOND),
        ("deepgram", KEYTERM_ADDON, UsageUnit.SECOND),
        ("elevenlabs", "eleven_flash_v2_5", UsageUnit.CHARACTER),
        ("elevenlabs", "eleven_turbo_v2_5", UsageUnit.CHARACTER),
        ("elevenlabs", "eleven_multilingual_v2", UsageUnit.CHARACTER),
        ("elevenlabs", "", UsageUnit.CHARACTER),
        ("azure", "en-US-JennyNeural", UsageUnit.CHARACTER),
        ("azure", "en-US-Ava:DragonHDLatestNeural", UsageUnit.CHARACTER),
        *(("openai-compatible", "anything", unit) for unit in TOKENS),
        (PLATFORM_PROVIDER, PLATFORM_SKU, UsageUnit.MINUTE),
    ],
)
def test_everything_else_that_the_product_can_use_has_a_price_today(
    provider: str, model: str, unit: UsageUnit
) -> None:
    today = datetime.now(UTC)
    assert packaged_catalogue().price_for(provider_of(provider), sku_of(provider, model), unit, today)


def test_the_version_changes_with_the_list_and_names_the_package() -> None:
    toml = packaged_price_file()
    assert PriceCatalogue.from_toml(toml).version == packaged_catalogue().version
    assert PriceCatalogue.from_toml(toml + b"\n").version != packaged_catalogue().version
    assert packaged_catalogue().version.endswith(f"+{SOURCE}")


def test_every_price_is_a_decimal() -> None:
    prices = [*packaged_catalogue().prices, *llm_prices("openai", "gpt-4.1-mini")]
    assert {type(price.unit_price_usd) for price in prices} == {Decimal}


def test_no_float_is_written_anywhere_in_the_package() -> None:
    for path in Path(shared.pricing.catalogue.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), path.name
            assert not (isinstance(node, ast.Name) and node.id == "float"), path.name


def test_importing_and_rating_touch_no_network() -> None:
    program = """
import sys
def refuse(event, args):
    if event.startswith(("socket.", "urllib.", "http.")):
        raise RuntimeError(event)
sys.addaudithook(refuse)
from datetime import UTC, datetime
from decimal import Decimal
from shared.contracts.usage import UsageItem
from shared.pricing.catalogue import packaged_catalogue
items = [UsageItem(provider="openai", sku="gpt-4.1-mini", unit="input_token", quantity=Decimal(7))]
print(packaged_catalogue().rate(items, datetime.now(UTC))[0].amount_usd)
"""
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.stdout.strip(), done.stderr) == ("0.0000028", "")
