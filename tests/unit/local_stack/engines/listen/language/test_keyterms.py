"""Keyterms as they are said."""

from __future__ import annotations

import pytest

from local_stack.engines.listen.language.keyterms import sayable_keyterms


def test_a_word_that_no_dictionary_has_gets_a_pronunciation() -> None:
    [keyterm] = sayable_keyterms(["Zelvorix"])

    assert keyterm.spoken == "zelvorix"
    assert keyterm.pronunciations[0].startswith("Z EH L V")


def test_a_phrase_is_said_word_after_word_in_one_accent_after_the_other() -> None:
    [keyterm] = sayable_keyterms(["Mountain Quanderby"])
    one, two, both = (
        len(sayable_keyterms([term])[0].pronunciations)
        for term in ("mountain", "quanderby", "mountain quanderby")
    )

    assert keyterm.spoken == "mountain quanderby"
    assert both == max(one, two)


def test_figures_and_abbreviations_are_spelt_as_callers_say_them() -> None:
    assert [keyterm.spoken for keyterm in sayable_keyterms(["Dr. Smith", "Room 24"])] == [
        "doctor smith",
        "room twenty four",
    ]


def test_what_is_said_alike_counts_once() -> None:
    assert len(sayable_keyterms(["Parley", "parley", " PARLEY! "])) == 1


@pytest.mark.parametrize("term", ["", " ", "東京", "!?", "\x00", "<s>~"])
def test_no_term_makes_a_mark_that_the_decoder_has_a_meaning_for(term: str) -> None:
    assert all(keyterm.spoken.isalpha() for keyterm in sayable_keyterms([term]))


def test_nothing_comes_of_what_has_no_sound() -> None:
    assert sayable_keyterms(["", "東京", "..."]) == []
