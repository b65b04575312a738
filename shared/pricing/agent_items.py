"""What an agent's choices of providers will be billed as, before any call is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.usage import UsageUnit
from shared.domain.agent import AgentConfig, LlmChoice, SttChoice, TtsChoice
from shared.errors import PriceNotFoundError
from shared.pricing.catalogue import PriceCatalogue
from shared.pricing.sku import KEYTERM_ADDON, provider_of, sku_of


@dataclass(frozen=True, slots=True)
class BilledChoice:
    """One thing that calls of an agent may be billed for."""

    field: str
    """The configuration's field that chooses it: `llm.0.model`."""
    provider: str
    sku: str
    units: tuple[UsageUnit, ...]
    """All of them must have a price."""


def stt_sku(choice: SttChoice) -> str:
    """The catalogue's item for a recogniser."""
    return sku_of(choice.provider, choice.model_name)


def llm_sku(choice: LlmChoice) -> str:
    """The catalogue's item for a language model."""
    return sku_of(choice.provider, choice.model)


def tts_sku(choice: TtsChoice) -> str:
    """The catalogue's item for a voice."""
    return sku_of(choice.provider, choice.model_name)


def billed_choices(config: AgentConfig) -> Iterator[BilledChoice]:
    """Everything that calls of an agent may be billed for, fallbacks too, in the fields' order."""
    if config.keyterms:
        yield BilledChoice("keyterms", "deepgram", KEYTERM_ADDON, (UsageUnit.SECOND,))
    for at, stt in enumerate(config.stt):
        yield BilledChoice(f"stt.{at}.model", provider_of(stt.provider), stt_sku(stt), (UsageUnit.SECOND,))
    for at, llm in enumerate(config.llm):
        units = (UsageUnit.INPUT_TOKEN, UsageUnit.OUTPUT_TOKEN)
        yield BilledChoice(f"llm.{at}.model", provider_of(llm.provider), llm_sku(llm), units)
    for at, tts in enumerate(config.tts):
        field = f"tts.{at}.{'model' if tts.provider == 'elevenlabs' else 'voice'}"
        yield BilledChoice(field, provider_of(tts.provider), tts_sku(tts), (UsageUnit.CHARACTER,))


def unpriced_choices(config: AgentConfig, catalogue: PriceCatalogue, at: datetime) -> list[BilledChoice]:
    """Those for which the catalogue has no price at an instant."""
    return [choice for choice in billed_choices(config) if not _has_prices(choice, catalogue, at)]


def _has_prices(choice: BilledChoice, catalogue: PriceCatalogue, at: datetime) -> bool:
    try:
        for unit in choice.units:
            catalogue.price_for(choice.provider, choice.sku, unit, at)
    except PriceNotFoundError:
        return False
    return True
