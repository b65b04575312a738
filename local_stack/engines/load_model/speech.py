"""What modelled voices say: text that arrives in pieces becomes paced PCM of a known length and shape.

text      Hello. I can |help. <flush>
ready           ^ sentence     ^ rest          (start_at = sentence)
audio           |-- draw -->####   (waits)  ########
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from array import array
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import lru_cache
from typing import Literal

from local_stack.engines.load_model.draws import Draw
from local_stack.engines.load_model.faults import ActiveFault, Target
from local_stack.engines.load_model.outbox import sleep_until
from local_stack.engines.load_model.profile import TtsProfile
from local_stack.engines.load_model.state import LoadModel

MAX_SEGMENT_CHARS = 20_000

_SENTENCE_END = re.compile(r"[.!?…][\"')\]]*(?=\s)")
_LOOP_S = 1.2
"""Both waveforms repeat after 1.2 s.

264 periods of 220 Hz, 5 syllables. Whole samples at every rate we know.
"""

_TONE_HZ = 220
_SYLLABLE_S, _SYLLABLE_PERIOD_S = 0.18, 0.24


class SegmentText:
    """The text of one spoken segment as it comes in, and how much of it may be spoken already."""

    def __init__(self, start_at: Literal["sentence", "flush"]) -> None:
        self._by_sentence = start_at == "sentence"
        self._text = ""
        self._changed = asyncio.Event()
        self.ready_chars = 0
        self.ready_at: float | None = None
        """When there first was something to speak."""

        self.finished = False

    @property
    def chars(self) -> int:
        return len(self._text)

    def add(self, text: str, now: float) -> bool:
        """Append `text`; False (and nothing is appended) when the segment would pass 20,000 characters."""
        if len(self._text) + len(text) > MAX_SEGMENT_CHARS:
            return False
        self._text += text
        if self._by_sentence:
            ends = [match.end() for match in _SENTENCE_END.finditer(self._text, self.ready_chars)]
            self._make_ready(ends[-1] if ends else 0, now)
        return True

    def flush(self, now: float) -> None:
        """All text so far may be spoken; more may follow."""
        self._make_ready(len(self._text.rstrip()), now)

    def finish(self, now: float) -> None:
        """No more text comes."""
        self.flush(now)
        self.finished = True
        self._changed.set()

    async def until_ready_beyond(self, chars: int) -> None:
        """Wait for more than `chars` characters to speak, or for the end of the text."""
        while self.ready_chars <= chars and not self.finished:
            self._changed.clear()
            await self._changed.wait()

    async def until_finished(self) -> None:
        """Wait for the end of the text."""
        while not self.finished:
            self._changed.clear()
            await self._changed.wait()

    def _make_ready(self, chars: int, now: float) -> None:
        if chars > self.ready_chars:
            self.ready_chars = chars
            if self.ready_at is None:
                self.ready_at = now
            self._changed.set()


class VoicePcm:
    """Signed 16-bit little-endian mono PCM of one segment, made as it is taken."""

    def __init__(self, profile: TtsProfile, sample_rate_hz: int) -> None:
        self._loop = _waveform(profile.waveform, profile.peak_dbfs, sample_rate_hz)
        self._lead_bytes = 2 * round(profile.lead_silence_ms / 1000 * sample_rate_hz)
        self._taken_bytes = 0

    def take(self, samples: int) -> bytes:
        """The next `samples` samples, lead silence first."""
        wanted = 2 * samples
        silence = min(wanted, max(self._lead_bytes - self._taken_bytes, 0))
        start = (self._taken_bytes + silence - self._lead_bytes) % len(self._loop)
        self._taken_bytes += wanted
        voiced = wanted - silence
        repeats = -(-(start + voiced) // len(self._loop))
        return bytes(silence) + (self._loop * repeats)[start : start + voiced]


async def speak(
    text: SegmentText, *, model: LoadModel, draw: Draw, sample_rate_hz: int, speed: float = 1.0
) -> AsyncGenerator[bytes]:
    """PCM chunks of `text`, each when it is due; fills in the instants of `draw`.

    The first chunk is due a draw (and what the fault `slow` adds) after the text was ready; the following
    ones come `speedup` times faster than they play. Yields nothing for an empty text.

    Args:
        speed: rate of speaking; 2.0 halves the audio.
    """
    profile = model.profile.tts
    await text.until_ready_beyond(0)
    draw.text_ready_at = text.ready_at
    if text.ready_at is not None:
        await sleep_until(text.ready_at + (draw.draw_ms + draw.fault_ms) / 1000)
    pcm = VoicePcm(profile, sample_rate_hz)
    lead_s = profile.lead_silence_ms / 1000
    chunk = max(1, round(profile.chunk_ms / 1000 * sample_rate_hz))
    sent = anchor_samples = 0
    anchor_at = time.monotonic()
    while True:
        ready = text.ready_chars
        voiced_s = ready * profile.ms_per_char / 1000 / speed
        total = round((lead_s + voiced_s) * sample_rate_hz) if ready else 0
        while sent < total:
            await sleep_until(anchor_at + (sent - anchor_samples) / sample_rate_hz / profile.speedup)
            samples = min(chunk, total - sent)
            sent += samples
            yield pcm.take(samples)
        draw.audio_ms = 1000 * sent / sample_rate_hz
        draw.chars = text.chars
        if text.finished and text.ready_chars == ready:
            return
        await text.until_ready_beyond(ready)
        anchor_at, anchor_samples = time.monotonic(), sent


async def deliver(
    audio: AsyncGenerator[bytes],
    draw: Draw,
    send: Callable[[bytes], Awaitable[bool]],
    fault: ActiveFault | None,
) -> None:
    """Send all of `audio`, noting the first and the last instant in `draw`.

    `empty` spends the audio's time but sends none of it. Cancellation or a broken connection marks the draw
    as cancelled.
    """
    try:
        async with aclosing(audio):
            async for chunk in audio:
                if fault is not None and fault.kind == "empty":
                    break
                if await send(chunk) and draw.first_audio_at is None:
                    draw.first_audio_at = time.monotonic()
        draw.done_at = time.monotonic()
    finally:
        draw.cancelled = draw.done_at is None


def draw_voice(
    model: LoadModel, target: Target, *, request_id: str, index: int, fault: ActiveFault | None
) -> Draw:
    """Draw and log the time to first byte of a segment whose first text has just come in."""
    return model.draws.add(
        Draw(
            stage="tts",
            vendor=target.vendor,
            key=target.key,
            model=target.model,
            request_id=request_id,
            draw_ms=model.chances.draw("tts.ttfb", model.profile.tts.ttfb_ms),
            received_at=time.monotonic(),
            index=index,
            fault=fault.kind if fault else None,
            fault_ms=fault.delay_s * 1000 if fault else 0.0,
        )
    )


@lru_cache(maxsize=32)
def _waveform(kind: Literal["tone", "bursts"], peak_dbfs: float, sample_rate_hz: int) -> bytes:
    """1.2 s that repeat without a seam; the very first sample is at the peak, so onsets are sharp."""
    peak = 32_767 * 10 ** (peak_dbfs / 20)
    loop = round(_LOOP_S * sample_rate_hz)
    period = round(_SYLLABLE_PERIOD_S * sample_rate_hz) if kind == "bursts" else loop
    voiced = round(_SYLLABLE_S * sample_rate_hz) if kind == "bursts" else loop
    step = 2 * math.pi * _TONE_HZ / sample_rate_hz
    syllable = array("h", (round(peak * math.cos(step * index)) for index in range(voiced))).tobytes()
    return (syllable + bytes(2 * (period - voiced))) * (loop // period)
