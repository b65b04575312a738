"""Deepgram Flux over `/v2/listen`: a recogniser that decides turns itself."""

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


def deepgram_flux_stt(
    choice: SttChoice,
    *,
    clients: ProviderClients,
    meter: UsageMeter,
    keyterms: tuple[str, ...],
    tags: tuple[str, ...],
    unanswered: UnansweredAudio,
    deadlines: Deadlines,
) -> MeteredSTT:
    """One call's recogniser over the process's shared HTTP session.

    Billed per second of audio.
    """
    endpoint = clients.endpoint("deepgram-flux", choice.endpoint)
    plugin = deepgram.STTv2(
        model=choice.model_name,
        keyterm=list(keyterms),
        tags=list(tags),
        eager_eot_threshold=0.5,
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
