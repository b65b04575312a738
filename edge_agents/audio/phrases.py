"""Audio of phrases that are spoken again and again, kept on disk, and two sentences that are always there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
import wave
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
from livekit import rtc

from edge_agents.audio.speech_edges import Pcm
from edge_agents.audio.taps import mono_samples

FRAME_S: Final = 0.020
"""Length of the frames given out."""

DEFAULT_MAX_BYTES: Final = 64 * 1024 * 1024
"""About 22 minutes of audio at 24 kHz."""

APOLOGY_TEXT: Final = "I am sorry, I am having a technical problem. Please give me a moment."
"""What `fallback_apology` says."""
FAREWELL_TEXT: Final = "I am sorry, I can't continue this call right now. Please call again later. Goodbye."
"""What `fallback_farewell` says."""

_SUFFIX: Final = ".wav"
_PART: Final = ".part"


def frames(pcm: Pcm, rate_hz: int) -> list[rtc.AudioFrame]:
    """Cut a clip into frames of 20 ms; the last one may be shorter.

    Args:
        pcm: int16 mono, shape (n,).
        rate_hz: samples per second.
    """
    step = round(rate_hz * FRAME_S)
    pieces = [pcm[start : start + step] for start in range(0, len(pcm), step)]
    return [rtc.AudioFrame(piece.tobytes(), rate_hz, 1, len(piece)) for piece in pieces]


def fallback_apology() -> list[rtc.AudioFrame]:
    """What the caller hears when no synthesizer answers: English, 16 kHz, part of the package.

    Rendered once with flite's voice `slt` (CMU, BSD-like licence).
    """
    return frames(*_packaged("apology_en.wav"))


def fallback_farewell() -> list[rtc.AudioFrame]:
    """What the caller hears last when no synthesizer answers; made like `fallback_apology`."""
    return frames(*_packaged("farewell_en.wav"))


@lru_cache(maxsize=2)
def _packaged(name: str) -> tuple[Pcm, int]:
    with resources.as_file(resources.files("edge_agents.audio") / name) as path:
        return _read_wav(path)


class PhraseStore:
    """Phrases as WAV files named by a hash of voice and text: no text stands on the disk.

    Bounded: when `max_bytes` are exceeded the files used longest ago go first. Files appear whole or not at all, so
    processes may share a folder. Calls block for one file's reading or writing (well under 1 ms a second of audio on
    an SSD); write from a thread when a call is live.

    Args:
        folder: made when it does not exist.
        max_bytes: most bytes of audio files kept.
    """

    def __init__(self, folder: Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, text: str, voice_key: str) -> list[rtc.AudioFrame] | None:
        """The phrase in 20 ms frames, or None when it is not kept. A file that can't be read is removed.

        Args:
            text: the exact words.
            voice_key: everything else that changes the sound: tenant, provider, voice, model, speed, rate.
        """
        path = self._path(text, voice_key)
        try:
            pcm, rate_hz = _read_wav(path)
        except FileNotFoundError:
            return None
        except (wave.Error, EOFError, ValueError):
            path.unlink(missing_ok=True)
            return None
        except OSError:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return frames(pcm, rate_hz)

    def put(self, text: str, voice_key: str, audio: Iterable[rtc.AudioFrame]) -> bool:
        """Keep a phrase, replacing what was kept for the same words and voice.

        Args:
            text: the exact words.
            voice_key: see `get`.
            audio: frames of one rate; of several channels the first is kept.

        Returns:
            False when it was not kept: no audio, frames of different rates, or larger than the store.

        Raises:
            OSError: the disk is full or the folder can't be written.
        """
        pieces = list(audio)
        rates = {frame.sample_rate for frame in pieces}
        pcm = np.concatenate([mono_samples(frame) for frame in pieces]) if pieces else np.zeros(0, np.int16)
        if len(rates) != 1 or not len(pcm) or pcm.nbytes > self._max_bytes:
            return False
        with self._lock:
            self._write(self._path(text, voice_key), pcm, rates.pop())
            self._evict()
        return True

    def _path(self, text: str, voice_key: str) -> Path:
        key = f"{len(voice_key)}:{voice_key}{text}"
        return self._folder / (hashlib.sha256(key.encode()).hexdigest() + _SUFFIX)

    def _write(self, path: Path, pcm: Pcm, rate_hz: int) -> None:
        handle, name = tempfile.mkstemp(suffix=_PART, dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file, wave.open(file, "wb") as wav:
                wav.setnchannels(1)
                wav.setsampwidth(2)
                wav.setframerate(rate_hz)
                wav.writeframes(pcm.astype("<i2", copy=False).tobytes())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _evict(self) -> None:
        kept: list[tuple[float, int, Path]] = []
        # unfinished files of a process that died count, and go, like the others
        for path in (*self._folder.glob("*" + _SUFFIX), *self._folder.glob("*" + _PART)):
            with contextlib.suppress(FileNotFoundError):  # another process evicts too
                stat = path.stat()
                kept.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in kept)
        for _, size, path in sorted(kept):
            if total <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size


def _read_wav(path: Path) -> tuple[Pcm, int]:
    """Read 16-bit mono.

    Raises:
        wave.Error, EOFError, ValueError: not such a file, or cut short.
    """
    with wave.open(str(path), "rb") as wav:
        if wav.getnchannels() != 1 or wav.getsampwidth() != 2 or wav.getframerate() < 1000:
            raise ValueError("not 16-bit mono")
        data = wav.readframes(wav.getnframes())
        if not data or len(data) != 2 * wav.getnframes():
            raise ValueError("cut short")
        return np.frombuffer(data, "<i2").astype(np.int16), wav.getframerate()
