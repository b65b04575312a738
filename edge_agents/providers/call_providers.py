"""The provider objects of one call, made and closed together.

Never shared between calls: a session listens to its objects' metrics and errors, so that a shared object
would bill every call for all of them (measured, docs/references.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog
from livekit.agents import APIConnectOptions, llm, stt, tts
from livekit.agents.voice.agent_session import SessionConnectOptions

from edge_agents.providers.clients import ProviderClients
from edge_agents.providers.llm.factory import build_llm
from edge_agents.providers.llm.metered import MeteredLLM
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.stt.factory import build_stt
from edge_agents.providers.stt.metered import MeteredSTT
from edge_agents.providers.timeouts import DEADLINES, Deadlines
from edge_agents.providers.tts.factory import build_tts
from edge_agents.providers.tts.metered import MeteredTTS
from shared.domain.agent import AgentVersion

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class CallProviders:
    """STT, LLM and TTS of one call, and the meter that counts them."""

    stt: stt.STT[Any]
    llm: llm.LLM[Any]
    tts: tts.TTS[Any]
    meter: UsageMeter
    owned: list[MeteredSTT | MeteredLLM | MeteredTTS] = field(default_factory=list)
    close_s: float = DEADLINES.close_s

    @property
    def first_voice(self) -> MeteredTTS:
        """The voice of the first choice alone: what is kept under its name must not be another's."""
        return next(provider for provider in self.owned if isinstance(provider, MeteredTTS))

    async def aclose(self) -> None:
        """Close everything, all at once, within twice `close_s`; what goes wrong is logged.

        Afterwards the meter is final: connections report their rest when they close.
        """
        adapters = [adapter for adapter in (self.stt, self.llm, self.tts) if adapter not in self.owned]
        await asyncio.gather(*(self._close(adapter.aclose()) for adapter in adapters))
        await asyncio.gather(*(self._close(provider.aclose()) for provider in self.owned))

    async def _close(self, closing: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(self.close_s):
                await closing
        except TimeoutError:
            log.warning("provider_close_timed_out")
        except Exception as error:  # noqa: BLE001 - the others must be closed too; a traceback may show a key
            log.error("provider_close_failed", error=type(error).__name__)


ProviderFactory = Callable[[AgentVersion, tuple[str, ...]], CallProviders]
"""Makes the providers of a call for an agent version and usage tags."""


def build_call_providers(
    version: AgentVersion,
    tags: tuple[str, ...],
    *,
    clients: ProviderClients,
    deadlines: Deadlines = DEADLINES,
) -> CallProviders:
    """Make the provider objects of one call over the process's shared connections.

    Args:
        version: the agent version to serve.
        tags: labels for the vendors' own cost reports.
        clients: shared connections.
        deadlines: of all its providers.

    Raises:
        EndpointMissingError: the settings lack an endpoint that the version needs.
    """
    config = version.config
    meter = UsageMeter()
    speech_to_text, owned_stt = build_stt(
        config.stt,
        clients=clients,
        meter=meter,
        language=config.language,
        keyterms=config.keyterms,
        tags=tags,
        deadlines=deadlines,
    )
    model, owned_llm = build_llm(
        config.llm,
        clients=clients,
        meter=meter,
        max_tokens=config.limits.reply_tokens,
        cache_key=version.version_id,
        deadlines=deadlines,
    )
    voice, owned_tts = build_tts(
        config.tts, clients=clients, meter=meter, language=config.language, deadlines=deadlines
    )
    return CallProviders(
        stt=speech_to_text,
        llm=model,
        tts=voice,
        meter=meter,
        owned=[*owned_stt, *owned_llm, *owned_tts],
        close_s=deadlines.close_s,
    )


def connect_options(deadlines: Deadlines = DEADLINES) -> SessionConnectOptions:
    """Short timeouts and few retries (fallbacks for the model and the voice have none: see their factories).

    Giving up on a call is ours to decide (session/failures.py): the session itself would close without a word.
    """
    return SessionConnectOptions(
        stt_conn_options=APIConnectOptions(
            max_retry=3,
            retry_interval=0.2,
            # a failure later than this after the attempt's start is the first of a new count; must outlast a
            # connection attempt at each of four choices, or a dead server would be tried for ever
            timeout=5 * deadlines.connect_s,
        ),
        llm_conn_options=APIConnectOptions(
            max_retry=1, retry_interval=0.2, timeout=deadlines.llm_first_chunk_s
        ),
        tts_conn_options=APIConnectOptions(
            max_retry=1, retry_interval=0.2, timeout=2 * deadlines.tts_first_audio_s
        ),
        max_unrecoverable_errors=1_000,
    )
