"""Phrase books are read as a tree, and what can't be read is told by line."""

from __future__ import annotations

import pytest

from local_stack.engines.listen.language.phrase_book import (
    Choice,
    ClassReference,
    PhraseBookError,
    Sequence,
    Word,
    parse_phrase,
    parse_phrase_book,
    plain_choice,
)


def words(*texts: str) -> Sequence:
    return Sequence(tuple(Word(text) for text in texts))


def test_a_phrase_has_words_alternatives_optional_parts_and_classes() -> None:
    assert parse_phrase("(at) {hour} [o'clock | half past]") == Sequence(
        (
            Choice((words("at"), Sequence(()))),
            ClassReference("hour"),
            Choice((words("o'clock"), words("half", "past"))),
        )
    )


def test_brackets_may_stand_in_brackets() -> None:
    assert parse_phrase("(a [b | c])") == Sequence(
        (Choice((Sequence((Word("a"), Choice((words("b"), words("c"))))), Sequence(()))),)
    )


def test_alternatives_without_brackets_are_one_choice() -> None:
    assert parse_phrase("yes | no") == Sequence((Choice((words("yes"), words("no"))),))


def test_a_book_holds_weighted_phrases_and_classes() -> None:
    book = parse_phrase_book("# comment\n\nhour = one | two\n  3x at {hour}\nhello\n")

    assert book.phrases == ((Sequence((Word("at"), ClassReference("hour"))), 3), (words("hello"), 1))
    assert book.classes == {"hour": Choice((words("one"), words("two")))}


def test_a_class_may_use_classes_that_are_defined_later_or_elsewhere() -> None:
    book = parse_phrase_book("time = {hour} | {thing}\nhour = one")

    assert set(book.classes) == {"time", "hour"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hello\nat [noon", r"line 2: '\]' is missing"),
        ("(at noon", r"line 1: '\)' is missing"),
        ("at noon]", r"line 1: '\]' closes nothing"),
        ("(at]", r"line 1: '\)' is missing"),
        ("at {", "line 1: '{' is not closed"),
        ("at {hour", "line 1: '}' is missing"),
        ("at {}", "line 1: '}' is no name of a class"),
        ("at {two words}", "line 1: '}' is missing"),
        ("a = x\na = y", "line 2: class a is defined twice"),
        ("0x hello", "line 1: a phrase counts at least once"),
        ("a = {a}", "defined by themselves: a"),
        ("a = x ({b})\nb = [y | {a}]\nc = {b}\nd = z", "defined by themselves: a, b, c"),
    ],
)
def test_what_cant_be_read_is_told(text: str, problem: str) -> None:
    with pytest.raises(PhraseBookError, match=problem):
        parse_phrase_book(text)


def test_brackets_mean_nothing_in_the_words_of_a_plain_choice() -> None:
    assert plain_choice([["root", "canal"], ["[x"]]) == Choice((words("root", "canal"), words("[x")))
