"""The header that makes PCM a WAV file (RIFF, PCM format 1, one channel of 16 bits)."""

from __future__ import annotations

import struct


def wav_file(pcm: bytes, sample_rate_hz: int) -> bytes:
    """Mono s16le PCM as a complete WAV file with exact lengths."""
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(pcm),
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        sample_rate_hz,
        sample_rate_hz * 2,
        2,
        16,
        b"data",
        len(pcm),
    )
    return header + pcm
