"""ElevenLabs voices over the multi-context WebSocket."""

from __future__ import annotations

from livekit.plugins import elevenlabs

from edge_agents.providers.clients import ProviderClients
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.timeouts import Deadlines
from edge_agents.providers.tts.metered import MeteredTTS
from shared.domain.agent import TtsChoice
from shared.pricing.agent_items import tts_sku


def elevenlabs_tts(
    choice: TtsChoice, *, clients: ProviderClients, meter: UsageMeter, deadlines: Deadlines
) -> MeteredTTS:
    """One call's voice object; raw PCM, because decoding MP3 costs CPU for nothing."""
    endpoint = clients.endpoint("elevenlabs", choice.endpoint)

    def make() -> elevenlabs.TTS:
        return elevenlabs.TTS(
            voice_id=choice.voice,
            model=choice.model_name,
            encoding="pcm_24000",
            base_url=endpoint.url,
            api_key=endpoint.key.get_secret_value(),
            http_session=clients.voice_http,
        )

    return MeteredTTS(make, meter=meter, provider="elevenlabs", sku=tts_sku(choice), deadlines=deadlines)
