"""Written text as people say it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_stack.engines.listen.language.spoken_form import number_words, ordinal_words, spoken_sentences

WORD = re.compile(r"[ap]\.m\.|[a-z]+(?:'[a-z]+)*")
HOSTILE = st.text(
    alphabet=st.sampled_from("0123456789,.:;!?-–£$€%&+@'() \n\tapmsthnd²½١é\ud800\x00"), max_size=300
)


def spoken(text: str) -> str:
    return " / ".join(" ".join(words) for words in spoken_sentences(text))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety nine"),
        (100, "one hundred"),
        (101, "one hundred and one"),
        (2026, "two thousand and twenty six"),
        (1_234_567, "one million two hundred and thirty four thousand five hundred and sixty seven"),
        (10**9, "one billion"),
    ],
)
def test_numbers_are_said_in_words(number: int, words: str) -> None:
    assert " ".join(number_words(number)) == words


@pytest.mark.parametrize("number", [-1, 10**12])
def test_a_number_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="no number from 0"):
        number_words(number)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "first"),
        (12, "twelfth"),
        (14, "fourteenth"),
        (20, "twentieth"),
        (21, "twenty first"),
        (112, "one hundred and twelfth"),
    ],
)
def test_ordinals_are_said_in_words(number: int, words: str) -> None:
    assert " ".join(ordinal_words(number)) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9:30-17:00", "nine thirty to five p.m."),
        ("9am-5pm", "nine a.m. to five p.m."),
        ("at 10:05 or 10 a.m.", "at ten oh five or ten a.m."),
        ("0:00", "twelve"),
        ("£12.50", "twelve pounds fifty"),
        ("$7, €1,000", "seven dollars one thousand euros"),
        ("the 1st and the 22nd", "the first and the twenty second"),
        ("9.75", "nine point seven five"),
        ("in 1999", "in nineteen ninety nine"),
        ("in 2005", "in twenty oh five"),
        ("room 12345", "room one two three four five"),
        ("code 007", "code zero zero seven"),
        ("call 555-010-2233", "call five five five zero one zero two two three three"),
        ("mon, wed & fri", "monday wednesday and friday"),
        ("20 mins from Main St", "twenty minutes from main street"),
        ("5% off", "five percent off"),
        ("I am here", "i am here"),
        ("Café naïve", "cafe naive"),
        ("We’re open", "we're open"),
    ],
)
def test_a_text_is_said_as_people_say_it(text: str, words: str) -> None:
    assert spoken(text) == words


def test_sentences_brackets_and_lines_are_kept_apart() -> None:
    assert (
        spoken("We are open. Come in!\n- Parking (free)\n\n...") == "we are open / come in / parking / free"
    )


@pytest.mark.parametrize("digits", ["9" * 13, "1" * 5000, "0" * 5000 + "7"])
@pytest.mark.parametrize("form", ["{}", "{}th", "${}", "{}.5", "1,{}"])
def test_a_number_too_large_for_words_is_said_digit_by_digit(digits: str, form: str) -> None:
    (words,) = spoken_sentences(form.format(digits))

    assert all(WORD.fullmatch(word) for word in words)


def test_a_run_of_letters_that_is_no_word_is_left_out() -> None:
    assert spoken("a " + "x" * 41 + " b") == "a b"
    assert spoken("x" * 40) == "x" * 40


@given(st.one_of(st.text(max_size=300), HOSTILE))
@settings(deadline=None, max_examples=300)
def test_any_text_becomes_a_bounded_number_of_plain_words(text: str) -> None:
    sentences = spoken_sentences(text)

    assert all(sentences)
    words = [word for sentence in sentences for word in sentence]
    assert all(WORD.fullmatch(word) and len(word) <= 40 for word in words)
    assert len(words) <= 20 * (len(text) + 1)  # one character may stand for a whole phrase, as U+FDFA does


@pytest.mark.parametrize("piece", ["!", " -", "1,", "12 ", "a'", "."])
def test_a_megabyte_of_anything_takes_time_in_proportion(piece: str) -> None:
    # half a second; were it quadratic, it would not end before the test's time limit
    assert isinstance(spoken_sentences(piece * (1_000_000 // len(piece))), list)
