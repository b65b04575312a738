"""Reads any ordinary WAV file as an utterance of a synthetic caller: 16 kHz mono int16.

The standard library's `wave` reads neither float samples nor, before Python 3.12, WAVE_FORMAT_EXTENSIBLE, which
most tools write for 24 and 32 bits; so the two chunks that matter are read here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import soxr

from edge_agents.audio.speech_edges import Pcm
from shared.errors import AudioFormatError

CALLER_RATE_HZ: Final = 16000
"""Rate of every utterance."""

MAX_UTTERANCE_S: Final = 600.0
"""Longest file taken: ten minutes."""

_PCM: Final = 0x0001
_FLOAT: Final = 0x0003
_EXTENSIBLE: Final = 0xFFFE
_MAX_CHUNKS: Final = 1000
_MAX_CHANNELS: Final = 16
_RATES_HZ: Final = range(4000, 192_001)
_HINT: Final = "Give a WAV file with PCM samples of 8, 16, 24 or 32 bits, or float samples of 32 or 64 bits."

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Format:
    tag: int
    channels: int
    rate_hz: int
    bits: int

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8


def load_utterance(path: Path) -> Pcm:
    """Read a WAV file: mixed to mono, resampled (soxr, high quality), clipped to int16.

    Args:
        path: PCM of 8, 16, 24 or 32 bits, or float of 32 or 64; any rate from 4 to 192 kHz; up to 16 channels. A file
            cut short is read as far as it goes.

    Returns:
        int16, shape (n,), n >= 1, 16 kHz.

    Raises:
        AudioFormatError: missing, empty, no such WAV file, or longer than ten minutes.
    """
    try:
        with path.open("rb") as file:
            form, data = _read(file)
    except OSError as error:
        raise AudioFormatError(
            f"can't read {path.name}: {error.strerror or 'not a file'}", hint=_HINT
        ) from None
    mono = _decode(data, form)
    if form.rate_hz != CALLER_RATE_HZ:
        mono = np.asarray(soxr.resample(mono, form.rate_hz, CALLER_RATE_HZ, quality="HQ"), np.float32)
    if not len(mono):
        raise AudioFormatError("the file holds no audio", hint=_HINT)
    pcm: Pcm = np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)
    return pcm


def _read(file: BinaryIO) -> tuple[_Format, bytes]:
    riff = file.read(12)
    if not riff:
        raise AudioFormatError("the file is empty", hint=_HINT)
    if len(riff) < 12 or riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        raise AudioFormatError("not a WAV file", hint=_HINT)
    form: _Format | None = None
    for _ in range(_MAX_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            break
        name, size = struct.unpack("<4sI", header)
        if name == b"fmt ":
            form = _format(file.read(min(size, 64)))
            file.seek(max(0, size - 64) + size % 2, 1)
        elif name == b"data":
            if form is None:
                break
            return form, _data(file, size, form)
        else:
            file.seek(size + size % 2, 1)
    raise AudioFormatError("the WAV file has no audio data", hint=_HINT)


def _format(chunk: bytes) -> _Format:
    if len(chunk) < 16:
        raise AudioFormatError("the WAV file's format is cut short", hint=_HINT)
    tag, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack("<H", chunk[24:26])
    supported = (tag == _PCM and bits in (8, 16, 24, 32)) or (tag == _FLOAT and bits in (32, 64))
    if not supported or not 1 <= channels <= _MAX_CHANNELS or rate_hz not in _RATES_HZ:
        raise AudioFormatError(
            f"can't read this kind of WAV file (format {tag}, {bits} bits, {channels} channels, {rate_hz} Hz)",
            hint=_HINT,
        )
    return _Format(tag, channels, rate_hz, bits)


def _data(file: BinaryIO, size: int, form: _Format) -> bytes:
    longest = int(MAX_UTTERANCE_S * form.rate_hz) * form.frame_bytes
    # writers that stream leave a size that means "to the end"; never read more than what is allowed
    data = file.read(min(size, longest + form.frame_bytes))
    if len(data) > longest:
        raise AudioFormatError(
            f"the file is longer than {MAX_UTTERANCE_S / 60:.0f} minutes",
            hint="Cut it into utterances.",
            longest_s=MAX_UTTERANCE_S,
        )
    whole = len(data) - len(data) % form.frame_bytes
    if not whole:
        raise AudioFormatError("the file holds no audio", hint=_HINT)
    return data[:whole]


def _decode(data: bytes, form: _Format) -> Samples:
    """Samples of all channels, averaged: float32, shape (n,), full scale ±1."""
    if form.tag == _FLOAT:
        values = np.frombuffer(data, "<f4" if form.bits == 32 else "<f8").astype(np.float32)
        if not np.isfinite(values).all():
            raise AudioFormatError("the file holds samples that are no numbers", hint=_HINT)
    elif form.bits == 8:
        values = (np.frombuffer(data, np.uint8).astype(np.float32) - 128.0) / 128.0
    elif form.bits == 24:
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(parts), 4), np.uint8)
        wide[:, 1:] = parts
        values = (wide.reshape(-1).view("<i4") / 2.0**31).astype(np.float32)
    else:
        values = (np.frombuffer(data, f"<i{form.bits // 8}") / 2.0 ** (form.bits - 1)).astype(np.float32)
    mono = values.reshape(-1, form.channels).mean(axis=1, dtype=np.float32)
    return np.asarray(mono, np.float32)
