"""Words are written as a reader expects them."""

from __future__ import annotations

import pytest

from local_stack.engines.listen.transcript import Word, is_noise, mean_confidence, written


def words(text: str, confidence: float = 0.9) -> list[Word]:
    return [Word(word, 0.0, 0.1, confidence) for word in text.split()]


@pytest.mark.parametrize(
    ("heard", "sentence"),
    [
        ("book a room", "Book a room."),
        ("what's the weather like", "What's the weather like?"),
        ("can i see it", "Can I see it?"),
        ("no i'm not i'd rather wait", "No I'm not I'd rather wait."),
        ("two thirty p.m.", "Two thirty p.m."),
        ("what", "What."),
        ("mountain view", "Mountain view."),
    ],
)
def test_an_utterance_is_written_as_a_sentence(heard: str, sentence: str) -> None:
    assert " ".join(written(words(heard), punctuate=True)) == sentence


def test_every_word_keeps_its_place_in_the_sentence() -> None:
    assert written(words("is it in"), punctuate=True) == ["Is", "it", "in?"]


def test_an_utterance_is_left_as_heard_without_punctuation() -> None:
    assert written(words("what can i do"), punctuate=False) == ["what", "can", "i", "do"]


def test_nothing_is_written_as_nothing() -> None:
    assert written([], punctuate=True) == []
    assert mean_confidence([]) == 0.0


def test_words_that_the_decoder_does_not_believe_in_itself_are_noise() -> None:
    assert is_noise(words("that", 0.003))
    assert not is_noise([*words("book a", 0.01), *words("room", 0.4)])
    assert is_noise([])
