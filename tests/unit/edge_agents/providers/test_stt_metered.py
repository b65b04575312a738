"""A recogniser that is watched and metered, on virtual time."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, APITimeoutError, stt

from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.stt.metered import MeteredSTT, UnansweredAudio
from edge_agents.providers.timeouts import Deadlines
from tests.fakes.virtual_time import elapsed_s, run_virtual
from tests.unit.edge_agents.providers.fake_plugins import (
    ONE_TRY,
    EarScript,
    FakeEar,
    FakeEarStream,
    pcm_frame,
)

LIMITS = Deadlines(connect_s=2.0, stt_after_speech_s=3.0)
RATE_HZ = 16_000
KIND = stt.SpeechEventType


def voiced(seconds: float = 0.1) -> rtc.AudioFrame:
    return pcm_frame(seconds, rate_hz=RATE_HZ, level=3000)


def silent(seconds: float = 0.1) -> rtc.AudioFrame:
    return pcm_frame(seconds, rate_hz=RATE_HZ, level=0)


class Bench:
    """Wrapped recognisers that share what is unanswered, as those of one call do."""

    def __init__(self, *ears: FakeEar, skus: tuple[str, ...] = ("nova-3",)) -> None:
        self.meter = UsageMeter()
        self.unanswered = UnansweredAudio()
        self.ears = ears
        self.wrapped = [
            MeteredSTT(
                ear,
                meter=self.meter,
                provider="deepgram",
                skus=skus,
                unreported_s=lambda stream: stream.left_over_s if isinstance(stream, FakeEarStream) else 0,
                unanswered=self.unanswered,
                deadlines=LIMITS,
            )
            for ear in ears
        ]

    @property
    def seconds(self) -> dict[str, Decimal]:
        return {item.sku: item.quantity for item in self.meter.items()}


async def push(stream: stt.RecognizeStream, *frames: rtc.AudioFrame) -> None:
    """Push frames in their own time."""
    for frame in frames:
        stream.push_frame(frame)
        await asyncio.sleep(frame.duration)


async def _deaf(stream: FakeEarStream) -> None:
    await stream.until_end_of_input()


async def _reports_only(stream: FakeEarStream) -> None:
    while True:
        stream.say(KIND.RECOGNITION_USAGE)
        await asyncio.sleep(1)


def _fails(error: Exception, *, after_s: float = 0.0) -> EarScript:
    async def fail(_: FakeEarStream) -> None:
        await asyncio.sleep(after_s)
        raise error

    return fail


async def hear(stream: stt.RecognizeStream) -> list[tuple[stt.SpeechEventType, str]]:
    """All events of a stream."""
    return [(event.type, event.alternatives[0].text if event.alternatives else "") async for event in stream]


async def expiry_s(script: EarScript, *frames: rtc.AudioFrame) -> float:
    """When a stream that is given these frames times out."""
    bench = Bench(FakeEar(script))
    async with bench.wrapped[0].stream(conn_options=ONE_TRY) as stream:
        pushing = asyncio.create_task(push(stream, *frames))
        with pytest.raises(APITimeoutError) as caught:
            await hear(stream)
        assert caught.value.retryable
        pushing.cancel()
        return elapsed_s()


def test_a_recogniser_that_says_nothing_after_speech_has_failed_three_seconds_after_its_end() -> None:
    assert run_virtual(expiry_s(_deaf, *[voiced()] * 10, *[silent()] * 100)) == pytest.approx(0.9 + 3.0)


def test_speech_that_goes_on_puts_the_deadline_off() -> None:
    frames = [*[voiced()] * 10, *[silent()] * 20, *[voiced()] * 10, *[silent()] * 100]

    assert run_virtual(expiry_s(_deaf, *frames)) == pytest.approx(3.9 + 3.0)


def test_the_plugin_s_own_usage_reports_are_no_sign_of_life() -> None:
    assert run_virtual(expiry_s(_reports_only, *[voiced()] * 10, *[silent()] * 100)) == pytest.approx(
        0.9 + 3.0
    )


async def nothing_happens(script: EarScript, *frames: rtc.AudioFrame) -> None:
    """The stream is still well a minute after these frames."""
    bench = Bench(FakeEar(script))
    async with bench.wrapped[0].stream(conn_options=ONE_TRY) as stream:
        hearing = asyncio.create_task(hear(stream))
        await push(stream, *frames)
        await asyncio.sleep(60)
        assert not hearing.done()
        hearing.cancel()


@pytest.mark.parametrize(
    "frames",
    [[silent()] * 50, [voiced(), voiced(), voiced(), *[silent()] * 50], []],
    ids=["silence", "a cough", "nothing"],
)
def test_what_is_no_speech_needs_no_answer(frames: list[rtc.AudioFrame]) -> None:
    run_virtual(nothing_happens(_deaf, *frames))


@pytest.mark.parametrize("kind", [KIND.START_OF_SPEECH, KIND.INTERIM_TRANSCRIPT, KIND.FINAL_TRANSCRIPT])
def test_any_result_after_speech_is_an_answer(kind: stt.SpeechEventType) -> None:
    async def answer(stream: FakeEarStream) -> None:
        await asyncio.sleep(1.5)
        stream.say(kind, "hello")
        await _deaf(stream)

    run_virtual(nothing_happens(answer, *[voiced()] * 10, *[silent()] * 10))


def test_speech_after_an_answer_needs_another() -> None:
    async def answer(stream: FakeEarStream) -> None:
        await asyncio.sleep(1.5)
        stream.say(KIND.FINAL_TRANSCRIPT, "hello")
        await _deaf(stream)

    frames = [*[voiced()] * 10, *[silent()] * 20, *[voiced()] * 10, *[silent()] * 100]
    assert run_virtual(expiry_s(answer, *frames)) == pytest.approx(3.9 + 3.0)


def test_events_are_passed_on_in_order_without_usage_reports() -> None:
    async def answer(stream: FakeEarStream) -> None:
        stream.say(KIND.START_OF_SPEECH)
        stream.say(KIND.RECOGNITION_USAGE)
        stream.say(KIND.FINAL_TRANSCRIPT, "hello")
        stream.say(KIND.END_OF_SPEECH)

    async def talk() -> list[tuple[stt.SpeechEventType, str]]:
        async with Bench(FakeEar(answer)).wrapped[0].stream(conn_options=ONE_TRY) as stream:
            return await hear(stream)

    assert run_virtual(talk()) == [
        (KIND.START_OF_SPEECH, ""),
        (KIND.FINAL_TRANSCRIPT, "hello"),
        (KIND.END_OF_SPEECH, ""),
    ]


def test_the_next_connection_hears_every_unanswered_frame_once_and_first() -> None:
    frames = [voiced() for _ in range(10)]

    async def talk() -> FakeEar:
        ear = FakeEar(_fails(APIConnectionError(), after_s=0.35), _deaf)
        stream = Bench(ear).wrapped[0].stream(conn_options=APIConnectOptions(max_retry=1, retry_interval=0.2))
        async with stream:
            hearing = asyncio.create_task(hear(stream))
            await push(stream, *frames)
            hearing.cancel()
        return ear

    ear = run_virtual(talk())
    assert len(ear.streams) == 2
    assert ear.streams[1].heard == frames


def test_frames_that_a_broken_stream_never_took_reach_the_next_recogniser_too() -> None:
    frames = [voiced() for _ in range(6)]

    async def talk() -> FakeEar:
        first, second = FakeEar(_fails(APIConnectionError(), after_s=0.2)), FakeEar(_deaf)
        bench = Bench(first, second)
        broken = bench.wrapped[0].stream(conn_options=ONE_TRY)
        for frame in frames[:2]:
            broken.push_frame(frame)
        with pytest.raises(APIConnectionError):
            await hear(broken)
        for frame in frames[2:4]:
            with pytest.raises(RuntimeError):
                broken.push_frame(frame)
        await broken.aclose()
        async with bench.wrapped[1].stream(conn_options=ONE_TRY) as stream:
            await push(stream, *frames[4:])
        return second

    assert run_virtual(talk()).streams[0].heard == frames


def test_what_was_answered_is_not_heard_again() -> None:
    frames = [voiced() for _ in range(6)]

    async def answer_then_fail(stream: FakeEarStream) -> None:
        await asyncio.sleep(0.35)
        stream.say(KIND.FINAL_TRANSCRIPT, "hello")
        await asyncio.sleep(0.05)
        raise APIConnectionError

    async def talk() -> FakeEar:
        ear = FakeEar(answer_then_fail, _deaf)
        stream = Bench(ear).wrapped[0].stream(conn_options=APIConnectOptions(max_retry=1, retry_interval=0.1))
        async with stream:
            hearing = asyncio.create_task(hear(stream))
            await push(stream, *frames)
            hearing.cancel()
        return ear

    assert run_virtual(talk()).streams[1].heard == frames[4:]


def test_a_frame_that_goes_to_several_streams_at_once_is_remembered_once() -> None:
    frames = [voiced() for _ in range(3)]

    async def talk() -> list[rtc.AudioFrame]:
        bench = Bench(FakeEar(_deaf), FakeEar(_deaf))
        async with (
            bench.wrapped[0].stream(conn_options=ONE_TRY) as probe,
            bench.wrapped[1].stream(conn_options=ONE_TRY) as main,
        ):
            for frame in frames:
                probe.push_frame(frame)
                main.push_frame(frame)
        return bench.unanswered.frames()

    assert run_virtual(talk()) == frames


def test_only_the_newest_fifteen_seconds_are_remembered() -> None:
    audio = UnansweredAudio()
    frames = [silent(0.5) for _ in range(40)]
    for frame in frames:
        audio.add(frame)

    assert audio.frames() == frames[10:]


def test_the_clock_of_a_later_connection_begins_where_its_first_sample_was_spoken() -> None:
    async def talk() -> float:
        bench = Bench(FakeEar(_deaf))
        for _ in range(5):
            bench.unanswered.add(voiced())
        stream = bench.wrapped[0].stream(conn_options=ONE_TRY)
        stream.start_time_offset = 60.0
        async with stream:
            await asyncio.sleep(0.1)
        return bench.ears[0].streams[0].start_time_offset

    assert run_virtual(talk()) == pytest.approx(59.5)


def test_a_stream_that_fails_while_audio_comes_in_fails_with_its_own_error() -> None:
    async def talk() -> None:
        bench = Bench(FakeEar(_fails(APIConnectionError("the real reason"), after_s=0.3)))
        async with bench.wrapped[0].stream(conn_options=ONE_TRY) as stream:
            hearing = asyncio.create_task(hear(stream))
            for _ in range(15):
                await push(stream, voiced(0.02))
            with pytest.raises(APIConnectionError, match="the real reason"):
                await hearing

    run_virtual(talk())


def test_connecting_has_its_own_short_deadline_whatever_the_session_s_is() -> None:
    async def talk() -> FakeEar:
        ear = FakeEar(_deaf)
        async with Bench(ear).wrapped[0].stream(conn_options=APIConnectOptions(max_retry=3, timeout=10)):
            await asyncio.sleep(0.1)
        return ear

    options = run_virtual(talk()).streams[0].options
    assert (options.max_retry, options.timeout) == (0, 2.0)


def test_reported_seconds_are_counted_for_the_model_and_each_add_on() -> None:
    async def talk() -> Bench:
        bench = Bench(FakeEar(_deaf), skus=("nova-3", "keyterm"))
        bench.ears[0].report(5.0)
        bench.ears[0].report(0.25)
        await bench.wrapped[0].aclose()
        return bench

    assert run_virtual(talk()).seconds == {"nova-3": Decimal("5.250"), "keyterm": Decimal("5.250")}


def test_seconds_that_the_plugin_keeps_to_itself_are_counted_when_the_stream_is_closed() -> None:
    async def talk() -> Bench:
        bench = Bench(FakeEar(_deaf))
        async with bench.wrapped[0].stream(conn_options=ONE_TRY):
            await asyncio.sleep(1)
            bench.ears[0].streams[0].left_over_s = 1.2
        await bench.wrapped[0].aclose()
        return bench

    assert run_virtual(talk()).seconds == {"nova-3": Decimal("1.200")}


def test_a_dead_server_s_goodbye_delays_no_failover_and_its_seconds_are_not_lost() -> None:
    async def talk() -> tuple[float, Bench]:
        bench = Bench(FakeEar(_fails(APIConnectionError(), after_s=0.5)))
        async with bench.wrapped[0].stream(conn_options=ONE_TRY) as stream:
            await asyncio.sleep(0.1)
            inner = bench.ears[0].streams[0]
            inner.close_s, inner.left_over_s = 10.0, 0.5
            with pytest.raises(APIConnectionError):
                await hear(stream)
        failed_at_s = elapsed_s()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await bench.wrapped[0].aclose()
        await asyncio.sleep(0)
        return failed_at_s, bench

    failed_at_s, bench = run_virtual(talk())
    assert failed_at_s == pytest.approx(0.5)
    assert bench.seconds == {"nova-3": Decimal("0.500")}
