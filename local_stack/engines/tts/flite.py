"""CMU Flite through ctypes, where the system has it (Debian: libflite1): the better agent voices.

About 1 % of a sentence's duration in CPU; the first piece comes after 15-70 ms, because the library analyses the
whole sentence first (our measurement, Nov 2026). Its licence is BSD-like.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import threading
import unicodedata
from typing import Any

from local_stack.engines.tts.synthesizer import PcmSink, SynthesisError
from local_stack.engines.tts.voices import FLITE_AGENTS, Voice

# flite/cst_audio.h
_CONTINUE, _STOP = 0, -1

_PIECE_SAMPLES = 800
"""50 ms at 16 kHz: audio per callback, and so how far a stop lags."""

_SPOKEN_FORMS = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "–": ", ",
        "—": ", ",
        "…": "...",
        "⁄": "/",
        "€": " euros ",
        "£": " pounds ",
    }
)
"""Flite reads ASCII only and drops the rest: these are what its English rules know how to say."""


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


_StreamCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(_Wave), ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p
)


class _StreamingInfo(ctypes.Structure):
    _fields_ = (
        ("min_buffsize", ctypes.c_int),
        ("callback", _StreamCallback),
        ("utterance", ctypes.c_void_p),
        ("item", ctypes.c_void_p),
        ("userdata", ctypes.c_void_p),
    )


def flite_installed() -> bool:
    """Whether this machine has the library and every voice of the table."""
    names = ("flite", *(f"flite_cmu_us_{voice.engine_voice}" for voice in FLITE_AGENTS))
    return all(ctypes.util.find_library(name) for name in names)


@functools.cache
def load_flite() -> Flite:
    """The process's one `Flite`.

    Raises:
        SynthesisError: the library or a voice is not installed.
    """
    return Flite()


class Flite:
    """The Flite library of this process, as a `Synthesizer`; made by `load_flite` only."""

    sample_rate_hz = 16_000
    """All voices of the table have it."""

    sentence_gap_ms = 40
    """It leaves 70-240 ms of silence after a sentence itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library = _load("flite")
        _declare(self._library)
        self._library.flite_init()
        self._sink: PcmSink | None = None
        self._sink_error: BaseException | None = None
        self._callback = _StreamCallback(self._on_samples)  # the library keeps the pointer: so must we
        self._voices = {name: self._register(name) for name in (v.engine_voice for v in FLITE_AGENTS)}

    def render(self, text: str, voice: Voice, *, speed: float, sink: PcmSink) -> None:
        """See `Synthesizer.render`."""
        handle = self._voices.get(voice.engine_voice)
        if handle is None:
            raise SynthesisError(f"flite has no voice {voice.engine_voice}", code="voice_missing")
        with self._lock:
            self._library.feat_set_float(_features(handle), b"duration_stretch", 1.0 / speed)
            self._sink, self._sink_error = sink, None
            wave = self._library.flite_text_to_wave(ascii_text(text).encode("ascii"), handle)
            if wave:
                self._library.delete_wave(wave)
            self._sink, error = None, self._sink_error
        if error is not None:
            raise error

    def _register(self, name: str) -> int:
        register = getattr(_load(f"flite_cmu_us_{name}"), f"register_cmu_us_{name}")
        register.restype, register.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
        handle = register(None)
        if not handle:
            raise SynthesisError(f"flite cannot load its voice {name}", code="voice_missing")
        streaming = self._library.new_audio_streaming_info()
        streaming.contents.min_buffsize = _PIECE_SAMPLES
        streaming.contents.callback = self._callback
        # The voice owns the structure from here on; voices live as long as the process.
        value = self._library.audio_streaming_info_val(streaming)
        self._library.feat_set(_features(handle), b"streaming_info", value)
        return int(handle)

    def _on_samples(self, wave: Any, start: int, size: int, _last: int, _info: Any) -> int:
        # An exception can't cross the C frames: it is kept, and raised again when they have returned.
        if size <= 0 or self._sink is None:
            return _CONTINUE
        try:
            address = ctypes.addressof(wave.contents.samples.contents) + start * 2
            wanted = self._sink(ctypes.string_at(address, size * 2))
        except BaseException as error:  # noqa: BLE001
            self._sink_error = error
            return _STOP
        return _CONTINUE if wanted else _STOP


def ascii_text(text: str) -> str:
    """`text` as Flite can read it: typographic characters spelled in ASCII, accents dropped, the rest left out."""
    spelled = unicodedata.normalize("NFKD", text).translate(_SPOKEN_FORMS)
    return spelled.encode("ascii", "ignore").decode("ascii")


def _load(name: str) -> Any:
    path = ctypes.util.find_library(name)
    if path is None:
        raise SynthesisError(f"lib{name} is not installed", code="flite_missing")
    return ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)  # the voices find the core's symbols there


def _declare(library: Any) -> None:
    library.new_audio_streaming_info.restype = ctypes.POINTER(_StreamingInfo)
    library.audio_streaming_info_val.restype = ctypes.c_void_p
    library.audio_streaming_info_val.argtypes = [ctypes.POINTER(_StreamingInfo)]
    library.feat_set.restype = None
    library.feat_set.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    library.feat_set_float.restype = None
    library.feat_set_float.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float]
    library.flite_text_to_wave.restype = ctypes.POINTER(_Wave)
    library.flite_text_to_wave.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    library.delete_wave.restype = None
    library.delete_wave.argtypes = [ctypes.POINTER(_Wave)]


def _features(voice_handle: int) -> int | None:
    # struct cst_voice { const char *name; cst_features *features; ... }  (flite/cst_voice.h)
    fields = ctypes.cast(voice_handle, ctypes.POINTER(ctypes.c_void_p))
    features: int | None = fields[1]
    return features
