"""A voice with a deadline and a meter, on virtual time."""

from __future__ import annotations

import asyncio

import pytest
from livekit.agents import (
    APIConnectionError,
    APIConnectOptions,
    APIError,
    APIStatusError,
    APITimeoutError,
    tts,
)

from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.timeouts import Deadlines
from edge_agents.providers.tts.metered import MeteredTTS
from tests.fakes.virtual_time import elapsed_s, run_virtual
from tests.unit.edge_agents.providers.fake_plugins import ONE_TRY, FakeSpeech, FakeVoice, VoiceScript

LIMITS = Deadlines(tts_first_audio_s=2.5)
TEXT = "Hello there."
TWO_TRIES = APIConnectOptions(max_retry=1, timeout=10, retry_interval=0.2)


class Bench:
    """A wrapped voice, the plugin objects that were made for it, and what was counted."""

    def __init__(self, *scripts: VoiceScript, renew_after_cut: bool = False, close_s: float = 0.0) -> None:
        self.made: list[FakeVoice] = []
        self.meter = UsageMeter()
        scripts_left = list(scripts)

        def make() -> FakeVoice:
            script = scripts_left.pop(0) if len(scripts_left) > 1 else scripts_left[0]
            self.made.append(FakeVoice(script, close_s=close_s))
            return self.made[-1]

        self.voice = MeteredTTS(
            make,
            meter=self.meter,
            provider="v",
            sku="s",
            deadlines=LIMITS,
            renew_after_cut=renew_after_cut,
        )
        self.errors: list[tts.TTSError] = []
        self.voice.on("error", self.errors.append)

    async def stream(self, options: APIConnectOptions = ONE_TRY, *words: str, pause_s: float = 0.0) -> float:
        """Seconds of audio that a streamed text gives."""
        async with self.voice.stream(conn_options=options) as stream:

            async def write() -> None:
                for word in words or (TEXT,):
                    stream.push_text(word)
                    await asyncio.sleep(pause_s)
                stream.end_input()

            writing = asyncio.create_task(write())
            seconds = sum([audio.frame.duration async for audio in stream])
            await writing
            return seconds

    async def fetch(self, options: APIConnectOptions = ONE_TRY) -> float:
        """Seconds of audio that a whole text gives."""
        async with self.voice.synthesize(TEXT, conn_options=options) as stream:
            return sum([audio.frame.duration async for audio in stream])

    async def interrupt(self) -> None:
        """Begin to speak, and stop after the first audio."""
        async with self.voice.stream(conn_options=ONE_TRY) as stream:
            stream.push_text(TEXT)
            stream.end_input()
            await anext(stream)

    @property
    def characters(self) -> int:
        return sum(int(item.quantity) for item in self.meter.items())


async def _good(speech: FakeSpeech) -> None:
    await speech.whole_text()
    speech.sent()
    speech.audio(0.5)


async def _hang(speech: FakeSpeech) -> None:
    await speech.whole_text()
    speech.sent()
    await asyncio.sleep(1000)


async def _endless(speech: FakeSpeech) -> None:
    await speech.whole_text()
    speech.sent()
    while True:
        speech.audio(0.5)
        await asyncio.sleep(0.1)


by_both_ways = pytest.mark.parametrize("way", ["stream", "fetch"])


def speak(bench: Bench, way: str, options: APIConnectOptions = ONE_TRY) -> float:
    return run_virtual(bench.stream(options) if way == "stream" else bench.fetch(options))


@by_both_ways
def test_speech_is_passed_on_and_its_characters_are_counted(way: str) -> None:
    bench = Bench(_good)

    assert speak(bench, way) == pytest.approx(0.5, abs=0.02)
    assert bench.characters == len(TEXT)
    assert bench.made[0].options[0].max_retry == 0


def test_text_that_comes_in_words_is_counted_whole() -> None:
    bench = Bench(_good)

    run_virtual(bench.stream(ONE_TRY, "Hello ", "there", "."))

    assert bench.characters == len(TEXT)


@by_both_ways
def test_a_voice_that_sends_nothing_times_out_once_the_text_is_complete(way: str) -> None:
    async def measure() -> float:
        bench = Bench(_hang)
        with pytest.raises(APITimeoutError) as caught:
            await (bench.stream() if way == "stream" else bench.fetch())
        assert not caught.value.retryable
        return elapsed_s()

    assert run_virtual(measure()) == pytest.approx(2.5)


def test_a_model_that_writes_slowly_does_not_let_the_voice_time_out() -> None:
    async def measure() -> float:
        with pytest.raises(APITimeoutError):
            await Bench(_hang).stream(ONE_TRY, "one ", "two ", "three", pause_s=4.0)
        return elapsed_s()

    assert run_virtual(measure()) == pytest.approx(3 * 4.0 + 2.5)


def test_each_piece_of_audio_puts_the_deadline_off() -> None:
    async def trickle(speech: FakeSpeech) -> None:
        await speech.whole_text()
        for _ in range(4):
            await asyncio.sleep(2.4)
            speech.audio(0.1)
        await asyncio.sleep(1000)

    async def measure() -> float:
        with pytest.raises(APITimeoutError):
            await Bench(trickle).stream()
        return elapsed_s()

    assert run_virtual(measure()) == pytest.approx(4 * 2.4 + 2.5, abs=0.05)


