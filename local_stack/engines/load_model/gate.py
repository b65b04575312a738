"""Where utterances begin and truly end in 16-bit PCM: a peak gate over every eighth sample.

Cheap enough for hundreds of streams in one process (a few microseconds a frame), exact to eight samples for
callers that send exact silence between utterances.
"""

from __future__ import annotations

from array import array
from enum import Enum

_STEP = 8


class Edge(Enum):
    """What a frame changed."""

    STARTED = "started"
    ENDED = "ended"


class SpeechGate:
    """Follows one stream of signed 16-bit little-endian mono PCM.

    Args:
        sample_rate_hz: of the stream.
        amplitude: a sample of this magnitude is speech.
        pause_s: silence that ends an utterance; may be changed between frames.
    """

    def __init__(self, *, sample_rate_hz: int, amplitude: int, pause_s: float) -> None:
        self._rate = sample_rate_hz
        self._amplitude = amplitude
        self.pause_s = pause_s
        self.speaking = False
        self.loud = False
        """Whether the last frame had speech in it."""
        self._samples = 0
        self._started = 0
        self._last_loud = 0
        self.end_of_speech_at = 0.0
        """Instant (the clock of `feed`) at which the last loud sample was spoken."""

    @property
    def position_s(self) -> float:
        """Audio heard so far."""
        return self._samples / self._rate

    @property
    def started_s(self) -> float:
        """Audio position at which the utterance began."""
        return self._started / self._rate

    @property
    def last_loud_s(self) -> float:
        """Audio position of the last loud sample."""
        return self._last_loud / self._rate

    @property
    def silence_s(self) -> float:
        """Audio time since the last loud sample."""
        return (self._samples - self._last_loud) / self._rate

    def feed(self, frame: bytes, now: float) -> Edge | None:
        """Hear `frame`, which arrived at `now`; an odd last byte is ignored."""
        pcm = array("h", frame[: len(frame) & ~1])
        length = len(pcm)
        self._samples += length
        last = self._last_loud_index(pcm)
        self.loud = last is not None
        if last is not None:
            behind = length - 1 - last
            self._last_loud = self._samples - behind
            self.end_of_speech_at = now - behind / self._rate
            if not self.speaking:
                self.speaking = True
                self._started = self._samples - length
                return Edge.STARTED
        if self.speaking and self.silence_s >= self.pause_s:
            self.finish()
            return Edge.ENDED
        return None

    def finish(self) -> None:
        """End the utterance now, whatever the pause."""
        self.speaking = False

    def _last_loud_index(self, pcm: array[int]) -> int | None:
        coarse = pcm[::_STEP]
        if not coarse or (max(coarse) < self._amplitude and min(coarse) > -self._amplitude):
            return None
        for index in range(len(coarse) - 1, -1, -1):
            if abs(coarse[index]) >= self._amplitude:
                return index * _STEP
        return None
