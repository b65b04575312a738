"""What a call needs of the process that hosts it."""

from __future__ import annotations

from dataclasses import dataclass

from livekit.agents import vad

from edge_agents.audio.phrases import PhraseStore
from edge_agents.providers.call_providers import ProviderFactory
from shared.net import GuardedClient
from shared.ports import CallTransfer, Clock, EventPublisher, Sealer
from shared.pricing.catalogue import PriceCatalogue


@dataclass(frozen=True)
class CallHost:
    """Adapters that all calls of a process share; built in bootstrap.py and nowhere else."""

    providers: ProviderFactory
    publisher: EventPublisher
    sealer: Sealer
    clock: Clock
    catalogue: PriceCatalogue
    phrases: PhraseStore
    tool_http: GuardedClient
    transfer: CallTransfer
    voice_activity: vad.VAD
    away_after_s: float = 20.0
    """Silence of both sides after which a caller is asked whether they are still there, seconds."""
