"""Names of vendors, models and voices become items of the catalogue."""

from __future__ import annotations

import pytest

from shared.pricing.catalogue import packaged_catalogue
from shared.pricing.sku import provider_of, sku_of


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("deepgram", "nova-3", ("deepgram", "nova-3")),
        ("Deepgram", "nova-3-general", ("deepgram", "nova-3")),
        ("deepgram", "nova-3-medical", ("deepgram", "nova-3-medical")),
        ("deepgram", "nova-3-multilingual", ("deepgram", "nova-3-multi")),
        ("deepgram-flux", "flux-general-en", ("deepgram", "flux-en")),
        ("deepgram-flux", "flux-general-multi", ("deepgram", "flux-multi")),
        ("deepgram", "aura-2-andromeda-en", ("deepgram", "aura-2")),
        ("deepgram", "aura-asteria-en", ("deepgram", "aura-1")),
        ("Deepgram", "flux-alexis-en", ("deepgram", "flux-tts")),
        ("ElevenLabs", "eleven_flash_v2_5", ("elevenlabs", "flash")),
        ("elevenlabs", "eleven_turbo_v2_5", ("elevenlabs", "turbo")),
        ("elevenlabs", "eleven_multilingual_v2", ("elevenlabs", "multilingual")),
        ("elevenlabs", "eleven_v3", ("elevenlabs", "multilingual")),
        ("elevenlabs", "", ("elevenlabs", "turbo")),
        ("azure", "en-US-JennyNeural", ("azure", "neural")),
        ("Azure TTS", "westeurope:en-US-JennyNeural", ("azure", "neural")),
        ("azure", "en-US-Ava:DragonHDLatestNeural", ("azure", "neural-hd")),
        ("Azure TTS", "eastus:en-US-Ava:DragonHDLatestNeural", ("azure", "neural-hd")),
        ("Azure TTS", "eastus:ContosoNeural:0b7c-deployment", ("azure", "custom-neural")),
        ("openai", "gpt-4.1-mini", ("openai", "gpt-4.1-mini")),
        ("api.openai.com", "GPT-4.1-mini-2025-04-14", ("openai", "gpt-4.1-mini-2025-04-14")),
        ("openai-compatible", "llama-of-the-tenant", ("openai-compatible", "own-endpoint")),
    ],
)
def test_a_vendors_name_becomes_an_item(provider: str, model: str, expected: tuple[str, str]) -> None:
    assert (provider_of(provider), sku_of(provider, model)) == expected


def test_recognising_several_languages_is_another_item() -> None:
    assert sku_of("deepgram", "nova-3", language="multi") == "nova-3-multi"
    assert sku_of("deepgram", "nova-3", language="de") == "nova-3"


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("deepgram", "nova-2"),
        ("deepgram", "flux-general-de"),
        ("elevenlabs", "new_model"),
        ("azure", "unknown"),
    ],
)
def test_a_model_that_no_rule_knows_is_not_taken_for_another(provider: str, model: str) -> None:
    assert sku_of(provider, model) == model


def test_the_name_of_an_item_stays_what_it_is() -> None:
    for price in packaged_catalogue().prices:
        assert provider_of(price.provider) == price.provider
        assert sku_of(price.provider, price.sku) == price.sku
