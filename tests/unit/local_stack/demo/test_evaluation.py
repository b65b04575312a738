"""Word errors and bookings are judged as people would."""

from __future__ import annotations

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.demo.evaluation import (
    BookComparison,
    Mismatch,
    WordErrors,
    compare_book,
    word_errors,
    words_of,
)
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


RIGHT = {"id": "ord-2", "pizza": "hawaiian", "quantity": 2, "name": "ann  lee"}
OTHER = {"pizza": "mushroom", "quantity": 1, "name": "Bob"}
WRONG = {"pizza": "hawaiian", "quantity": 3, "name": "Ann Lee"}
BOB = ExpectedBooking(ASKED.path, {"pizza": "mushroom", "quantity": 1, "name": "bob"})


def test_a_book_with_what_was_asked_for_has_no_mismatch() -> None:
    assert compare_book([ASKED], [RIGHT]) == BookComparison(((),), 0)


def test_two_callers_bookings_are_told_apart_in_any_order() -> None:
    assert compare_book([ASKED, BOB], [OTHER, RIGHT]) == BookComparison(((), ()), 0)


@pytest.mark.parametrize("more", [RIGHT, WRONG, OTHER])
def test_a_second_entry_right_or_wrong_is_one_too_many(more: dict[str, object]) -> None:
    assert compare_book([ASKED], [more, RIGHT]) == BookComparison(((),), 1)


def test_the_entry_most_alike_is_compared() -> None:
    assert compare_book([ASKED], [OTHER, WRONG]) == BookComparison(((Mismatch("quantity", "2", "3"),),), 1)


def test_one_entry_does_not_stand_for_two_callers() -> None:
    mismatches = compare_book([ASKED, ASKED], [RIGHT]).mismatches
    assert mismatches == ((), (Mismatch("booking", "hawaiian 2 ann lee", ""),))


def test_nothing_booked_is_one_mismatch() -> None:
    assert compare_book([ASKED], []).mismatches == ((Mismatch("booking", "hawaiian 2 ann lee", ""),),)


def test_what_nobody_asked_for_is_counted() -> None:
    assert compare_book([], [RIGHT, OTHER]) == BookComparison((), 2)
