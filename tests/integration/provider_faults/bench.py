"""A call's providers, built as in production, over the load-model engine."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from livekit import rtc
from livekit.agents import tts
from pydantic import SecretStr

from edge_agents.providers.call_providers import CallProviders, build_call_providers, connect_options
from edge_agents.providers.clients import ProviderClients
from edge_agents.providers.timeouts import Deadlines
from edge_agents.settings import AgentSettings, Endpoint
from tests.contract.load_model_process import RATE_HZ, Engine
from tests.fakes.configs import agent_config, agent_record

QUICK = Deadlines(
    connect_s=0.6,
    llm_first_chunk_s=0.6,
    llm_gap_s=0.6,
    tts_first_audio_s=0.6,
    stt_after_speech_s=0.6,
    close_s=0.6,
)
"""Long enough for a busy machine's healthy engine, which answers in some 20 ms."""

ILL, WELL = "ill", "well"
"""Names of two endpoints on one engine; the API key is the name, so that faults can be aimed."""

OPTIONS = connect_options(QUICK)
"""What a session gives its providers."""
BOUND_S = 6.0
"""More than any deadline and its fallback take; less than the 10 s for which a plugin waits for a dead server."""

_PATHS = {
    "deepgram-stt": "/v1/listen",
    "deepgram-flux": "/v2/listen",
    "deepgram-tts": "/v1/speak",
    "elevenlabs": "/v1",
    "azure": "/cognitiveservices/v1",
    "openai": "/v1",
}


def settings_for(engine_url: str) -> AgentSettings:
    """Settings whose endpoints `ill` and `well` of every provider are on one engine."""
    return AgentSettings(
        media_secret=SecretStr("x" * 32),
        endpoints={
            f"{provider}/{name}" if name else provider: Endpoint(
                url=(engine_url.replace("http", "ws") if provider == "deepgram-flux" else engine_url) + path,
                key=SecretStr(name or "unnamed"),
            )
            for provider, path in _PATHS.items()
            for name in ("", ILL, WELL)
        },
        kafka_bootstrap="127.0.0.1:1",
        spill_dir=Path("unused"),
        sealing_key_file=Path("unused"),
        agents_dir=Path("unused"),
        phrase_dir=Path("unused"),
        allow_loopback=True,
    )


@dataclass(frozen=True)
class Bench:
    """An engine and the process-wide clients that reach it."""

    engine: Engine
    clients: ProviderClients

    async def served(self, stage: str, key: str) -> int:
        """Pieces of work that came in under a key so far, at all vendors."""
        counters = (await self.engine._call("GET", "counters"))["counters"]
        return sum(c["work"] for c in counters if (c["stage"], c["key"]) == (stage, key))

    @asynccontextmanager
    async def providers(self, deadlines: Deadlines = QUICK, **config: Any) -> AsyncIterator[CallProviders]:
        """The providers of one call with that agent configuration; closed at the end."""
        version = agent_record(config=agent_config(**config)).version
        providers = build_call_providers(version, ("tag:a",), clients=self.clients, deadlines=deadlines)
        try:
            yield providers
        finally:
            await providers.aclose()


def metered(providers: CallProviders) -> dict[str, Decimal]:
    """`provider/sku/unit` -> quantity; estimates are marked with `~`."""
    return {
        f"{item.provider}/{item.sku}/{item.unit.value}{'~' if item.estimated else ''}": item.quantity
        for item in providers.meter.items()
    }


def pcm_of(audio: list[tts.SynthesizedAudio]) -> array[int]:
    """Samples without the silence that the framework adds at the end of an answer."""
    pcm = array("h", b"".join(bytes(piece.frame.data.cast("B")) for piece in audio))
    while pcm and pcm[-1] == 0:
        pcm.pop()
    return pcm


def frames_of(pcm: bytes, frame_ms: int = 20) -> list[rtc.AudioFrame]:
    """The caller's audio in frames."""
    size = RATE_HZ * frame_ms // 1000 * 2
    pieces = [pcm[start : start + size] for start in range(0, len(pcm), size)]
    return [rtc.AudioFrame(piece, RATE_HZ, 1, len(piece) // 2) for piece in pieces]
