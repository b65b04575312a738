"""An utterance is decoded while it is heard, and its final begins before it is asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from local_stack.engines.listen.decoder_link import DecoderLostError
from local_stack.engines.listen.decoder_pool import Decoded, DecoderPool
from local_stack.engines.listen.decoder_protocol import BYTES_PER_S
from local_stack.engines.listen.transcript import Word
from local_stack.engines.listen.utterance import Utterance

PERIOD = bytes(int(0.3 * BYTES_PER_S))
"""Audio of one interim."""


@dataclass
class Question:
    """What a decoder was asked, and its answer once a test gives it."""

    kind: str
    pcm_bytes: int
    answer: asyncio.Future[Any]


@dataclass
class FakePool:
    """Answers only when a test does."""

    questions: list[Question] = field(default_factory=list)
    closed: int = 0

    def hearing(self, model: str, cmn: str) -> FakePool:
        assert (model, cmn) == ("rooms", "mean")
        return self

    async def hear(self, pcm: bytes) -> tuple[Word, ...] | None:
        return cast("tuple[Word, ...] | None", await self._ask("hear", pcm))

    async def final(self, model: str, pcm: bytes) -> Decoded:
        assert model == "rooms"
        return cast("Decoded", await self._ask("final", pcm))

    def close(self) -> None:
        self.closed += 1

    async def _ask(self, kind: str, pcm: bytes) -> object:
        self.questions.append(Question(kind, len(pcm), asyncio.get_running_loop().create_future()))
        return await self.questions[-1].answer


@dataclass
class Scene:
    """An utterance, its decoders, and how often it had news."""

    pool: FakePool
    utterance: Utterance
    news: list[None]

    async def asked(self) -> list[tuple[str, int]]:
        """What the decoders were asked up to now: kind and seconds of audio in tenths."""
        await settle()
        return [(question.kind, question.pcm_bytes * 10 // BYTES_PER_S) for question in self.pool.questions]


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def scene(*, interims: bool = True) -> Scene:
    pool, news = FakePool(), []
    utterance = Utterance(
        cast("DecoderPool", pool),
        model="rooms",
        start_s=1.0,
        interims=interims,
        cmn="mean",
        on_news=lambda: news.append(None),
    )
    return Scene(pool, utterance, news)


def words(text: str) -> tuple[Word, ...]:
    return tuple(Word(word, 0.0, 0.1, 0.9) for word in text.split())


async def test_audio_is_heard_300_ms_at_a_time_one_piece_after_the_other() -> None:
    it = scene()
    it.utterance.add(PERIOD[:-2])
    assert await it.asked() == []
    it.utterance.add(bytes(2) + PERIOD)
    assert await it.asked() == [("hear", 5)]
    it.utterance.add(PERIOD)
    it.pool.questions[0].answer.set_result(words("book"))

    assert await it.asked() == [("hear", 5), ("hear", 4)]
    assert it.utterance.words == words("book")
    assert len(it.news) == 1


async def test_nothing_is_heard_piecewise_when_nobody_wants_interims() -> None:
    it = scene(interims=False)
    it.utterance.add(PERIOD * 4)

    assert await it.asked() == []


async def test_a_final_is_begun_in_a_pause_and_taken_at_the_end() -> None:
    it = scene(interims=False)
    it.utterance.add(PERIOD)
    it.utterance.decode_early()
    assert await it.asked() == [("final", 3)]
    it.utterance.add(bytes(3200))
    it.pool.questions[0].answer.set_result(Decoded(words("book a room"), "mean 2"))
    await settle()

    assert len(it.news) == 1
    assert it.utterance.decoded == await it.utterance.finish() == Decoded(words("book a room"), "mean 2")
    assert await it.asked() == [("final", 3)]


async def test_a_final_is_dropped_when_speech_goes_on_and_what_came_since_is_heard() -> None:
    it = scene()
    it.utterance.add(bytes(3200))
    it.utterance.decode_early()
    it.utterance.add(PERIOD)
    assert await it.asked() == [("final", 1)]
    it.utterance.resume()

    assert await it.asked() == [("final", 1), ("hear", 4)]
    assert it.pool.questions[0].answer.cancelled()
    assert it.utterance.decoded is None


async def test_an_utterance_that_ends_without_a_pause_is_decoded_whole() -> None:
    it = scene(interims=False)
    it.utterance.add(PERIOD)
    final = asyncio.create_task(it.utterance.finish())
    assert await it.asked() == [("final", 3)]
    it.pool.questions[0].answer.set_result(Decoded((), ""))

    assert (await final).words == ()


async def test_a_final_that_cannot_be_had_is_told_at_the_end_and_not_before() -> None:
    it = scene(interims=False)
    it.utterance.decode_early()
    await settle()
    it.pool.questions[0].answer.set_exception(DecoderLostError("died"))
    await settle()

    assert it.news == []
    assert it.utterance.decoded is None
    with pytest.raises(DecoderLostError):
        await it.utterance.finish()


async def test_audio_that_no_decoder_was_free_for_is_heard_with_what_comes_next() -> None:
    it = scene()
    it.utterance.add(PERIOD)
    assert await it.asked() == [("hear", 3)]
    it.pool.questions[0].answer.set_result(None)
    assert await it.asked() == [("hear", 3)]
    it.utterance.add(bytes(3200))

    assert await it.asked() == [("hear", 3), ("hear", 4)]
    assert it.news == []


async def test_interims_that_cannot_be_had_are_done_without() -> None:
    it = scene()
    it.utterance.add(PERIOD)
    await settle()
    it.pool.questions[0].answer.set_exception(DecoderLostError("died"))
    it.utterance.add(PERIOD)

    assert await it.asked() == [("hear", 3), ("hear", 3)]
    assert it.utterance.words == ()


async def test_closing_takes_back_all_that_was_asked() -> None:
    it = scene()
    it.utterance.add(PERIOD)
    it.utterance.decode_early()
    await settle()
    it.utterance.close()
    it.utterance.close()
    await settle()

    assert all(question.answer.cancelled() for question in it.pool.questions)
    assert it.pool.closed == 1
