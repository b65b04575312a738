from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from livekit import rtc
from livekit.agents.voice import io

from edge_agents.audio.speech_edges import Pcm
from edge_agents.transport.paced_output import PacedOutput
from tests.fakes.virtual_time import START_S, loop_time, run_virtual
from tests.unit.edge_agents.audio.sounds import tone


class Wire:
    """The other side: notes when frames and clears came. `stuck` is a client that takes no data."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, bytes]] = []
        self.clears: list[float] = []
        self.order: list[str] = []
        self.stuck = asyncio.Event()
        self.stuck.set()

    async def send_audio(self, pcm: bytes) -> None:
        await self.stuck.wait()
        self.frames.append((loop_time() - START_S, pcm))
        self.order.append("audio")

    async def send_clear(self) -> None:
        await self.stuck.wait()
        self.clears.append(loop_time() - START_S)
        self.order.append("clear")

    @property
    def pcm(self) -> Pcm:
        return np.frombuffer(b"".join(data for _, data in self.frames), "<i2")


class Rig:
    """One output, its wire, and what it reported."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.output = PacedOutput(self.wire, clock=loop_time)
        self.started: list[float] = []
        self.finished: list[tuple[float, float, bool]] = []
        self.output.on("playback_started", lambda _event: self.started.append(self.now_s))
        self.output.on("playback_finished", self._note_finished)

    @property
    def now_s(self) -> float:
        return loop_time() - START_S

    def _note_finished(self, event: io.PlaybackFinishedEvent) -> None:
        self.finished.append((self.now_s, event.playback_position, event.interrupted))

    async def say(self, pcm: Pcm, rate_hz: int = 16000, *, frame_s: float = 0.1) -> None:
        step = round(rate_hz * frame_s)
        for start in range(0, len(pcm), step):
            piece = pcm[start : start + step]
            await self.output.capture_frame(rtc.AudioFrame(piece.tobytes(), rate_hz, 1, len(piece)))


@asynccontextmanager
async def running() -> AsyncIterator[Rig]:
    rig = Rig()
    rig.output.start()
    try:
        yield rig
    finally:
        await rig.output.close()


def scenario(body: Callable[[Rig], Awaitable[None]]) -> Rig:
    async def main() -> Rig:
        async with running() as rig:
            await body(rig)
            return rig

    return run_virtual(main())


def test_frames_of_20_ms_leave_in_real_time_at_most_40_ms_ahead() -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(1.0))
        rig.output.flush()
        await rig.output.wait_for_playout()

    rig = scenario(body)

    assert len(rig.wire.frames) == 50
    assert {len(data) for _, data in rig.wire.frames} == {640}
    for index, (sent_s, _) in enumerate(rig.wire.frames):
        plays_s = 0.02 * index
        assert sent_s <= plays_s + 1e-6
        assert plays_s + 0.02 - sent_s <= 0.040 + 1e-6
    assert np.array_equal(rig.wire.pcm, tone(1.0))


def test_the_start_is_reported_with_the_first_frame_and_the_end_when_all_is_played() -> None:
    async def body(rig: Rig) -> None:
        await asyncio.sleep(1)
        await rig.say(tone(0.5))
        rig.output.flush()
        finished = await rig.output.wait_for_playout()
        assert finished.playback_position == pytest.approx(0.5)

    rig = scenario(body)

    assert rig.started == [pytest.approx(1.0)]
    assert rig.finished == [(pytest.approx(1.5), pytest.approx(0.5), False)]


@pytest.mark.parametrize("rate_hz", [8000, 22050, 24000, 44100, 48000])
def test_any_rate_comes_out_at_16_khz(rate_hz: int) -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(1.0, rate_hz), rate_hz)
        rig.output.flush()
        await rig.output.wait_for_playout()

    pcm = scenario(body).wire.pcm

    assert len(pcm) == pytest.approx(16000, abs=320)
    middle = pcm[4000:12000].astype(float)
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.argmax(spectrum) * 16000 / len(middle) == pytest.approx(220, abs=2)
    assert middle.std() == pytest.approx(tone(1.0).astype(float).std(), rel=0.02)


def test_a_segment_may_change_its_rate() -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(0.5, 24000), 24000)
        await rig.say(tone(0.5, 16000), 16000)
        rig.output.flush()
        finished = await rig.output.wait_for_playout()
        assert finished.playback_position == pytest.approx(1.0)

    assert len(scenario(body).wire.pcm) == pytest.approx(16000, abs=320)


def test_a_synthesizer_that_stalls_makes_a_gap_and_no_burst() -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(0.1))
        await asyncio.sleep(1.0)
        await rig.say(tone(0.2))
        rig.output.flush()
        await rig.output.wait_for_playout()

    rig = scenario(body)

    assert len(rig.started) == 1
    late = [sent_s for sent_s, _ in rig.wire.frames[5:]]
    assert late[0] == pytest.approx(1.0)
    assert late[-1] == pytest.approx(1.0 + 0.2 - 0.04, abs=1e-6)
    assert rig.finished == [(pytest.approx(1.2), pytest.approx(0.3), False)]


def test_a_clear_stops_at_once_and_tells_how_much_was_played() -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(5.0))
        rig.output.flush()
        await asyncio.sleep(0.505)
        rig.output.clear_buffer()
        finished = await rig.output.wait_for_playout()
        assert finished.interrupted
        assert finished.playback_position == pytest.approx(0.505)
        await asyncio.sleep(1.0)

    rig = scenario(body)

    assert rig.wire.clears == [pytest.approx(0.505)]
    assert rig.wire.frames[-1][0] <= 0.505
    assert rig.finished == [(pytest.approx(0.505), pytest.approx(0.505), True)]