def test_a_reply_that_timed_out_makes_the_next_one_use_another_connection() -> None:
    bench = Bench(_hang, _good)

    async def talk() -> float:
        with pytest.raises(APITimeoutError):
            await bench.stream(TWO_TRIES)
        return await bench.stream()

    assert run_virtual(talk()) == pytest.approx(0.5, abs=0.02)
    assert len(bench.made) == 2
    assert bench.made[0].closed == 1
    assert [error.recoverable for error in bench.errors] == [False]


def test_a_dead_connection_is_closed_without_anybody_waiting_for_it() -> None:
    bench = Bench(_hang, _good, close_s=10.0)

    async def measure() -> tuple[float, float]:
        with pytest.raises(APITimeoutError):
            await bench.stream()
        await bench.stream()
        spoken_at = elapsed_s()
        await bench.voice.aclose()
        return spoken_at, elapsed_s()

    spoken_at_s, closed_at_s = run_virtual(measure())
    assert spoken_at_s == pytest.approx(2.5, abs=0.1)
    assert closed_at_s == pytest.approx(spoken_at_s + 10, abs=0.1)
    assert [voice.closed for voice in bench.made] == [1, 1]


@by_both_ways
def test_an_interrupted_text_is_billed_whole(way: str) -> None:
    bench = Bench(_endless)

    async def cut() -> None:
        stream = bench.voice.stream() if way == "stream" else bench.voice.synthesize(TEXT)
        async with stream:
            if isinstance(stream, tts.SynthesizeStream):
                stream.push_text(TEXT)
                stream.end_input()
            await anext(stream)

    run_virtual(cut())
    assert bench.characters == len(TEXT)


def test_an_interruption_before_any_audio_is_billed_once_text_was_sent() -> None:
    async def cut(bench: Bench) -> None:
        async with bench.voice.stream() as stream:
            stream.push_text(TEXT)
            stream.end_input()
            await asyncio.sleep(0.1)

    async def connecting(_: FakeSpeech) -> None:
        await asyncio.sleep(1000)

    sent, not_sent = Bench(_hang), Bench(connecting)
    run_virtual(cut(sent))
    run_virtual(cut(not_sent))

    assert (sent.characters, not_sent.characters) == (len(TEXT), 0)


def test_an_interruption_renews_a_connection_that_it_uses_up_and_warms_the_next_one() -> None:
    bench = Bench(_endless, renew_after_cut=True)

    async def talk() -> list[int]:
        await bench.interrupt()
        prewarmed = [voice.prewarmed for voice in bench.made]
        await asyncio.sleep(1)
        return [*prewarmed, *(voice.prewarmed for voice in bench.made)]

    assert run_virtual(talk()) == [0, 0, 0, 1]
    assert [voice.closed for voice in bench.made] == [1, 0]


def test_a_call_that_is_hung_up_in_mid_speech_warms_no_connection() -> None:
    bench = Bench(_endless, renew_after_cut=True)

    async def hang_up() -> None:
        await bench.interrupt()
        await bench.voice.aclose()
        await asyncio.sleep(10)

    run_virtual(hang_up())
    assert [voice.prewarmed for voice in bench.made] == [0, 0]
    assert [voice.closed for voice in bench.made] == [1, 1]


def test_an_interruption_leaves_a_connection_alone_that_can_go_on() -> None:
    bench = Bench(_endless)

    run_virtual(bench.interrupt())

    assert len(bench.made) == 1


@by_both_ways
@pytest.mark.parametrize(
    "error", [APIStatusError("no", status_code=500), APIConnectionError()], ids=["500", "connection"]
)
def test_a_try_that_was_refused_is_free_and_the_next_one_is_counted_once(way: str, error: Exception) -> None:
    tries: list[int] = []

    async def refuse_once(speech: FakeSpeech) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise error
        await _good(speech)

    bench = Bench(refuse_once)

    assert speak(bench, way, TWO_TRIES) == pytest.approx(0.5, abs=0.02)
    assert bench.characters == len(TEXT)


def test_a_try_that_broke_after_the_text_was_sent_is_billed_as_well() -> None:
    tries: list[int] = []

    async def break_once(speech: FakeSpeech) -> None:
        await speech.whole_text()
        speech.sent()
        tries.append(1)
        if len(tries) == 1:
            raise APIConnectionError
        speech.audio(0.5)

    bench = Bench(break_once)
    run_virtual(bench.stream(TWO_TRIES))

    assert bench.characters == 2 * len(TEXT)


@by_both_ways
def test_an_answer_without_audio_is_an_error_that_does_not_repeat_the_text(way: str) -> None:
    async def empty(speech: FakeSpeech) -> None:
        await speech.whole_text()

    bench = Bench(empty)
    with pytest.raises(APIError) as caught:
        speak(bench, way)

    assert isinstance(caught.value, APIConnectionError)
    assert TEXT not in str(caught.value)


@by_both_ways
def test_speech_that_breaks_off_is_an_error_and_is_billed(way: str) -> None:
    async def break_off(speech: FakeSpeech) -> None:
        await speech.whole_text()
        speech.sent()
        speech.audio(0.5)
        await asyncio.sleep(0.1)
        raise APIConnectionError

    bench = Bench(break_off)
    with pytest.raises(APIConnectionError):
        speak(bench, way)
    assert bench.characters == len(TEXT)


def test_a_voice_claims_no_word_timings_that_it_does_not_pass_on() -> None:
    async def capabilities() -> tts.TTSCapabilities:
        return Bench(_good).voice.capabilities

    assert run_virtual(capabilities()) == tts.TTSCapabilities(streaming=True, aligned_transcript=False)
