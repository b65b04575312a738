from __future__ import annotations

import pytest

from local_stack.engines.llm.numbers import cardinal, digit_runs, find_numbers, homophone, ordinal


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("two", 2),
        ("12", 12),
        ("twenty one", 21),
        ("forty", 40),
        ("one hundred and five", 105),
        ("two thousand three hundred", 2300),
        ("a dozen", 12),
        ("a hundred", 100),
        ("two and a half", 2.5),
        ("2.5", 2.5),
        ("two point five", 2.5),
    ],
)
def test_a_cardinal_is_read(words: str, value: float) -> None:
    tokens = tuple(words.split())
    assert cardinal(tokens, 0) == (value, len(tokens))


def test_two_thirty_is_two_numbers() -> None:
    assert [n.value for n in find_numbers(("two", "thirty"))] == [2, 30]


@pytest.mark.parametrize(
    ("words", "value"), [("fourteenth", 14), ("twenty first", 21), ("3rd", 3), ("thirtieth", 30)]
)
def test_an_ordinal_is_read(words: str, value: int) -> None:
    tokens = tuple(words.split())
    assert ordinal(tokens, 0) == (value, len(tokens))


def test_used_words_hold_no_number() -> None:
    assert find_numbers(("two", "for", "three"), taken={0}) != []
    assert [n.value for n in find_numbers(("two", "for", "three"), taken={0})] == [3]


def test_a_short_answer_may_be_a_homophone() -> None:
    number = homophone(("to", "people"))
    assert number is not None
    assert number.value == 2
    assert homophone(("i", "want", "to", "leave")) is None


@pytest.mark.parametrize(
    ("words", "digits"),
    [
        ("five five five one two three four", "5551234"),
        ("oh one six double two nine", "016229"),
        ("triple zero", "000"),
        ("555 1234", "5551234"),
    ],
)
def test_spoken_digits_join(words: str, digits: str) -> None:
    assert [run[1] for run in digit_runs(tuple(words.split()))] == [digits]
