"""From a library's PCM to what a client asked for: no silence ahead of the words, the asked rate, sensible pieces.

    library  ~~~~[   silence   |speech ................]
    client        [gap][20 ms  |speech ................]     gap: only between two sentences of one reply

Silence ahead of the first word is heard as latency: Flite leaves 150-265 ms of it, espeak 0-15 ms (our
measurement, Nov 2026).
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

BYTES_PER_SAMPLE = 2

_AUDIBLE = 100
"""Amplitude (of 32767, -50 dBFS) above which speech has begun; the libraries' own silence stays below 40."""

_LEAD_MS = 20
"""Kept ahead of the first audible sample: the soft onset of an s, f or h."""

_FIRST_PIECE_MS = 40
_PIECE_MS = 200
"""Audio per message: the first small for latency, then few and large, because every message costs CPU."""


class Shaper:
    """Turns one sentence's PCM into pieces for the wire. Mono s16le in and out; not thread-safe; one sentence."""

    def __init__(self, *, source_hz: int, target_hz: int, gap_ms: int = 0) -> None:
        """Begin a sentence.

        Args:
            source_hz: rate of what `feed` gets.
            target_hz: rate of what comes out; 8000..48000.
            gap_ms: silence to put in front.
        """
        self._resampler = (
            None if source_hz == target_hz else soxr.ResampleStream(source_hz, target_hz, 1, dtype="int16")
        )
        self._lead_samples = source_hz * _LEAD_MS // 1000
        self._waiting: NDArray[np.int16] | None = np.zeros(0, np.int16)
        self._out = bytearray(pcm_silence(gap_ms, target_hz))
        self._next_piece_bytes = pcm_bytes(_FIRST_PIECE_MS, target_hz)
        self._piece_bytes = pcm_bytes(_PIECE_MS, target_hz)

    def feed(self, pcm: bytes) -> bytes:
        """Take some PCM of the library; returns a piece to send, or b"" when there is too little yet."""
        self._append(self._without_lead(np.frombuffer(pcm, np.int16)), last=False)
        if self._waiting is not None or len(self._out) < self._next_piece_bytes:
            return b""
        self._next_piece_bytes = self._piece_bytes
        return self._take()

    def finish(self) -> bytes:
        """The sentence is over: what is left of it, b"" when nothing audible ever came."""
        if self._waiting is not None:
            return b""
        self._append(np.zeros(0, np.int16), last=True)
        return self._take()

    def _without_lead(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        if self._waiting is None:
            return samples
        held = np.concatenate((self._waiting, samples))
        audible = np.flatnonzero(np.abs(held.astype(np.int32)) > _AUDIBLE)
        if audible.size == 0:
            self._waiting = held[-self._lead_samples :]
            return held[:0]
        self._waiting = None
        return held[max(0, int(audible[0]) - self._lead_samples) :]

    def _append(self, samples: NDArray[np.int16], *, last: bool) -> None:
        if self._resampler is not None and (samples.size or last):
            samples = self._resampler.resample_chunk(samples, last=last)
        self._out += samples.tobytes()

    def _take(self) -> bytes:
        piece = bytes(self._out)
        self._out.clear()
        return piece


def pcm_bytes(duration_ms: float, sample_rate_hz: int) -> int:
    """Length of mono 16-bit PCM, in whole samples."""
    return round(sample_rate_hz * duration_ms / 1000) * BYTES_PER_SAMPLE


def pcm_silence(duration_ms: float, sample_rate_hz: int) -> bytes:
    """Silence as mono 16-bit PCM."""
    return bytes(pcm_bytes(duration_ms, sample_rate_hz))


def pcm_duration_s(length_bytes: int, sample_rate_hz: int) -> float:
    """Duration of mono 16-bit PCM."""
    return length_bytes / BYTES_PER_SAMPLE / sample_rate_hz
