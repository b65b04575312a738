"""What a real-time output has sent of the audio handed to it, and when, worked out without a clock.

Audio is handed over faster than real time; it leaves at its own speed:

    handed over    [aaaaaaaaaa][bbbb]              [cccc]
    sent            aaaaaaaaaabbbb     (nothing)    cccc
                    ^ at once      ^ ran dry        ^ at once
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from edge_agents.audio.speech_edges import Pcm

MAX_QUEUED_S: Final = 600.0
"""Most audio waiting to be sent; real outputs push back long before (paced_output.py)."""


@dataclass(frozen=True, slots=True)
class SentBlock:
    """Consecutive samples that have left."""

    samples: Pcm
    """int16, shape (n,)."""
    rate_hz: int
    """Samples per second."""
    start_s: float
    """When the first sample left, on the clock of the times passed in."""

    @property
    def end_s(self) -> float:
        """When the last sample had left."""
        return self.start_s + len(self.samples) / self.rate_hz


class Playout:
    """Queue of audio that drains in real time. Times passed in must not go back.

    Audio over `MAX_QUEUED_S` is left out of the account; nobody waits here.
    """

    def __init__(self) -> None:
        self._waiting: deque[SentBlock] = deque()
        self._waiting_s = 0.0
        self._free_at_s: float | None = None
        self._paused = False

    @property
    def waiting_s(self) -> float:
        """Seconds of audio not sent yet."""
        return self._waiting_s

    @property
    def sent_until_s(self) -> float | None:
        """When the newest sent sample had left, or None while nothing was sent."""
        return self._free_at_s

    def push(self, samples: Pcm, rate_hz: int, at_s: float) -> None:
        """Hand over `samples` at `at_s`; they leave behind all that waits."""
        if len(samples) and self._waiting_s < MAX_QUEUED_S:
            self._waiting.append(SentBlock(samples, rate_hz, at_s))
            self._waiting_s += len(samples) / rate_hz

    def advance(self, at_s: float) -> list[SentBlock]:
        """Everything that has left since the last call, in order.

        Args:
            at_s: now.
        """
        sent: list[SentBlock] = []
        while self._waiting and not self._paused:
            block = self._waiting[0]
            start_s = block.start_s if self._free_at_s is None else max(block.start_s, self._free_at_s)
            # half a sample of slack absorbs rounding of the clock
            count = min(len(block.samples), int((at_s - start_s) * block.rate_hz + 0.5))
            if count <= 0:
                break
            done = SentBlock(block.samples[:count], block.rate_hz, start_s)
            sent.append(done)
            self._free_at_s = done.end_s
            self._waiting_s -= count / block.rate_hz
            if count == len(block.samples):
                self._waiting.popleft()
            else:
                self._waiting[0] = SentBlock(block.samples[count:], block.rate_hz, done.end_s)
        if not self._waiting:
            self._waiting_s = 0.0
        return sent

    def clear(self) -> None:
        """Drop what has not been sent. Call `advance` first: what left before now is sent."""
        self._waiting.clear()
        self._waiting_s = 0.0

    def pause(self) -> None:
        """Send nothing until `resume`. Call `advance` first."""
        self._paused = True

    def resume(self, at_s: float) -> None:
        """Go on where `pause` stopped."""
        if self._paused:
            self._paused = False
            self._free_at_s = at_s if self._free_at_s is None else max(self._free_at_s, at_s)
