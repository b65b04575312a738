"""Sentences come out as early as they are certain, and no text is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.engines.tts.sentences import MAX_SENTENCE_CHARS, SentenceBuffer, split_sentences


def pushed(*texts: str) -> list[str]:
    buffer = SentenceBuffer()
    return [sentence for text in texts for sentence in buffer.push(text)]


def test_a_sentence_comes_out_with_the_white_space_that_proves_its_end() -> None:
    buffer = SentenceBuffer()
    assert buffer.push("Sure, ") == []
    assert buffer.push("I can.") == []
    assert buffer.push(" ") == ["Sure, I can. "]


def test_flush_hands_out_the_rest_once() -> None:
    buffer = SentenceBuffer()
    buffer.push("Good bye")
    assert buffer.flush() == ["Good bye"]
    assert buffer.flush() == []


def test_clear_forgets_what_is_waiting() -> None:
    buffer = SentenceBuffer()
    buffer.push("Never mind")
    buffer.clear()
    assert buffer.flush() == []


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith sees you at 3 p.m. on Friday",
        "It costs 3.50 in total",
        "J. Smith and Mrs. Jones are here",
        "Bring some food, e.g. bread",
    ],
)
def test_a_dot_inside_a_sentence_does_not_end_it(text: str) -> None:
    assert pushed(text + " ") == []


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("No. I said Friday. ", ["No. ", "I said Friday. "]),
        ('He said "yes." Then he left. ', ['He said "yes." ', "Then he left. "]),
        ("Really?! Wait... what? ", ["Really?! ", "Wait... ", "what? "]),
        ("One line\nanother line\n", ["One line\n", "another line\n"]),
    ],
)
def test_sentences_end_at_their_marks(text: str, sentences: list[str]) -> None:
    assert pushed(text) == sentences


def test_a_colon_ends_a_piece_only_behind_a_long_clause() -> None:
    long = "These are the times that we still have for you on Saturday the fourth: "
    assert pushed("Note: bring it. ") == ["Note: bring it. "]
    assert pushed(long + "nine and ten") == [long]


def test_text_without_marks_is_cut_between_words() -> None:
    pieces = split_sentences("word " * 200)
    assert all(len(piece) <= MAX_SENTENCE_CHARS and piece.endswith("word ") for piece in pieces)


@given(st.lists(st.text(alphabet="ab.!? ,:;\n\"'1é", max_size=300), max_size=8))
def test_joined_sentences_are_the_text_and_none_is_too_long(texts: list[str]) -> None:
    buffer = SentenceBuffer()
    sentences = [sentence for text in texts for sentence in buffer.push(text)]
    sentences += buffer.flush()
    text = "".join(texts)
    assert text.startswith("".join(sentences))
    assert text[len("".join(sentences)) :].strip() == ""  # flush keeps no white space for later
    assert all(len(sentence.rstrip()) <= MAX_SENTENCE_CHARS for sentence in sentences)


@given(st.text(alphabet="ab.? ", max_size=200))
def test_how_the_text_arrives_does_not_change_its_sentences(text: str) -> None:
    assert [s.strip() for s in pushed(*text)] == [s.strip() for s in pushed(text)]
