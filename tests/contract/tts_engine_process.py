"""The text-to-speech engine as a real process, and what one hears in its audio. Used by test_tts_engine_*."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from livekit.agents import APIConnectOptions, tts

ONE_TRY = APIConnectOptions(max_retry=0, timeout=10)
SHORT = "Hello there."
TWO_SENTENCES = "Sure, I can book that for you. What time suits you best?"
LONG = "This is one more sentence of a reply that nobody wants to hear to its end. " * 12
"""About a minute of speech: seconds of delivery at the engine's default pace."""


@contextmanager
def running_engine(*arguments: str) -> Iterator[str]:
    """An engine process; yields `http://host:port` and ends it after, which must go well and without complaints."""
    command = [sys.executable, "-m", "local_stack.engines.tts", *arguments]
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints) as process,
    ):
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            yield f"http://127.0.0.1:{ready['port']}"
        finally:
            process.terminate()
        assert process.wait(10) == 0
        complaints.seek(0)
        assert complaints.read() == ""


@dataclass(frozen=True)
class Heard:
    """What a listener notices of mono 16-bit PCM."""

    duration_s: float
    lead_s: float
    """Silence ahead of the first sound."""
    rms: float
    """0..32768, of the whole."""

    def is_speech(self, *, seconds: tuple[float, float]) -> bool:
        """Audible, of a duration within `seconds`, and begun within 60 ms."""
        shortest, longest = seconds
        return self.rms > 1000 and self.lead_s < 0.06 and shortest < self.duration_s < longest


def heard(pcm: bytes, sample_rate_hz: int) -> Heard:
    """Listen to `pcm`."""
    samples = np.frombuffer(pcm, np.int16).astype(float)
    loud = np.flatnonzero(np.abs(samples) > 500)
    assert loud.size, "nothing but silence"
    return Heard(
        duration_s=samples.size / sample_rate_hz,
        lead_s=float(loud[0]) / sample_rate_hz,
        rms=float(np.sqrt(np.mean(samples**2))),
    )


async def plugin_audio(speech: AsyncIterable[tts.SynthesizedAudio]) -> tuple[bytes, set[int]]:
    """All PCM of a plugin's stream, and the sample rates of its frames."""
    pcm, rates = bytearray(), set()
    async for event in speech:
        pcm += event.frame.data.tobytes()
        rates.add(event.frame.sample_rate)
    return bytes(pcm), rates


async def stream_words(plugin: tts.TTS[str], text: str) -> tuple[bytes, set[int]]:
    """Speak `text` through a plugin's streaming interface, word by word as a model writes."""
    async with plugin.stream(conn_options=ONE_TRY) as stream:
        for word in text.split():
            stream.push_text(f"{word} ")
        stream.end_input()
        return await plugin_audio(stream)
