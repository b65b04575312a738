"""Build the language of one agent: what its owner publishes, said as callers speak.

The result is an n-gram model and a pronunciation dictionary that hold only the words which matter to this agent.
A decoder over a thousand or two is several times as accurate and as fast as one over 130,000.

Building takes 1.5-2.5 s of pure computing for an agent with 3,500 characters of texts (our measurement, Nov 2026),
holds the GIL and loads espeak-ng: it belongs into a process of its own (`listen.language_source`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from local_stack.engines.listen.language.language_model import NgramModel
from local_stack.engines.listen.language.ngram_counts import SENTENCE_END, SENTENCE_START, NgramCounts
from local_stack.engines.listen.language.phrase_book import PhraseBook, parse_phrase_book, plain_choice
from local_stack.engines.listen.language.pronunciations import (
    cmu_dictionary,
    inflections,
    pronunciations,
    starts_with_vowel,
)
from local_stack.engines.listen.language.spoken_form import spoken_sentences
from local_stack.engines.listen.language.terms import FUNCTION_WORDS, Terms, find_terms

MAX_TEXT_BYTES = 1024 * 1024
"""UTF-8 bytes of all texts and keyterms together."""

MAX_WORDS = 20_000
"""Different words in texts and keyterms; the agents that we know come to a few hundred."""

_TEXT_WEIGHT = 0.5
"""How often a published sentence counts."""

_KEYTERM_WEIGHT = 1.0
"""How often a keyterm counts as a whole utterance."""

_INFLECTION_COUNT = 0.3
_FIRST_INFLECTION_COUNT = 0.1
"""How often each occurrence of a word counts for its plural or singular, anywhere and as a caller's first word."""


class LanguageTooLargeError(ValueError):
    """Texts and keyterms are more than a language can be built from; the message says which bound they pass."""

    code = "language_too_large"
    retryable = False


@dataclass(frozen=True, slots=True)
class AgentLanguage:
    """What a decoder needs to understand an agent's callers."""

    arpa: str
    """Back-off model of up to three words in the ARPA format."""

    dictionary: str
    """A pronunciation per line: the word ("word(2)" for its second one), a blank, phones of the CMU set."""

    words: int
    """Different words in the dictionary."""

    unknown_words: tuple[str, ...]
    """Words that the CMU dictionary lacks, in order: how they are said is a guess."""


def build_agent_language(texts: Iterable[str], keyterms: Iterable[str]) -> AgentLanguage:
    """Build the language of one agent; the same texts give the same language.

    Args:
        texts: what the owner publishes: instructions, knowledge, greetings. English; 1 MB with the keyterms.
        keyterms: words and names that must be understood above all.

    Returns:
        The language. Without any text and keyterm it is that of small talk, numbers, names and times.

    Raises:
        LanguageTooLargeError: over 1 MB of texts, or over 20,000 different words in them.
        PronunciationError: espeak-ng can't be started.
    """
    texts, keyterms = list(texts), list(keyterms)
    _check_size([*texts, *keyterms])
    sentences = [sentence for text in texts for sentence in spoken_sentences(text)]
    keyterm_sentences = [sentence for keyterm in keyterms for sentence in spoken_sentences(keyterm)]
    _check_vocabulary([*sentences, *keyterm_sentences])
    counts = _count(sentences, keyterm_sentences)
    vocabulary = sorted(counts.unigrams.keys() - {SENTENCE_END})
    sayable = [word for word in vocabulary if pronunciations(word)]
    known = cmu_dictionary()
    return AgentLanguage(
        arpa="\n".join(NgramModel(counts, {*sayable, SENTENCE_END}).arpa_lines()) + "\n",
        dictionary="".join(_dictionary_entry(word) for word in sayable),
        words=len(sayable),
        unknown_words=tuple(word for word in vocabulary if word not in known),
    )


def _check_size(texts: Iterable[str]) -> None:
    # lone surrogates, which no encoding has, are left out later
    size_bytes = sum(len(text.encode(errors="replace")) for text in texts)
    if size_bytes > MAX_TEXT_BYTES:
        raise LanguageTooLargeError(f"texts have {size_bytes} bytes, more than {MAX_TEXT_BYTES}")


def _check_vocabulary(sentences: Iterable[Collection[str]]) -> None:
    words = len(set().union(*sentences))
    if words > MAX_WORDS:
        raise LanguageTooLargeError(f"texts have {words} different words, more than {MAX_WORDS}")


def _count(sentences: Sequence[Sequence[str]], keyterms: Sequence[Sequence[str]]) -> NgramCounts:
    counts = NgramCounts()
    _count_phrases(counts, find_terms(sentences, keyterms))
    _count_inflections(counts, [*sentences, *keyterms])
    for sentence in sentences:
        counts.add_sentence(sentence, _TEXT_WEIGHT)
    for keyterm in keyterms:
        counts.add_sentence(keyterm, _KEYTERM_WEIGHT)
    counts.rename_pairs(_with_right_article)
    return counts


def _count_phrases(counts: NgramCounts, terms: Terms) -> None:
    book = _small_talk()
    own = {"thing": plain_choice(terms.things), "topic": plain_choice((topic,) for topic in terms.topics)}
    for phrase, weight in book.phrases:
        counts.add_phrase(phrase, {**book.classes, **own}, weight)


def _count_inflections(counts: NgramCounts, sentences: Iterable[Iterable[str]]) -> None:
    for sentence in sentences:
        for word in sentence:
            for form in inflections(word) if word not in FUNCTION_WORDS else ():
                counts.add_word((SENTENCE_START,), form, _FIRST_INFLECTION_COUNT)
                counts.add_word((), form, _INFLECTION_COUNT)


def _with_right_article(word: str, following: str) -> str:
    """Say "a" or "an" as the next word's sound asks for; other words stay."""
    if word not in {"a", "an"} or following == SENTENCE_END:
        return word
    return "an" if starts_with_vowel(following) else "a"


def _dictionary_entry(word: str) -> str:
    first, *others = pronunciations(word)
    numbered = (f"{word}({number}) {phones}\n" for number, phones in enumerate(others, start=2))
    return "".join((f"{word} {first}\n", *numbered))


@cache
def _small_talk() -> PhraseBook:
    return parse_phrase_book((Path(__file__).parent / "small_talk.txt").read_text(encoding="utf-8"))
