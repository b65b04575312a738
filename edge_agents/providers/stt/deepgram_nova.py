"""Deepgram Nova-3 over `/v1/listen`."""

from __future__ import annotations

from livekit.plugins import deepgram

from edge_agents.providers.clients import ProviderClients
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.stt.deepgram_usage import unreported_s
from edge_agents.providers.stt.metered import MeteredSTT, UnansweredAudio
from edge_agents.providers.timeouts import Deadlines
from shared.domain.agent import SttChoice
from shared.pricing.agent_items import stt_sku
from shared.pricing.sku import KEYTERM_ADDON


def deepgram_nova_stt(
    choice: SttChoice,
    *,
    clients: ProviderClients,
    meter: UsageMeter,
    language: str,
    keyterms: tuple[str, ...],
    tags: tuple[str, ...],
    unanswered: UnansweredAudio,
    deadlines: Deadlines,
) -> MeteredSTT:
    """One call's recogniser over the process's shared HTTP session.

    Billed by the connection's lifetime, which the plugin reports (the rest when it closes).
    """
    endpoint = clients.endpoint("deepgram-stt", choice.endpoint)
    plugin = deepgram.STT(
        model=choice.model_name,
        language=language,
        keyterm=list(keyterms),
        tags=list(tags),
        smart_format=True,
        base_url=endpoint.url,
        api_key=endpoint.key.get_secret_value(),
        http_session=clients.http,
    )
    sku = stt_sku(choice)
    return MeteredSTT(
        plugin,
        meter=meter,
        provider="deepgram",
        skus=(sku, KEYTERM_ADDON) if keyterms else (sku,),
        unreported_s=unreported_s,
        unanswered=unanswered,
        deadlines=deadlines,
    )
