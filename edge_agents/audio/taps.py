"""Puts a latency probe between a session and its audio, whatever carries it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from livekit import rtc
from livekit.agents.voice import io

from edge_agents.audio.latency import LatencyProbe
from edge_agents.audio.speech_edges import Pcm

RECEIVED_AT: Final = "parley.received_at_s"
"""Key in `AudioFrame.userdata`: when the frame's last sample arrived, monotonic seconds. Set by transports that
know it; the session may take a frame later, when its loop is busy."""


def mono_samples(frame: rtc.AudioFrame) -> Pcm:
    """The samples of a frame without copying: int16, shape (samples,); of several channels the first."""
    samples = np.frombuffer(frame.data, np.int16)
    return samples if frame.num_channels == 1 else samples[:: frame.num_channels]


class TappedInput(io.AudioInput):
    """Shows the probe what the caller says.

    Args:
        source: where the audio comes from; not owned.
        probe: told of each frame.
        clock: monotonic seconds, the transport's clock.
    """

    def __init__(self, source: io.AudioInput, *, probe: LatencyProbe, clock: Callable[[], float]) -> None:
        super().__init__(label="LatencyTap", source=source)
        self._next = source
        self._probe = probe
        self._clock = clock

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await self._next.__anext__()
        received_at_s = frame.userdata.get(RECEIVED_AT)
        if not isinstance(received_at_s, float):
            received_at_s = self._clock()
        self._probe.heard(mono_samples(frame), frame.sample_rate, received_at_s)
        return frame


class TappedOutput(io.AudioOutput):
    """Shows the probe what the agent sends; changes nothing.

    Args:
        next_in_chain: where the audio goes; not owned.
        probe: told of frames, clears, pauses and ends of segments.
        clock: monotonic seconds, the transport's clock.
    """

    def __init__(
        self, next_in_chain: io.AudioOutput, *, probe: LatencyProbe, clock: Callable[[], float]
    ) -> None:
        super().__init__(
            label="LatencyTap",
            next_in_chain=next_in_chain,
            capabilities=io.AudioOutputCapabilities(pause=True),  # and what the next one can: see can_pause
        )
        assert self._next_in_chain is not None
        # the base class puts a swap point below us; frames and clears go through it
        self._next: io.AudioOutput = self._next_in_chain
        self._probe = probe
        self._clock = clock

    @property
    def sample_rate(self) -> int | None:
        """What the next output asks for."""
        return self._next.sample_rate

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Pass a frame on; it counts once the next output has taken it."""
        await self._next.capture_frame(frame)
        await super().capture_frame(frame)
        self._probe.sending(mono_samples(frame), frame.sample_rate, self._clock())

    def flush(self) -> None:
        """Pass on the end of a segment."""
        super().flush()
        self._next.flush()

    def clear_buffer(self) -> None:
        """Pass on a clear. The probe is told first: the next output may report the segment's end at once."""
        self._probe.cleared(self._clock())
        self._next.clear_buffer()

    def pause(self) -> None:
        """Pass on a pause."""
        self._probe.paused(self._clock())
        super().pause()

    def resume(self) -> None:
        """Pass on the end of a pause."""
        super().resume()
        self._probe.resumed(self._clock())

    def on_playback_finished(
        self, *, playback_position: float, interrupted: bool, synchronized_transcript: str | None = None
    ) -> None:
        """Called by the next output."""
        if interrupted:
            # nobody need have cleared it: the output drops what a caller who has gone will not hear
            self._probe.cleared(self._clock())
        self._probe.segment_finished(self._clock())
        # a capture may be cancelled below before it was counted here
        if self._pending_playback_count:
            super().on_playback_finished(
                playback_position=playback_position,
                interrupted=interrupted,
                synchronized_transcript=synchronized_transcript,
            )
