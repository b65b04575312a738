"""The application of the text-to-speech engine: three vendors' protocols over the same voices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from local_stack.engines.slots import StreamSlots
from local_stack.engines.tts import azure, deepgram, elevenlabs
from local_stack.engines.tts.engine import ENGINE, SpeechEngine
from local_stack.engines.tts.espeak import load_espeak
from local_stack.engines.tts.flite import flite_installed, load_flite
from local_stack.engines.tts.speech import SpeechService
from local_stack.engines.tts.synthesizer import Synthesizer
from local_stack.engines.tts.voices import EngineName, voice_table

_MAX_BODY_BYTES = 2 * 1024 * 1024
"""Deepgram's limit for a request body."""


@dataclass(frozen=True, slots=True)
class TtsSettings:
    """How one engine process runs."""

    voice_engine: Literal["auto", "espeak", "flite"] = "auto"
    """What agents speak with. `auto`: flite where the system has it (the more intelligible voices), else espeak."""
    max_streams: int = 256
    """Open sockets and running requests; one more is answered with the vendor's 429."""
    realtime_factor: float = 20.0
    """Audio goes out this much faster than it plays, after a burst of 2 s; 0 = as fast as it is made."""


def build_app(settings: TtsSettings) -> web.Application:
    """Load the voices and build the application, ready for `run_engine`; its clean-up ends the threads.

    Raises:
        SynthesisError: a library that the settings need can't be loaded.
    """
    agent_engine = _agent_engine(settings.voice_engine)
    synthesizers: dict[EngineName, Synthesizer] = {"espeak": load_espeak()}
    if agent_engine == "flite":
        synthesizers["flite"] = load_flite()
    engine = SpeechEngine(
        voices=voice_table(agent_engine),
        speech=SpeechService(synthesizers, realtime_factor=settings.realtime_factor),
        slots=StreamSlots(settings.max_streams),
    )
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app[ENGINE] = engine
    app.cleanup_ctx.append(_threads)
    app.router.add_get("/local/voices", _voices)
    for vendor in (deepgram, elevenlabs, azure):
        vendor.add_routes(app)
    return app


def _agent_engine(wanted: Literal["auto", "espeak", "flite"]) -> EngineName:
    if wanted != "auto":
        return wanted
    return "flite" if flite_installed() else "espeak"


async def _threads(app: web.Application) -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(app[ENGINE].speech.close)


async def _voices(request: web.Request) -> web.Response:
    return web.json_response({"voices": [voice.public() for voice in request.app[ENGINE].voices]})
