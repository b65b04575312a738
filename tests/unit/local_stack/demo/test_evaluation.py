"""Word errors and bookings are judged as people would."""

from __future__ import annotations

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.demo.evaluation import Mismatch, WordErrors, compare_booking, word_errors, words_of
from local_stack.demo.scripts import ExpectedBooking

ASKED = ExpectedBooking("/pizza/orders", {"pizza": "hawaiian", "quantity": 2, "name": "Ann Lee"})


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("book a room", "Book a room.", 0),
        ("book a room", "look a room", 1),
        ("book a room", "book room", 1),
        ("book a room", "book me a big room", 2),
        ("book a room", "", 3),
        ("", "hello", 1),
        ("at two p.m. please", "at two pm please", 0),
        ("it's ten o'clock", "its ten o'clock", 1),
    ],
)
def test_substitutions_deletions_and_insertions_count_one_each(said: str, heard: str, errors: int) -> None:
    assert word_errors(said, heard) == WordErrors(errors, len(words_of(said)))


_WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8)


@given(_WORDS.filter(bool), _WORDS)
def test_the_rate_is_that_of_a_known_tool(said: list[str], heard: list[str]) -> None:
    ours = word_errors(" ".join(said), " ".join(heard))
    assert ours.rate == pytest.approx(jiwer.wer(" ".join(said), " ".join(heard)))


def test_errors_of_several_turns_add_up() -> None:
    assert (WordErrors(1, 4) + WordErrors(1, 6)).rate == pytest.approx(0.2)


def test_nothing_said_and_nothing_heard_is_no_error() -> None:
    assert word_errors("", "").rate == 0


def test_a_right_booking_among_others_has_no_mismatch() -> None:
    other = {"pizza": "mushroom", "quantity": 1, "name": "Bob"}
    right = {"id": "ord-2", "pizza": "hawaiian", "quantity": 2, "name": "ann  lee"}
    assert compare_booking(ASKED, [other, right]) == []


def test_the_entry_most_alike_is_compared() -> None:
    other = {"pizza": "mushroom", "quantity": 1, "name": "Bob"}
    wrong = {"pizza": "hawaiian", "quantity": 3, "name": "Ann Lee"}
    assert compare_booking(ASKED, [other, wrong]) == [Mismatch("quantity", "2", "3")]


def test_nothing_booked_is_one_mismatch() -> None:
    assert compare_booking(ASKED, []) == [Mismatch("booking", "hawaiian 2 ann lee", "")]
