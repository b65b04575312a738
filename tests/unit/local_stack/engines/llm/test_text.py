from __future__ import annotations

import pytest

from local_stack.engines.llm.text import Bm25, content_terms, stem, utterance


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("I'd like two, please!", "i would like two please"),
        ("It's at two thirty P.M.", "it is at two thirty pm"),
        ("two thirty p m", "two thirty pm"),
        ("I am here at nine a m", "i am here at nine am"),
        ("uh um <sil> [NOISE] book ++breath++ a room", "book a room"),
        ("three o clock", "three o'clock"),
        ("to day or to morrow", "today or tomorrow"),
        ("check-up at 2:30pm", "check up at 2:30 pm"),
        ("you’re welcome", "you are welcome"),
        ("", ""),
    ],
)
def test_an_utterance_is_opened_into_plain_words(said: str, words: str) -> None:
    assert utterance(said).text == words


def test_a_very_long_utterance_is_cut() -> None:
    assert len(utterance("word " * 10_000).tokens) == 240


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("pizzas", "pizza"),
        ("opening", "open"),
        ("closed", "closing"),
        ("prices", "price"),
        ("cities", "city"),
    ],
)
def test_forms_of_a_word_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_synonyms_of_the_front_desk_meet() -> None:
    assert content_terms("opening hours") == ["hour", "hour"]
    assert content_terms("how much is it") == ["price"]
    assert content_terms("what does it cost") == ["price"]


def documents(*texts: str) -> Bm25:
    return Bm25([dict.fromkeys(content_terms(text), 1.0) for text in texts])


def test_the_document_with_the_rarer_words_wins() -> None:
    match = documents("free parking", "parking for trucks", "opening hours").best(
        content_terms("truck parking")
    )
    assert match is not None
    assert (match.index, match.coverage, match.breadth) == (1, 1.0, 1.0)


def test_the_earlier_document_wins_a_tie() -> None:
    match = documents("parking", "parking").best(["park"])
    assert match is not None
    assert match.index == 0


def test_nothing_matches_unknown_words_or_no_documents() -> None:
    assert documents("parking").best(["zebra"]) is None
    assert documents().best(["park"]) is None
    assert documents("parking").best([]) is None


def test_an_unknown_word_counts_for_the_known_word_of_its_family() -> None:
    match = documents("dental visits", "parking").best(["dentist"])
    assert match is not None
    assert match.index == 0
