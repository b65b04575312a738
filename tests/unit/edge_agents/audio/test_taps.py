from __future__ import annotations

import numpy as np
import pytest
from livekit import rtc
from livekit.agents.voice import io

from edge_agents.audio.latency import LatencyProbe
from edge_agents.audio.speech_edges import Pcm
from edge_agents.audio.taps import RECEIVED_AT, TappedInput, TappedOutput
from tests.fakes.clock import FakeClock
from tests.unit.edge_agents.audio.sounds import silence, tone, voice


def frame(pcm: Pcm, rate_hz: int = 16000, **userdata: float) -> rtc.AudioFrame:
    return rtc.AudioFrame(pcm.tobytes(), rate_hz, 1, len(pcm), userdata=dict(userdata))


class Microphone(io.AudioInput):
    """Gives out frames and lets their time pass."""

    def __init__(self, frames: list[rtc.AudioFrame], clock: FakeClock) -> None:
        super().__init__(label="microphone")
        self.frames = frames
        self.clock = clock
        self.attached = False

    async def __anext__(self) -> rtc.AudioFrame:
        if not self.frames:
            raise StopAsyncIteration
        self.clock.advance(self.frames[0].duration)
        return self.frames.pop(0)

    def on_attached(self) -> None:
        self.attached = True

    def on_detached(self) -> None:
        self.attached = False


class Loudspeaker(io.AudioOutput):
    """Notes what reaches it."""

    def __init__(self, *, pause: bool = True) -> None:
        super().__init__(
            label="loudspeaker", capabilities=io.AudioOutputCapabilities(pause=pause), sample_rate=16000
        )
        self.calls: list[str] = []

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self.calls.append("capture")

    def flush(self) -> None:
        super().flush()
        self.calls.append("flush")

    def clear_buffer(self) -> None:
        self.calls.append("clear")
        self.on_playback_finished(playback_position=0.5, interrupted=True)

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")


async def test_the_input_passes_frames_on_and_tells_the_probe() -> None:
    clock = FakeClock()
    probe = LatencyProbe()
    given = [frame(pcm) for pcm in np.split(np.concatenate([voice(1.0), silence(0.5)]), 75)]
    tap = TappedInput(Microphone(list(given), clock), probe=probe, clock=clock.monotonic_s)
    began_s = clock.monotonic_s()

    passed = [one async for one in tap]

    assert passed == given
    probe.sending(tone(0.5), 16000, clock.monotonic_s())
    reading = probe.take_reading(clock.monotonic_s() + 1)
    assert reading.last_voiced_heard_s == pytest.approx(began_s + 1.0, abs=0.005)


async def test_the_time_of_arrival_in_a_frame_beats_the_clock() -> None:
    """A busy loop takes frames late; the transport knows when they came."""
    clock = FakeClock()
    probe = LatencyProbe()
    pieces = np.split(np.concatenate([voice(1.0), silence(0.5)]), 75)
    frames = [frame(pcm, **{RECEIVED_AT: 500.0 + 0.02 * (n + 1)}) for n, pcm in enumerate(pieces)]
    tap = TappedInput(Microphone(frames, clock), probe=probe, clock=clock.monotonic_s)

    async for _ in tap:
        clock.advance(0.3)

    probe.sending(tone(0.5), 16000, 502.0)
    assert probe.take_reading(503.0).last_voiced_heard_s == pytest.approx(501.0, abs=0.005)


async def test_attaching_reaches_the_source() -> None:
    clock = FakeClock()
    microphone = Microphone([], clock)
    tap = TappedInput(microphone, probe=LatencyProbe(), clock=clock.monotonic_s)
    tap.on_attached()
    assert microphone.attached
    tap.on_detached()
    assert not microphone.attached


async def test_the_output_passes_everything_on_in_order() -> None:
    clock = FakeClock()
    speaker = Loudspeaker()
    tap = TappedOutput(speaker, probe=LatencyProbe(), clock=clock.monotonic_s)

    await tap.capture_frame(frame(tone(0.1)))
    tap.pause()
    tap.resume()
    tap.flush()
    tap.clear_buffer()
    finished = await tap.wait_for_playout()

    assert speaker.calls == ["capture", "pause", "resume", "flush", "clear"]
    assert finished.interrupted
    assert finished.playback_position == 0.5
    assert tap.captured_playout_segments == 1


@pytest.mark.parametrize("pause", [True, False])
async def test_capabilities_and_rate_are_those_of_the_next_output(pause: bool) -> None:
    tap = TappedOutput(Loudspeaker(pause=pause), probe=LatencyProbe(), clock=FakeClock().monotonic_s)
    assert tap.can_pause is pause
    assert tap.sample_rate == 16000


async def test_playback_events_come_up_the_chain_once() -> None:
    speaker = Loudspeaker()
    tap = TappedOutput(speaker, probe=LatencyProbe(), clock=FakeClock().monotonic_s)
    started: list[float] = []
    finished: list[io.PlaybackFinishedEvent] = []
    tap.on("playback_started", lambda event: started.append(event.created_at))
    tap.on("playback_finished", finished.append)

    await tap.capture_frame(frame(tone(0.1)))
    speaker.on_playback_started(created_at=12.0)
    tap.flush()
    speaker.on_playback_finished(playback_position=0.1, interrupted=False)

    assert started == [12.0]
    assert [event.playback_position for event in finished] == [0.1]


async def test_a_pause_stops_the_probe_s_clock_and_a_clear_cuts_the_reply() -> None:
    clock = FakeClock()
    probe = LatencyProbe()
    tap = TappedOutput(Loudspeaker(), probe=probe, clock=clock.monotonic_s)

    await tap.capture_frame(frame(tone(2.0, 24000), 24000))
    clock.advance(0.5)
    tap.pause()
    clock.advance(10)
    tap.resume()
    clock.advance(0.25)
    tap.flush()
    tap.clear_buffer()
    reading = probe.take_reading(clock.monotonic_s())

    assert reading.sent_s == pytest.approx(0.75)
    assert reading.cut


async def test_of_several_channels_the_first_is_measured() -> None:
    clock = FakeClock()
    probe = LatencyProbe()
    tap = TappedOutput(Loudspeaker(), probe=probe, clock=clock.monotonic_s)
    stereo = np.stack([silence(0.5), tone(0.5)], axis=1).reshape(-1)

    await tap.capture_frame(rtc.AudioFrame(stereo.tobytes(), 16000, 2, 8000))
    clock.advance(1)
    reading = probe.take_reading(clock.monotonic_s())

    assert reading.sent_s == pytest.approx(0.5)
    assert reading.first_audible_sent_s is None
