"""Language models are kept within bounds."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from local_stack.engines.listen.decoder_pool import DecoderPool
from local_stack.engines.listen.errors import Refused
from local_stack.engines.listen.local_api import MAX_MODELS, LanguageModels, LanguageOrder


async def test_one_language_too_many_is_refused() -> None:
    models = LanguageModels(
        DecoderPool(1), {f"agent{number}": {"digest": ""} for number in range(MAX_MODELS)}
    )

    with pytest.raises(Refused) as caught:
        await models.put("one-more", LanguageOrder())

    assert caught.value.status == 507


async def test_the_same_order_again_builds_nothing() -> None:
    order = LanguageOrder(texts=("Hello.",))
    described = {"rooms": {"digest": order.digest}}

    assert await LanguageModels(DecoderPool(1), described).put("rooms", order) == described["rooms"]
    assert order.digest != LanguageOrder(keyterms=("Hello.",)).digest


@pytest.mark.parametrize(
    "order",
    [
        {"texts": ["x" * 20_001]},
        {"texts": ["x"] * 2001},
        {"keyterms": ["x" * 201]},
        {"keyterms": ["x"] * 501},
    ],
)
def test_an_order_is_bounded(order: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError):
        LanguageOrder.model_validate(order)
