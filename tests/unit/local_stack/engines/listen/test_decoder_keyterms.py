"""A decoder's word is split into the words that it stands for."""

from __future__ import annotations

from local_stack.engines.listen.decoder_keyterms import split_keyterm


def test_a_word_of_the_dictionary_stays_as_it_is() -> None:
    assert list(split_keyterm("can't", 1.0, 1.5)) == [("can't", 1.0, 1.5)]


def test_a_keyterm_is_its_words_timed_by_their_letters() -> None:
    assert list(split_keyterm("palo_alto_x~", 1.0, 1.9)) == [
        ("palo", 1.0, 1.4),
        ("alto", 1.4, 1.8),
        ("x", 1.8, 1.9),
    ]