def test_frames_captured_after_a_clear_belong_to_what_was_cleared_until_the_flush() -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(1.0))
        await asyncio.sleep(0.2)
        rig.output.clear_buffer()
        await rig.say(tone(1.0))
        rig.output.flush()
        await asyncio.sleep(1.0)
        sent = len(rig.wire.frames)
        await rig.say(tone(0.1))
        rig.output.flush()
        await rig.output.wait_for_playout()
        assert len(rig.wire.frames) == sent + 5

    rig = scenario(body)

    assert [interrupted for _, _, interrupted in rig.finished] == [True, False]
    assert len(rig.started) == 2


def test_a_segment_cleared_before_its_first_frame_left_sends_nothing() -> None:
    async def body(rig: Rig) -> None:
        rig.output.pause()
        await rig.say(tone(1.0))
        rig.output.flush()
        await asyncio.sleep(0.1)
        rig.output.clear_buffer()
        finished = await rig.output.wait_for_playout()
        assert finished.playback_position == 0

    rig = scenario(body)
    assert rig.wire.order == []
    assert rig.started == []


def test_a_clear_leaves_before_the_audio_that_follows_it() -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(1.0))
        await asyncio.sleep(0.3)
        rig.wire.stuck.clear()
        await asyncio.sleep(0.1)
        rig.output.flush()
        rig.output.clear_buffer()
        await asyncio.sleep(0.1)  # the frame on its way and the clear both wait for the client
        await rig.say(np.full(3200, 77, np.int16))
        rig.output.flush()
        rig.wire.stuck.set()
        await rig.output.wait_for_playout()

    rig = scenario(body)
    after_clear = rig.wire.order[rig.wire.order.index("clear") + 1 :]
    assert after_clear.count("audio") == 10
    assert rig.wire.pcm[-1] == 77


def test_clearing_when_nothing_is_said_does_nothing() -> None:
    async def body(rig: Rig) -> None:
        rig.output.clear_buffer()
        rig.output.flush()
        await asyncio.sleep(1)

    rig = scenario(body)
    assert rig.wire.order == []
    assert rig.finished == []


def test_a_pause_stops_at_once_and_sends_again_what_was_not_played() -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(1.0))
        rig.output.flush()
        await asyncio.sleep(0.305)
        rig.output.pause()
        await asyncio.sleep(2.0)
        assert rig.wire.clears == [pytest.approx(0.305)]
        assert rig.wire.frames[-1][0] <= 0.305
        rig.output.resume()
        await rig.output.wait_for_playout()

    rig = scenario(body)

    before = [data for sent_s, data in rig.wire.frames if sent_s < 1]
    after = [data for sent_s, data in rig.wire.frames if sent_s > 1]
    played = round(0.305 * 16000)
    heard = np.concatenate(
        [np.frombuffer(b"".join(before), "<i2")[:played], np.frombuffer(b"".join(after), "<i2")]
    )
    assert np.array_equal(heard[:16000], tone(1.0))
    assert not heard[16000:].any()
    assert len(rig.started) == 1
    assert rig.finished == [(pytest.approx(3.0, abs=0.021), pytest.approx(1.0), False)]


def test_a_clear_during_a_pause_tells_what_was_played_before_it() -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(3.0))
        rig.output.flush()
        await asyncio.sleep(0.4)
        rig.output.pause()
        await asyncio.sleep(1.0)
        rig.output.clear_buffer()
        finished = await rig.output.wait_for_playout()
        assert finished.playback_position == pytest.approx(0.4)
        rig.output.resume()
        await asyncio.sleep(1.0)

    rig = scenario(body)
    assert rig.wire.frames[-1][0] <= 0.4


def test_a_segment_paused_after_its_last_frame_still_ends() -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(0.1))
        rig.output.flush()
        await asyncio.sleep(0.1)
        rig.output.pause()
        await rig.output.wait_for_playout()

    assert scenario(body).finished == [(pytest.approx(0.1), pytest.approx(0.1), False)]


def test_the_next_segment_waits_for_the_end_of_the_one_before() -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(0.3))
        rig.output.flush()
        await rig.say(tone(0.3))
        rig.output.flush()
        await rig.output.wait_for_playout()

    rig = scenario(body)

    assert rig.started == [pytest.approx(0.0), pytest.approx(0.3)]
    assert [end for end, _, _ in rig.finished] == [pytest.approx(0.3), pytest.approx(0.6)]


def test_whoever_captures_more_than_30_s_waits() -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(32.0), frame_s=1.0)
        assert rig.now_s == pytest.approx(1.0, abs=0.1)

    scenario(body)


def test_closing_ends_the_open_segment_and_later_ones_end_at_their_flush() -> None:
    async def body(rig: Rig) -> None:
        await rig.say(tone(5.0))
        await asyncio.sleep(0.5)
        await rig.output.close()
        await rig.say(tone(1.0))  # the session has not noticed yet
        rig.output.flush()
        assert (await rig.output.wait_for_playout()).interrupted
        await rig.say(tone(1.0))
        rig.output.flush()
        finished = await rig.output.wait_for_playout()
        assert finished.interrupted
        assert finished.playback_position == 0

    rig = scenario(body)

    assert [interrupted for _, _, interrupted in rig.finished] == [True, True]
    assert rig.wire.frames[-1][0] <= 0.5
    assert rig.wire.clears == []
