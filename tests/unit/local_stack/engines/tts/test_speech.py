"""Sentences through the synthesis service, with a synthesiser whose steps the test controls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from local_stack.engines.tts.speech import AudioOptions, SpeechService
from local_stack.engines.tts.synthesizer import PcmSink, SynthesisError
from local_stack.engines.tts.voices import ESPEAK_AGENTS, Voice

RATE_HZ = 16_000
CHUNK = np.full(RATE_HZ // 20, 8000, np.int16).tobytes()
"""50 ms, all of it audible."""


class StepSynthesizer:
    """Speaks 50 ms a word. `gate` lets a test hold it back; `begun` and `chunks` tell what it did."""

    sample_rate_hz = RATE_HZ
    sentence_gap_ms = 100

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.free = True
        self.begun: list[str] = []
        self.chunks = 0
        self.stopped = threading.Event()

    def render(self, text: str, voice: Voice, *, speed: float, sink: PcmSink) -> None:
        self.begun.append(text)
        if text == "break":
            raise SynthesisError("it broke", code="broken")
        for _ in text.split():
            if not self.free:
                assert self.gate.acquire(timeout=10)
            self.chunks += 1
            if not sink(CHUNK):
                self.stopped.set()
                return


@pytest.fixture
def synthesizer() -> StepSynthesizer:
    return StepSynthesizer()


@pytest.fixture
def service(synthesizer: StepSynthesizer) -> Iterator[SpeechService]:
    service = SpeechService({"espeak": synthesizer}, realtime_factor=0)
    yield service
    synthesizer.gate.release(1000)
    service.close()


OPTIONS = AudioOptions(voice=ESPEAK_AGENTS[0], sample_rate_hz=RATE_HZ)


class Listener:
    """Collects what is emitted."""

    def __init__(self) -> None:
        self.pcm = b""
        self.heard = asyncio.Event()

    async def emit(self, piece: bytes) -> None:
        self.pcm += piece
        self.heard.set()


async def test_a_sentence_is_emitted_whole_and_in_order(service: SpeechService) -> None:
    listener = Listener()
    duration_s = await service.stream(OPTIONS).say("one two three four", listener.emit)
    assert listener.pcm == CHUNK * 4
    assert duration_s == pytest.approx(0.2)


async def test_a_gap_stands_between_the_sentences_of_one_reply_only(service: SpeechService) -> None:
    stream, listener = service.stream(OPTIONS), Listener()
    durations_s = [await stream.say("one two", listener.emit) for _ in range(2)]
    stream.reply_ended()
    durations_s.append(await stream.say("one two", listener.emit))
    assert durations_s == pytest.approx([0.1, 0.2, 0.1])


@pytest.mark.parametrize("text", ["", "   ", "...!", "\x00\x07", "\ud800"])
async def test_text_without_words_never_reaches_the_synthesiser(
    service: SpeechService, synthesizer: StepSynthesizer, text: str
) -> None:
    assert await service.stream(OPTIONS).say(text, Listener().emit) == 0.0
    assert synthesizer.begun == []


async def test_control_characters_are_cut_out_of_the_text(
    service: SpeechService, synthesizer: StepSynthesizer
) -> None:
    await service.stream(OPTIONS).say(" one\x00two\n\tthree ", Listener().emit)
    assert synthesizer.begun == ["one two three"]


async def test_a_whole_text_is_spoken_sentence_by_sentence(
    service: SpeechService, synthesizer: StepSynthesizer
) -> None:
    await service.stream(OPTIONS).say_all("One two. Three! Four", Listener().emit)
    assert synthesizer.begun == ["One two.", "Three!", "Four"]


async def test_cancelling_stops_the_synthesis_at_the_next_chunk(
    service: SpeechService, synthesizer: StepSynthesizer
) -> None:
    synthesizer.free = False
    listener = Listener()
    task = asyncio.create_task(service.stream(OPTIONS).say("one two three four five six", listener.emit))
    synthesizer.gate.release()
    await asyncio.wait_for(listener.heard.wait(), 10)
    task.cancel()
    await asyncio.wait([task])
    synthesizer.gate.release()
    assert await asyncio.to_thread(synthesizer.stopped.wait, 10)
    assert synthesizer.chunks == 2


async def test_cancelling_a_sentence_that_waits_for_its_turn_withdraws_it(
    service: SpeechService, synthesizer: StepSynthesizer
) -> None:
    synthesizer.free = False
    first_heard, second = Listener(), Listener()
    first = asyncio.create_task(service.stream(OPTIONS).say("first one", first_heard.emit))
    synthesizer.gate.release()
    await asyncio.wait_for(first_heard.heard.wait(), 10)
    waiting = asyncio.create_task(service.stream(OPTIONS).say("second one", second.emit))
    await asyncio.sleep(0)  # it takes its place in the queue
    waiting.cancel()
    await asyncio.wait([waiting])
    synthesizer.gate.release(10)
    await first
    await service.stream(OPTIONS).say("third", Listener().emit)
    assert synthesizer.begun == ["first one", "third"]


async def test_the_event_loop_runs_while_a_sentence_is_synthesised(
    service: SpeechService, synthesizer: StepSynthesizer
) -> None:
    synthesizer.free = False
    task = asyncio.create_task(service.stream(OPTIONS).say("one", Listener().emit))
    turns = 0
    while not synthesizer.begun:
        await asyncio.sleep(0)
        turns += 1
    assert not task.done()
    synthesizer.gate.release()
    await task
    assert turns > 0


async def test_a_listener_that_fails_stops_the_synthesis(
    service: SpeechService, synthesizer: StepSynthesizer
) -> None:
    synthesizer.free = False

    async def hang_up(_: bytes) -> None:
        raise ConnectionResetError

    task = asyncio.create_task(service.stream(OPTIONS).say("one two three four", hang_up))
    synthesizer.gate.release()
    with pytest.raises(ConnectionResetError):
        await task
    synthesizer.gate.release()
    assert await asyncio.to_thread(synthesizer.stopped.wait, 10)


async def test_an_error_of_the_library_reaches_the_caller_and_the_next_sentence_works(
    service: SpeechService,
) -> None:
    stream, listener = service.stream(OPTIONS), Listener()
    with pytest.raises(SynthesisError, match="it broke"):
        await stream.say("break", listener.emit)
    assert await stream.say("fine", listener.emit) == pytest.approx(0.05)
