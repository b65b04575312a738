"""espeak-ng through ctypes, from the espeakng-loader wheel: English voices without any system package.

The C library has ONE state per process (voice, parameters, callback): one `Espeak` object, one sentence at a time.
A sentence costs about 0.15 % of its duration in CPU; the first piece comes after 0.1-0.5 ms (our measurement,
Nov 2026). Two renderings of one text differ in a few samples: the library's flutter runs on from sentence to
sentence and has no seed.

espeak-ng is GPL-3.0-or-later: nothing outside the local engines, which are processes of their own, loads it.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from typing import Any

import espeakng_loader

from local_stack.engines.tts.synthesizer import PcmSink, SynthesisError
from local_stack.engines.tts.voices import Voice

# espeak-ng/speak_lib.h, API revision 12
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_PARAMETER_RATE_WPM = 1
_PARAMETER_PITCH = 3
_CHARS_UTF8 = 1
_OK = 0
_CONTINUE, _ABORT = 0, 1

_PIECE_MS = 50
"""Audio per callback, and so how far a stop lags."""

_WPM_RANGE = (80, 450)
"""The library's own limits; it clips silently outside them."""

_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@functools.cache
def load_espeak() -> Espeak:
    """The process's one `Espeak`.

    Raises:
        SynthesisError: the wheel's library or its data directory can't be used on this machine.
    """
    return Espeak()


class Espeak:
    """The espeak-ng library of this process, as a `Synthesizer`; made by `load_espeak` only."""

    sentence_gap_ms = 180
    """It ends a sentence within 10 ms of the last sound; people leave 150-250 ms."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        try:
            self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise SynthesisError(f"espeak-ng cannot be loaded: {error}", code="espeak_missing") from error
        data_path = espeakng_loader.get_data_path().encode()
        rate_hz = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, _PIECE_MS, data_path, _DONT_EXIT)
        if rate_hz <= 0:
            raise SynthesisError("espeak-ng did not find its data", code="espeak_data_missing")
        self.sample_rate_hz = int(rate_hz)
        self._sink: PcmSink | None = None
        self._sink_error: BaseException | None = None
        self._callback = _SynthCallback(self._on_samples)  # the library keeps the pointer: so must we
        self._library.espeak_SetSynthCallback(self._callback)

    def render(self, text: str, voice: Voice, *, speed: float, sink: PcmSink) -> None:
        """See `Synthesizer.render`."""
        encoded = text.encode()
        with self._lock:
            self._choose(voice, speed)
            self._sink, self._sink_error = sink, None
            status = self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 0, 0, _CHARS_UTF8, None, None)
            self._sink, error = None, self._sink_error
        if error is not None:
            raise error
        if status != _OK:
            raise SynthesisError(f"espeak-ng failed with status {status}", code="espeak_failed")

    def _choose(self, voice: Voice, speed: float) -> None:
        if self._library.espeak_SetVoiceByName(voice.engine_voice.encode()) != _OK:
            raise SynthesisError(f"espeak-ng has no voice {voice.engine_voice}", code="voice_missing")
        slowest, fastest = _WPM_RANGE
        wpm = min(fastest, max(slowest, round(voice.words_per_minute * speed)))
        self._library.espeak_SetParameter(_PARAMETER_RATE_WPM, wpm, 0)
        self._library.espeak_SetParameter(_PARAMETER_PITCH, voice.pitch, 0)

    def _on_samples(self, samples: Any, count: int, _events: Any) -> int:
        # An exception can't cross the C frames: it is kept, and raised again when they have returned.
        if not samples or count <= 0 or self._sink is None:
            return _CONTINUE
        try:
            wanted = self._sink(ctypes.string_at(samples, count * 2))
        except BaseException as error:  # noqa: BLE001
            self._sink_error = error
            return _ABORT
        return _CONTINUE if wanted else _ABORT
