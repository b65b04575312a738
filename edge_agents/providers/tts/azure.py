"""Azure neural voices over REST, with the text escaped before it becomes SSML."""

from __future__ import annotations

from xml.sax.saxutils import escape

from livekit.agents import APIConnectOptions, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.plugins import azure

from edge_agents.providers.clients import ProviderClients
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.timeouts import Deadlines
from edge_agents.providers.tts.metered import MeteredTTS
from shared.domain.agent import TtsChoice
from shared.pricing.agent_items import tts_sku


class EscapingAzureTTS(azure.TTS):
    """The plugin puts text into SSML as it is: `&` breaks it, `<` injects markup. This escapes both."""

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """Speak `text` literally, whatever characters a model or a tool put into it."""
        return super().synthesize(escape(text), conn_options=conn_options)


def azure_tts(
    choice: TtsChoice, *, clients: ProviderClients, meter: UsageMeter, language: str, deadlines: Deadlines
) -> MeteredTTS:
    """One call's voice object; one request per sentence (the vendor takes no text in pieces)."""
    endpoint = clients.endpoint("azure", choice.endpoint)

    def make() -> EscapingAzureTTS:
        return EscapingAzureTTS(
            voice=choice.voice,
            language=language,
            sample_rate=24_000,
            speech_endpoint=endpoint.url,
            speech_key=endpoint.key.get_secret_value(),
            http_session=clients.voice_http,
        )

    return MeteredTTS(make, meter=meter, provider="azure", sku=tts_sku(choice), deadlines=deadlines)
