"""The only place that builds adapters: settings in, a ready call desk out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from livekit.agents import inference

from edge_agents.audio.phrases import PhraseStore
from edge_agents.host.desk import CallDesk
from edge_agents.providers.call_providers import build_call_providers
from edge_agents.providers.clients import ProviderClients
from edge_agents.session.host import CallHost
from edge_agents.settings import AgentSettings
from edge_agents.telephony.transfer import NoTransfer
from shared.adapters.clock import SystemClock
from shared.adapters.config_files import FileConfigStore
from shared.adapters.kafka import KafkaEventPublisher
from shared.adapters.local_gate import LocalGate
from shared.adapters.sealing import AesGcmSealer
from shared.errors import InvalidSettingsError
from shared.net import GuardedClient
from shared.pricing.catalogue import packaged_catalogue

_FLUSH_S = 10.0
"""Time that events get to leave when the process ends; the rest stays in the spill folder."""


@dataclass(frozen=True)
class AgentRuntime:
    """What main.py and the worker drive."""

    settings: AgentSettings
    desk: CallDesk
    gate: LocalGate


@asynccontextmanager
async def agent_runtime(settings: AgentSettings) -> AsyncIterator[AgentRuntime]:
    """Open everything that calls share, in order; close it in reverse, events last.

    Args:
        settings: validated settings of the process.
    """
    clock = SystemClock()
    publisher = KafkaEventPublisher(
        bootstrap=settings.kafka_bootstrap,
        spill_dir=settings.spill_dir,
        source=f"/parley/agents/{settings.region}",
    )
    try:
        async with (
            ProviderClients(settings) as clients,
            GuardedClient(allow_loopback=settings.allow_loopback) as tool_http,
        ):
            gate = LocalGate(max_calls=settings.max_calls)
            host = CallHost(
                providers=partial(build_call_providers, clients=clients),
                publisher=publisher,
                sealer=AesGcmSealer.from_file(settings.sealing_key_file),
                clock=clock,
                catalogue=packaged_catalogue(),
                phrases=_open_phrases(settings.phrase_dir),
                tool_http=tool_http,
                transfer=NoTransfer(),
                voice_activity=inference.VAD(model="silero"),
            )
            configs = FileConfigStore(settings.agents_dir, placeholders=settings.tool_placeholders)
            yield AgentRuntime(
                settings=settings,
                desk=CallDesk(host, gate=gate, configs=configs, region=settings.region),
                gate=gate,
            )
    finally:
        await publisher.aclose(_FLUSH_S)


def _open_phrases(folder: Path) -> PhraseStore:
    try:
        return PhraseStore(folder)
    except OSError as error:
        raise InvalidSettingsError(
            f"PARLEY_PHRASE_DIR can't be used: {(error.strerror or type(error).__name__).lower()}",
            hint="Name a folder that this user may write to.",
        ) from error
