"""A call's voice: the tenant's choices in order, each with its deadline."""

from __future__ import annotations

from typing import Any, assert_never

from livekit.agents import tts

from edge_agents.providers.clients import ProviderClients
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.timeouts import Deadlines
from edge_agents.providers.tts.azure import azure_tts
from edge_agents.providers.tts.deepgram import deepgram_tts
from edge_agents.providers.tts.elevenlabs import elevenlabs_tts
from edge_agents.providers.tts.metered import MeteredTTS
from edge_agents.providers.tts.one_pass import OnePassVoices
from shared.domain.agent import TtsChoice

SAMPLE_RATE_HZ = 24_000
"""All voices are asked for this rate, so that a fallback needs no resampling."""


def build_tts(
    choices: tuple[TtsChoice, ...],
    *,
    clients: ProviderClients,
    meter: UsageMeter,
    language: str,
    deadlines: Deadlines,
) -> tuple[tts.TTS[Any], list[MeteredTTS]]:
    """Build the voice that a session uses, and the list of objects to close with it."""
    owned = [
        _voice(choice, clients=clients, meter=meter, language=language, deadlines=deadlines)
        for choice in choices
    ]
    if len(owned) == 1:
        return owned[0], owned
    return OnePassVoices(list(owned), max_retry_per_tts=0, sample_rate=SAMPLE_RATE_HZ), owned


def _voice(
    choice: TtsChoice, *, clients: ProviderClients, meter: UsageMeter, language: str, deadlines: Deadlines
) -> MeteredTTS:
    match choice.provider:
        case "deepgram":
            return deepgram_tts(choice, clients=clients, meter=meter, deadlines=deadlines)
        case "elevenlabs":
            return elevenlabs_tts(choice, clients=clients, meter=meter, deadlines=deadlines)
        case "azure":
            return azure_tts(choice, clients=clients, meter=meter, language=language, deadlines=deadlines)
        case _:
            assert_never(choice.provider)
