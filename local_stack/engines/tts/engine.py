"""What every vendor's routes share: the voices, the synthesis and the concurrency limit of the process."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from local_stack.engines.slots import StreamSlots
from local_stack.engines.tts.speech import SpeechService
from local_stack.engines.tts.voices import VoiceTable


@dataclass(frozen=True, slots=True)
class SpeechEngine:
    """The parts of one engine process; they live as long as its application."""

    voices: VoiceTable
    speech: SpeechService
    slots: StreamSlots


ENGINE = web.AppKey("engine", SpeechEngine)
"""Where the application keeps them."""
