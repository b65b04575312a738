"""What an agent's choices are billed as."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_stack.agents import read_agents
from local_stack.paths import TENANTS
from shared.pricing.agent_items import billed_choices, unpriced_choices
from shared.pricing.catalogue import packaged_catalogue
from tests.fakes.configs import agent_config

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_every_choice_is_named_with_its_field_and_its_item() -> None:
    config = agent_config(
        keyterms=["Ada"],
        stt=[{}, {"provider": "deepgram-flux"}],
        llm=[
            {"model": "gpt-4.1"},
            {"provider": "openai-compatible", "model": "llama", "base_url": "https://llm.example/v1"},
        ],
        tts=[
            {},
            {"provider": "elevenlabs", "voice": "abc"},
            {"provider": "azure", "voice": "en-US-AvaNeural"},
        ],
    )
    assert [(choice.field, f"{choice.provider}/{choice.sku}") for choice in billed_choices(config)] == [
        ("keyterms", "deepgram/keyterm"),
        ("stt.0.model", "deepgram/nova-3"),
        ("stt.1.model", "deepgram/flux-en"),
        ("llm.0.model", "openai/gpt-4.1"),
        ("llm.1.model", "openai-compatible/own-endpoint"),
        ("tts.0.voice", "deepgram/aura-2"),
        ("tts.1.model", "elevenlabs/flash"),
        ("tts.2.voice", "azure/neural"),
    ]
    assert unpriced_choices(config, packaged_catalogue(), NOW) == []


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"stt": [{"model": "whisper"}]}, "stt.0.model"),
        ({"llm": [{}, {"model": "gpt-99"}]}, "llm.1.model"),
        ({"tts": [{"voice": "nobody"}]}, "tts.0.voice"),
        ({"tts": [{"provider": "elevenlabs", "voice": "x", "model": "eleven_v9"}]}, "tts.0.model"),
    ],
    ids=str,
)
def test_a_choice_without_a_price_is_found(config: dict[str, object], field: str) -> None:
    found = unpriced_choices(agent_config(**config), packaged_catalogue(), NOW)
    assert [choice.field for choice in found] == [field]


def test_the_sample_agents_have_prices_for_all_they_use(tmp_path: Path) -> None:
    for record in read_agents(TENANTS, business_url="http://127.0.0.1:1").all():
        assert unpriced_choices(record.version.config, packaged_catalogue(), NOW) == []
