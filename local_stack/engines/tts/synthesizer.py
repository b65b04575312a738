"""What a synthesiser is: text in, PCM out in pieces, on one thread, stopped from its own sink."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from local_stack.engines.tts.voices import Voice

PcmSink = Callable[[bytes], bool]
"""Takes mono s16le PCM; returns False to stop the synthesis within the current piece."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class SynthesisError(Exception):
    """A synthesiser could not be loaded or refused a text or a voice.

    `code` is stable; the message is safe to show to a client (it holds no text that was to be spoken).
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Synthesizer(Protocol):
    """One speech synthesis library of this process. One sentence at a time: a second call waits for the first."""

    sample_rate_hz: int
    """Rate of the PCM that the sink gets."""

    sentence_gap_ms: int
    """Silence to put before a sentence that follows another: what the library doesn't leave by itself."""

    def render(self, text: str, voice: Voice, *, speed: float, sink: PcmSink) -> None:
        """Speak one sentence into `sink`; returns when all was delivered or the sink said stop.

        Args:
            text: speakable text (see `speakable`), any language; read as English.
            voice: one of this library's voices.
            speed: 1.0 is the voice's own rate, 2.0 twice as fast; 0.5..2.
            sink: called on this thread with 20..100 ms of audio at a time.

        Raises:
            SynthesisError: the voice is not there or the library failed.
        """
        ...


def speakable(text: str) -> str:
    """What can be said of `text`: no control characters, single spaces; "" when no letter or digit is left.

    The C libraries read up to the first NUL, and lone surrogates (JSON can carry them) can't be encoded.
    """
    flat = " ".join(_CONTROL.sub(" ", text).split())
    return flat if any(character.isalnum() for character in flat) else ""
