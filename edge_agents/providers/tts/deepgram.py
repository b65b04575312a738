"""Deepgram Aura-2 voices over a WebSocket."""

from __future__ import annotations

from livekit.plugins import deepgram

from edge_agents.providers.clients import ProviderClients
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.timeouts import Deadlines
from edge_agents.providers.tts.metered import MeteredTTS
from shared.domain.agent import TtsChoice
from shared.pricing.agent_items import tts_sku


def deepgram_tts(
    choice: TtsChoice, *, clients: ProviderClients, meter: UsageMeter, deadlines: Deadlines
) -> MeteredTTS:
    """One call's voice object over the process's shared HTTP session; 24 kHz linear PCM."""
    endpoint = clients.endpoint("deepgram-tts", choice.endpoint)

    def make() -> deepgram.TTS:
        return deepgram.TTS(
            model=choice.voice,
            encoding="linear16",
            sample_rate=24_000,
            base_url=endpoint.url,
            api_key=endpoint.key.get_secret_value(),
            http_session=clients.voice_http,
        )

    return MeteredTTS(
        make,
        meter=meter,
        provider="deepgram",
        sku=tts_sku(choice),
        deadlines=deadlines,
        # the pool closes a socket that was in use at an interruption, at the start of the next reply
        renew_after_cut=True,
    )
