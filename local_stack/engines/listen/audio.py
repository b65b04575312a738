"""Turn the bytes of a client into 20 ms frames of 16 kHz linear PCM, and tell which of them hold speech."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import soxr
from pocketsphinx import Vad

from local_stack.engines.listen.decoder_protocol import RATE_HZ
from local_stack.engines.listen.segmenter import FRAME_S

FRAME_BYTES = int(RATE_HZ * FRAME_S) * 2

Encoding = Literal["linear16", "mulaw"]

_VAD_MODE = 2
"""WebRTC's detector, 0..3: 3 cuts soft word ends, 1 hears breathing as speech (our measurement)."""

_CHUNK_BYTES = 32_768
"""Decoded at a time, so that one huge message doesn't make as huge copies."""


def _mulaw_table() -> npt.NDArray[np.int16]:
    """Linear values of the 256 codes (ITU-T G.711, table 2a)."""
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = (((code & 0x0F).astype(np.int32) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


_MULAW = _mulaw_table()


class FrameSource:
    """Decodes, resamples and cuts one mono stream.

    Args:
        encoding: of the bytes that come in.
        sample_rate_hz: theirs, 8,000..48,000.
    """

    def __init__(self, encoding: Encoding, sample_rate_hz: int) -> None:
        self._encoding = encoding
        self._resampler = (
            None
            if sample_rate_hz == RATE_HZ
            else soxr.ResampleStream(sample_rate_hz, RATE_HZ, 1, dtype="int16")
        )
        self._half_sample = b""
        self._rest = bytearray()

    def frames(self, data: bytes) -> Iterator[bytes]:
        """The frames that `data` completes; what is left waits for more."""
        for start in range(0, len(data), _CHUNK_BYTES):
            samples = self._decode(data[start : start + _CHUNK_BYTES])
            if self._resampler is not None:
                samples = self._resampler.resample_chunk(samples)
            self._rest += samples.tobytes()
            yield from self._whole_frames()

    def last_frames(self) -> Iterator[bytes]:
        """What the resampler holds back and the last incomplete frame, filled up with silence; nothing after it."""
        if self._resampler is not None:
            self._rest += self._resampler.resample_chunk(np.zeros(0, np.int16), last=True).tobytes()
        if self._rest:
            self._rest += bytes(-len(self._rest) % FRAME_BYTES)
        yield from self._whole_frames()

    def _decode(self, data: bytes) -> npt.NDArray[np.int16]:
        if self._encoding == "mulaw":
            return _MULAW[np.frombuffer(data, np.uint8)]
        data = self._half_sample + data
        whole = len(data) // 2 * 2
        self._half_sample = data[whole:]
        return np.frombuffer(data[:whole], np.dtype("<i2"))

    def _whole_frames(self) -> Iterator[bytes]:
        whole = len(self._rest) // FRAME_BYTES * FRAME_BYTES
        frames = bytes(self._rest[:whole])
        del self._rest[:whole]
        for start in range(0, whole, FRAME_BYTES):
            yield frames[start : start + FRAME_BYTES]


class SpeechDetector:
    """WebRTC's voice activity detection of one stream; takes some 10 us a frame."""

    def __init__(self) -> None:
        self._vad = Vad(_VAD_MODE, RATE_HZ, FRAME_S)

    def is_speech(self, frame: bytes) -> bool:
        """Whether a 20 ms frame holds speech."""
        return bool(self._vad.is_speech(frame))
