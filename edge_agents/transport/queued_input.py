"""Caller audio on its way from a socket to the session, in frames of 20 ms, never more than a few seconds of it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from livekit import rtc
from livekit.agents.voice import io

from edge_agents.audio.taps import RECEIVED_AT

_MAX_QUEUED_S: Final = 3.0
"""Audio kept for a session that does not take it: covers the start of a session and a stalled loop."""


class QueuedInput(io.AudioInput):
    """Queue of caller audio with one reader, the session.

    When the queue is full the oldest audio is dropped and counted: a late conversation is worse than a lost word.

    Args:
        sample_rate_hz: rate of the audio pushed.
        frame_s: length of the frames given out, seconds. Pieces that do not fill one wait for the next push.
    """

    def __init__(self, *, sample_rate_hz: int, frame_s: float) -> None:
        super().__init__(label="MediaSocket")
        self._rate_hz = sample_rate_hz
        self._frame_bytes = 2 * round(sample_rate_hz * frame_s)
        self._rest = bytearray()
        self._frames: deque[rtc.AudioFrame] = deque(maxlen=max(1, round(_MAX_QUEUED_S / frame_s)))
        self._dropped = 0
        self._arrived = asyncio.Event()
        self._ended = False

    @property
    def dropped_s(self) -> float:
        """Caller audio lost because the session did not take it in time, seconds."""
        return self._dropped * self._frame_bytes / 2 / self._rate_hz

    def push(self, pcm: bytes, received_at_s: float) -> None:
        """Add audio.

        Args:
            pcm: 16-bit little-endian mono; any even length.
            received_at_s: when it arrived, monotonic seconds; each frame carries it for the latency probe.
        """
        if self._ended:
            return
        self._rest += pcm
        while len(self._rest) >= self._frame_bytes:
            data = bytes(self._rest[: self._frame_bytes])
            del self._rest[: self._frame_bytes]
            self._dropped += len(self._frames) == self._frames.maxlen
            self._frames.append(
                rtc.AudioFrame(
                    data, self._rate_hz, 1, self._frame_bytes // 2, userdata={RECEIVED_AT: received_at_s}
                )
            )
        self._arrived.set()

    def end(self) -> None:
        """No more audio comes: the session gets what is queued, then the end of the stream."""
        self._ended = True
        self._arrived.set()

    async def __anext__(self) -> rtc.AudioFrame:
        """The next frame. Cancelling loses none."""
        while not self._frames:
            if self._ended:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._frames.popleft()
