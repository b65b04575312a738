"""Cut a stream of 20 ms frames into utterances, told only which frames hold speech.

    frames      ....ssssssssssssss......sssssss..................................
    events          ^SpeechStarted   ^Paused ^Resumed  ^Paused  ^Ended   ^LongSilence
                                     +120 ms           +120 ms  +pause

What is heard while a pause lasts may turn out to be the end. `Paused` tells when it is worth decoding the
utterance ahead of time; `Resumed` tells that this was for nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

FRAME_MS = 20
FRAME_S = FRAME_MS / 1000

START_FRAMES, START_WINDOW = 4, 6
"""Speech begins when 4 of the last 6 frames hold speech: one or two loud frames are a click."""

RESUME_FRAMES = 3
"""Speech goes on after a pause when 3 of the last 6 frames hold speech."""

PRE_ROLL_FRAMES = 15
"""300 ms from before the start belong to the utterance: soft first sounds are no speech to the detector."""

PAUSED_FRAMES = 6
"""120 ms of silence are worth a try at the final; most stops inside words are shorter (our measurement)."""

LIMIT_FRAMES = 1000
"""An utterance is cut after 20 s, so that neither its audio nor the wait for its final grows without bound."""

EndReason = Literal["pause", "limit", "finished"]


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Someone began to speak."""

    at_s: float
    """Position of the first byte of `audio` in the stream."""
    audio: bytes
    """What was heard of the utterance up to now."""


@dataclass(frozen=True, slots=True)
class SpeechAudio:
    """The utterance goes on with one more frame."""

    audio: bytes


@dataclass(frozen=True, slots=True)
class Paused:
    """It has been silent for 120 ms: this may be the end."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """It was not the end."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The utterance is over."""

    reason: EndReason
    speech_end_s: float
    """End of its last frame with speech."""


@dataclass(frozen=True, slots=True)
class LongSilence:
    """It has been silent for `long_silence_s` since the last utterance; told once."""


Event = SpeechStarted | SpeechAudio | Paused | Resumed | Ended | LongSilence


class Segmenter:
    """Turns frames into events; keeps no more than the pre-roll.

    Args:
        pause_s: silence that ends an utterance. May be changed at any time.
        long_silence_s: silence after which `LongSilence` is told; None for never.
    """

    def __init__(self, *, pause_s: float, long_silence_s: float | None = None) -> None:
        self.pause_s = pause_s
        self._long_silence_s = long_silence_s
        self._frames = 0
        self._speaking = False
        self._paused = False
        self._silent_frames = 0
        self._utterance_frames = 0
        self._speech_end_frame = 0
        self._long_silence_due = False
        self._recent: deque[bool] = deque(maxlen=START_WINDOW)
        self._pre_roll: deque[bytes] = deque(maxlen=PRE_ROLL_FRAMES)

    @property
    def position_s(self) -> float:
        """Seconds of audio fed so far."""
        return self._frames * FRAME_S

    @property
    def speaking(self) -> bool:
        """Whether an utterance has started and not ended."""
        return self._speaking

    @property
    def silence_s(self) -> float:
        """Seconds since the utterance's last speech."""
        return self._silent_frames * FRAME_S

    def feed(self, frame: bytes, *, is_speech: bool) -> list[Event]:
        """Take the next 20 ms.

        Args:
            frame: its audio, which the segmenter only passes on.
            is_speech: what the detector says of it.

        Returns:
            Events in the order in which they happened.
        """
        self._frames += 1
        self._recent.append(is_speech)
        self._pre_roll.append(frame)
        if self._speaking:
            return self._go_on(frame, is_speech)
        if sum(self._recent) >= START_FRAMES:
            return [self._start()]
        return self._stay_silent()

    def finish(self) -> list[Event]:
        """End the utterance now, if there is one."""
        return [self._end("finished")] if self._speaking else []

    def _start(self) -> Event:
        self._speaking = True
        self._paused = False
        self._silent_frames = 0
        self._utterance_frames = len(self._pre_roll)
        self._speech_end_frame = self._frames
        self._long_silence_due = False
        audio = b"".join(self._pre_roll)
        return SpeechStarted((self._frames - len(self._pre_roll)) * FRAME_S, audio)

    def _stay_silent(self) -> list[Event]:
        if self._long_silence_s is None or not self._long_silence_due:
            return []
        if (self._frames - self._speech_end_frame) * FRAME_S < self._long_silence_s:
            return []
        self._long_silence_due = False
        return [LongSilence()]

    def _go_on(self, frame: bytes, is_speech: bool) -> list[Event]:
        self._utterance_frames += 1
        events: list[Event] = [SpeechAudio(frame)]
        if is_speech and (not self._paused or sum(self._recent) >= RESUME_FRAMES):
            self._silent_frames = 0
            self._speech_end_frame = self._frames
            if self._paused:
                self._paused = False
                events.append(Resumed())
        else:
            self._silent_frames += 1
        if self.silence_s >= self.pause_s - FRAME_S / 2:
            events.append(self._end("pause"))
        elif self._utterance_frames >= LIMIT_FRAMES:
            events.append(self._end("limit"))
        elif not self._paused and self._silent_frames >= PAUSED_FRAMES:
            self._paused = True
            events.append(Paused())
        return events

    def _end(self, reason: EndReason) -> Event:
        self._speaking = False
        self._long_silence_due = True
        # what has been decoded must not be heard again; of a pause, its second part may be the next first sound
        self._keep_pre_roll(max(self._silent_frames - PAUSED_FRAMES, 0) if reason == "pause" else 0)
        self._silent_frames = 0
        if reason != "pause":
            self._recent.clear()
        return Ended(reason, self._speech_end_frame * FRAME_S)

    def _keep_pre_roll(self, frames: int) -> None:
        while len(self._pre_roll) > frames:
            self._pre_roll.popleft()
