"""A call's recogniser: the tenant's choices in order, each watched."""

from __future__ import annotations

from typing import Any, assert_never

from livekit.agents import stt

from edge_agents.providers.clients import ProviderClients
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.stt.deepgram_flux import deepgram_flux_stt
from edge_agents.providers.stt.deepgram_nova import deepgram_nova_stt
from edge_agents.providers.stt.metered import MeteredSTT, UnansweredAudio
from edge_agents.providers.timeouts import Deadlines
from shared.domain.agent import SttChoice


def build_stt(
    choices: tuple[SttChoice, ...],
    *,
    clients: ProviderClients,
    meter: UsageMeter,
    language: str,
    keyterms: tuple[str, ...],
    tags: tuple[str, ...],
    deadlines: Deadlines,
) -> tuple[stt.STT[Any], list[MeteredSTT]]:
    """Build the recogniser that a session uses, and the list of objects to close with it.

    Args:
        choices: the tenant's, in order.
        clients: shared connections.
        meter: counts this call's seconds.
        language: BCP 47 tag.
        keyterms: words to expect.
        tags: labels that the vendor keeps with the usage, for its own cost reports.
        deadlines: of connections and answers.
    """
    unanswered = UnansweredAudio()

    def one(choice: SttChoice) -> MeteredSTT:
        match choice.provider:
            case "deepgram":
                return deepgram_nova_stt(
                    choice,
                    clients=clients,
                    meter=meter,
                    language=language,
                    keyterms=keyterms,
                    tags=tags,
                    unanswered=unanswered,
                    deadlines=deadlines,
                )
            case "deepgram-flux":
                return deepgram_flux_stt(
                    choice,
                    clients=clients,
                    meter=meter,
                    keyterms=keyterms,
                    tags=tags,
                    unanswered=unanswered,
                    deadlines=deadlines,
                )
            case _:
                assert_never(choice.provider)

    owned = [one(choice) for choice in choices]
    if len(owned) == 1:
        return owned[0], owned
    return stt.FallbackAdapter(list(owned), attempt_timeout=deadlines.connect_s, max_retry_per_stt=0), owned
