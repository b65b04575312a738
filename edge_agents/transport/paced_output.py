"""Agent audio on its way to a socket: any rate in, 16 kHz frames of 20 ms out in real time, stoppable at once.

Sound that has been sent can't be taken back, so no more than 40 ms of it is under way at any moment; the rest waits
here, where a barge-in drops it:

    captured  [====================================]      faster than real time
    sent      [=========]                                 20 ms every 20 ms
    played    [=======]                                   at most 40 ms behind what was sent
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import soxr
from livekit import rtc
from livekit.agents.voice import io

from edge_agents.audio.speech_edges import Pcm
from edge_agents.audio.taps import mono_samples
from edge_agents.transport.media_protocol import FRAME_BYTES, FRAME_S, SAMPLE_RATE_HZ

AHEAD_S: Final = 0.040
"""Most audio sent and not yet played: a frame being played and one to follow it."""

MAX_QUEUED_S: Final = 30.0
"""Most audio waiting to be sent; whoever captures more waits."""

_BYTES_PER_S: Final = 2 * SAMPLE_RATE_HZ


class FrameSink(Protocol):
    """Where the frames go. Neither method raises for a broken connection; the sink tells its owner itself."""

    async def send_audio(self, pcm: bytes) -> None:
        """Send one frame: 16-bit little-endian mono, 16 kHz, 20 ms."""
        ...

    async def send_clear(self) -> None:
        """Tell the other side to drop what it has not played."""
        ...


@dataclass(slots=True, eq=False)
class _Segment:
    """Audio from the first frame captured to `flush` or `clear_buffer`."""

    captured_s: float = 0.0
    sent_s: float = 0.0
    started: bool = False
    flushed: bool = False


class PacedOutput(io.AudioOutput):
    """Audio output of one call. Pausable. `start` it once; `close` ends it and every segment still open.

    Args:
        sink: takes the frames; not owned.
        clock: monotonic seconds.
    """

    def __init__(self, sink: FrameSink, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(
            label="MediaSocket", capabilities=io.AudioOutputCapabilities(pause=True), sample_rate=None
        )
        self._sink = sink
        self._clock = clock
        self._resampler: _To16k | None = None
        self._waiting = bytearray()
        self._under_way = bytearray()  # the newest `AHEAD_S` sent, some of it not played yet
        self._segment: _Segment | None = None
        self._ignoring = False
        self._paused = False
        self._closed = False
        self._played_out_s = 0.0
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._pacer: asyncio.Task[None] | None = None
        self._clearing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        if self._pacer is None and not self._closed:
            self._pacer = asyncio.create_task(self._pace(), name="media-pacer")

    async def close(self) -> None:
        """Send nothing more. The open segment ends as interrupted; later ones end so at their flush."""
        self._closed = True
        self._drop_segment()
        tasks = [task for task in (self._pacer, self._clearing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what the session calls

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Take a frame of any rate; of several channels the first. Waits while `MAX_QUEUED_S` are queued.

        Cancellation loses the frame that waited, nothing else.
        """
        while self._full_or_finishing():
            self._room.clear()
            await self._room.wait()
        await super().capture_frame(frame)
        if self._ignoring:
            return
        if self._segment is None:
            self._segment = _Segment()
        self._segment.captured_s += frame.duration
        if not self._closed:
            self._queue(frame)

    def flush(self) -> None:
        """The segment is complete; its end is reported when it has been played."""
        super().flush()
        self._ignoring = False
        segment = self._segment
        if segment is None or segment.flushed:
            return
        segment.flushed = True
        if self._closed:
            self._finish(segment, position_s=0.0, interrupted=True)
            return
        if self._resampler is not None:
            self._waiting += self._resampler.finish()
            self._resampler = None
        self._pad()
        self._work.set()

    def clear_buffer(self) -> None:
        """Stop now: at most `AHEAD_S` more is heard, less when the other side obeys the clear message."""
        segment = self._segment
        if segment is None:
            return
        if segment.started:
            self._send_clear()
        self._drop_segment()

    def pause(self) -> None:
        """Stop now, as `clear_buffer` does, and keep the rest: what was sent and not played is sent again later."""
        super().pause()
        self._paused = True
        unplayed_s = self._played_out_s - self._clock()
        if self._segment is None or unplayed_s <= 0:
            return
        count = min(len(self._under_way), 2 * round(unplayed_s * SAMPLE_RATE_HZ))
        self._waiting[:0] = self._under_way[len(self._under_way) - count :]
        if self._segment.flushed:
            self._pad()
        self._segment.sent_s -= count / _BYTES_PER_S
        self._played_out_s = self._clock()
        self._under_way.clear()
        self._send_clear()

    def resume(self) -> None:
        """Go on where `pause` stopped."""
        super().resume()
        self._paused = False
        self._work.set()

    # --- sending

    def _full_or_finishing(self) -> bool:
        if self._closed or self._segment is None:
            return False
        return self._segment.flushed or len(self._waiting) > MAX_QUEUED_S * _BYTES_PER_S

    def _pad(self) -> None:
        self._waiting += bytes(-len(self._waiting) % FRAME_BYTES)

    def _send_clear(self) -> None:
        under_way = self._clearing is not None and not self._clearing.done()
        if not self._closed and not under_way:
            self._clearing = asyncio.create_task(self._sink.send_clear(), name="media-clear")

    def _queue(self, frame: rtc.AudioFrame) -> None:
        if self._resampler is not None and self._resampler.rate_hz != frame.sample_rate:
            self._waiting += self._resampler.finish()
            self._resampler = None
        if frame.sample_rate == SAMPLE_RATE_HZ:
            self._waiting += mono_samples(frame).tobytes()
        else:
            if self._resampler is None:
                self._resampler = _To16k(frame.sample_rate)
            self._waiting += self._resampler.push(mono_samples(frame))
        self._work.set()

    async def _pace(self) -> None:
        while True:
            segment = self._segment
            due = len(self._waiting) >= FRAME_BYTES
            if segment is None or (due and self._paused) or not (due or segment.flushed):
                self._work.clear()
                await self._work.wait()
                continue
            ahead_s = self._played_out_s - self._clock()
            allowed_s = AHEAD_S - FRAME_S if due else 0.0
            if ahead_s > allowed_s:
                # short: the segment may be cleared meanwhile, so everything is looked at again
                await asyncio.sleep(ahead_s - allowed_s)
            elif due:
                await self._send_frame(segment)
            else:
                self._finish(segment, position_s=segment.captured_s, interrupted=False)

    async def _send_frame(self, segment: _Segment) -> None:
        if self._clearing is not None and not self._clearing.done():
            await asyncio.wait([self._clearing])  # the clear must not drop what comes after it
            return
        frame = bytes(self._waiting[:FRAME_BYTES])
        del self._waiting[:FRAME_BYTES]
        self._under_way += frame
        del self._under_way[: -round(AHEAD_S * _BYTES_PER_S)]
        first = not segment.started
        segment.started = True
        segment.sent_s += FRAME_S
        self._played_out_s = max(self._played_out_s, self._clock()) + FRAME_S
        if first:
            self.on_playback_started(created_at=time.time())
        self._room.set()
        await self._sink.send_audio(frame)

    def _drop_segment(self) -> None:
        segment = self._segment
        if segment is None:
            return
        self._waiting.clear()
        self._under_way.clear()
        self._resampler = None
        now_s = self._clock()
        unplayed_s = max(0.0, self._played_out_s - now_s)
        self._played_out_s = min(self._played_out_s, now_s)
        # frames captured until the flush still belong to what was cleared
        self._ignoring = not segment.flushed
        played_s = min(segment.captured_s, max(0.0, segment.sent_s - unplayed_s))
        self._finish(segment, position_s=played_s, interrupted=True)

    def _finish(self, segment: _Segment, *, position_s: float, interrupted: bool) -> None:
        if self._segment is segment:
            self._segment = None
        self._room.set()
        self.on_playback_finished(playback_position=position_s, interrupted=interrupted)


class _To16k:
    """Streaming resampler of one segment. soxr's medium quality delays the first output by 33 ms of input."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="int16", quality="MQ")

    def push(self, samples: Pcm) -> bytes:
        return bytes(self._stream.resample_chunk(samples).tobytes())

    def finish(self) -> bytes:
        return bytes(self._stream.resample_chunk(np.zeros(0, np.int16), last=True).tobytes())
