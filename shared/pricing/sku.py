"""From the names that vendors' plugins and agent configurations use to the items of the price catalogue."""

from __future__ import annotations

from typing import Final

OWN_ENDPOINT: Final = "own-endpoint"
"""Item of a language model at a tenant's own base_url; the tenant's vendor bills the tenant."""
KEYTERM_ADDON: Final = "keyterm"
"""Deepgram's add-on when a stream is given key terms; seconds, on top of the model."""
PLATFORM_PROVIDER: Final = "parley"
PLATFORM_SKU: Final = "platform"
"""Our own price of a call's started minutes."""

# Configuration names, `provider` of livekit plugins' metrics (1.8.9), and hosts that the openai plugin gives there.
_PROVIDERS: Final = {
    "deepgram-flux": "deepgram",
    "deepgram-stt": "deepgram",
    "deepgram-tts": "deepgram",
    "azure stt": "azure",
    "azure tts": "azure",
    "azure-stt": "azure",
    "azure-tts": "azure",
    "api.openai.com": "openai",
}

_DEEPGRAM_MODELS: Final = {
    "nova-3": "nova-3",
    "nova-3-general": "nova-3",
    "nova-3-medical": "nova-3-medical",
    "nova-3-multilingual": "nova-3-multi",
    "flux-general-en": "flux-en",
    "flux-general-multi": "flux-multi",
}
_ITEMS: Final = frozenset(
    {
        *(
            "nova-3",
            "nova-3-multi",
            "nova-3-medical",
            "flux-en",
            "flux-multi",
            "keyterm",
            "redact",
            "diarize",
        ),
        *("aura-1", "aura-2", "flux-tts", "flash", "turbo", "multilingual"),
        *("stt-realtime", "neural", "neural-hd", "custom-neural"),
    }
)
"""Items themselves: naming one again changes nothing."""
# Prefixes of voices, the longest first. Recognisers are flux-general-*: a new one is no voice.
_DEEPGRAM_VOICES: Final = (
    ("aura-2-", "aura-2"),
    ("aura-", "aura-1"),
    ("flux-general-", ""),
    ("flux-", "flux-tts"),
)
_ELEVENLABS_MODELS: Final = (
    ("eleven_flash_", "flash"),
    ("eleven_turbo_", "turbo"),
    ("eleven_multilingual_", "multilingual"),
    ("eleven_v3", "multilingual"),
)


def provider_of(name: str) -> str:
    """The vendor in the catalogue behind a provider's name, in any case; a name it does not know stays itself."""
    lowered = name.strip().lower()
    return _PROVIDERS.get(lowered, lowered)


def sku_of(provider: str, model: str, *, language: str = "") -> str:
    """The catalogue's item for a vendor's model or voice.

    Args:
        provider: name in any form that `provider_of` knows.
        model: model or voice as sent to the vendor, or as a plugin's metrics name it.
        language: recognition language; `multi` is an item of its own at Deepgram.

    Returns:
        The item. A model that no rule knows is returned as it is, in lower case: the catalogue then has no price
        for it and says so, instead of charging it as something else.
    """
    vendor, name = provider_of(provider), model.strip().lower()
    if vendor == "deepgram":
        return _deepgram(name, language)
    if vendor == "elevenlabs":
        # "" is the plugin's default, eleven_turbo_v2_5
        return "turbo" if not name else _by_prefix(_ELEVENLABS_MODELS, name)
    if vendor == "azure":
        return _azure(name)
    if vendor == "openai-compatible":
        return OWN_ENDPOINT
    return name


def _deepgram(name: str, language: str) -> str:
    sku = _DEEPGRAM_MODELS.get(name) or (name if name in _ITEMS else _by_prefix(_DEEPGRAM_VOICES, name))
    return "nova-3-multi" if sku == "nova-3" and language == "multi" else sku


def _azure(name: str) -> str:
    # the plugin's metrics say `<region or host>:<voice>` and, for a custom voice, `:<deployment>`
    parts = name.split(":")
    if name in _ITEMS:
        return name
    if "dragonhd" in name:  # en-US-Ava:DragonHDLatestNeural
        return "neural-hd"
    if len(parts) > 2:
        return "custom-neural"
    return "neural" if parts[-1].endswith("neural") else name


def _by_prefix(table: tuple[tuple[str, str], ...], name: str) -> str:
    return next((sku for prefix, sku in table if name.startswith(prefix)), "") or name
