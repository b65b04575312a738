"""ElevenLabs voices over the multi-context WebSocket."""

from __future__ import annotations

from livekit.plugins import elevenlabs

from edge_agents.providers.clients import ProviderClients
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.timeouts import Deadlines
from edge_agents.providers.tts.metered import MeteredTTS
from shared.domain.agent import TtsChoice
from shared.pricing.sku import sku_of

DEFAULT_MODEL = "eleven_flash_v2_5"
"""The fastest model of the vendor (time to first audio, Coval, May 2026)."""


def elevenlabs_tts(
    choice: TtsChoice, *, clients: ProviderClients, meter: UsageMeter, deadlines: Deadlines
) -> MeteredTTS:
    """One call's voice object; raw PCM, because decoding MP3 costs CPU for nothing."""
    endpoint = clients.endpoint("elevenlabs", choice.endpoint)
    model = choice.model or DEFAULT_MODEL

    def make() -> elevenlabs.TTS:
        return elevenlabs.TTS(
            voice_id=choice.voice,
            model=model,
            encoding="pcm_24000",
            base_url=endpoint.url,
            api_key=endpoint.key.get_secret_value(),
            http_session=clients.voice_http,
        )

    return MeteredTTS(
        make, meter=meter, provider="elevenlabs", sku=sku_of("elevenlabs", model), deadlines=deadlines
    )
