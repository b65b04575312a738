"""The n-gram model is a probability distribution after every history, and counts whole phrases exactly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_stack.engines.listen.language.language_model import NgramModel
from local_stack.engines.listen.language.ngram_counts import SENTENCE_END, SENTENCE_START, NgramCounts
from local_stack.engines.listen.language.phrase_book import parse_phrase, parse_phrase_book

WORDS = ["a", "b", "c", "d"]
SENTENCES = st.lists(st.lists(st.sampled_from(WORDS), max_size=6), min_size=1, max_size=8)


def counted(*sentences: str) -> NgramCounts:
    counts = NgramCounts()
    for sentence in sentences:
        counts.add_sentence(sentence.split())
    return counts


def total(model: NgramModel, vocabulary: set[str], history: tuple[str, ...]) -> float:
    return sum(model.probability(word, history) for word in vocabulary)


@given(SENTENCES, st.sets(st.sampled_from(WORDS)))
@settings(deadline=None)
def test_after_every_history_the_vocabulary_sums_to_one(sentences: list[list[str]], extra: set[str]) -> None:
    counts = NgramCounts()
    for sentence in sentences:
        counts.add_sentence(sentence, 0.5)
    vocabulary = set(counts.unigrams) | extra
    model = NgramModel(counts, vocabulary)

    histories: list[tuple[str, ...]] = [(), (SENTENCE_START,), ("never", "heard")]
    histories += [(word,) for word in WORDS]
    histories += [(first, second) for first in (SENTENCE_START, *WORDS) for second in WORDS]
    for history in histories:
        assert total(model, vocabulary, history) == pytest.approx(1.0)
        assert all(model.probability(word, history) > 0 for word in vocabulary)


def test_histories_of_a_phrase_with_classes_sum_to_one() -> None:
    book = parse_phrase_book(
        "name = " + " | ".join(f"n{i}" for i in range(300)) + "\nmy name is {name} {name} (now)"
    )
    counts = NgramCounts()
    counts.add_phrase(book.phrases[0][0], book.classes, 2)
    vocabulary = set(counts.unigrams)
    model = NgramModel(counts, vocabulary)

    for history in [("is", "n7"), ("n7",), ("n7", "n8"), ("name", "is"), (SENTENCE_START, "my")]:
        assert total(model, vocabulary, history) == pytest.approx(1.0)


def test_a_history_that_was_never_seen_backs_off_to_a_shorter_one() -> None:
    model = NgramModel(counted("a b c", "d b a"), {*WORDS, SENTENCE_END})

    assert model.probability("c", ("c", "b")) == model.probability("c", ("b",))
    assert model.probability("c", ("never",)) == model.probability("c")


def test_what_was_seen_is_likelier_than_what_was_not() -> None:
    model = NgramModel(counted("a b c", "a b c", "d"), {*WORDS, SENTENCE_END})

    assert model.probability("c", ("a", "b")) > 0.6 > model.probability("d", ("a", "b")) > 0


def test_words_outside_the_vocabulary_are_left_out() -> None:
    model = NgramModel(counted("a odd b", "a b"), {"a", "b", SENTENCE_END})

    assert model.probability("odd", ("a",)) == 0
    assert "odd" not in "\n".join(model.arpa_lines())
    assert total(model, {"a", "b", SENTENCE_END}, ("a",)) == pytest.approx(1.0)


def test_a_phrase_counts_as_all_its_sentences_do() -> None:
    phrase, sentences = NgramCounts(), NgramCounts()
    phrase.add_phrase(parse_phrase("(at) [one | two] thirty"), {}, 4)
    for sentence in ("at one thirty", "at two thirty", "one thirty", "two thirty"):
        sentences.add_sentence(sentence.split())

    assert phrase.unigrams == sentences.unigrams
    assert phrase.bigrams == sentences.bigrams
    assert phrase.trigrams == sentences.trigrams


def test_a_class_without_members_makes_its_alternatives_impossible() -> None:
    counts = NgramCounts()
    counts.add_phrase(parse_phrase("[yes | {thing} please]"), {})

    assert counts.unigrams["yes"] == 0.5
    assert "please" not in counts.unigrams


def test_the_next_word_may_rename_a_word() -> None:
    counts = counted("an tea", "a tea", "say an tea")
    counts.rename_pairs(lambda word, following: "a" if (word, following) == ("an", "tea") else word)

    assert counts.bigrams["a", "tea"] == 3
    assert counts.trigrams["say", "a", "tea"] == 1


def test_the_arpa_header_tells_how_many_lines_follow() -> None:
    lines = list(NgramModel(counted("a b c", "d b a"), {*WORDS, SENTENCE_END}).arpa_lines())

    for order in (1, 2, 3):
        begin = lines.index(f"\\{order}-grams:") + 1
        listed = lines[begin:]
        count = next(number for number, line in enumerate(listed) if not line or line.startswith("\\"))
        assert f"ngram {order}={count}" in lines
    assert lines[-1] == "\\end\\"
