"""How the terms are said that a client wants to be understood with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from local_stack.engines.listen.language.pronunciations import pronunciations
from local_stack.engines.listen.language.spoken_form import spoken_sentences

_MOST_WAYS = 6
"""Pronunciations of one keyterm; more make it likelier to be heard where it wasn't said."""


@dataclass(frozen=True, slots=True)
class Keyterm:
    """A word or phrase that the decoder learns as one more word."""

    spoken: str
    """Its words in lower case, joined by blanks."""
    pronunciations: tuple[str, ...]
    """ARPAbet phones of the whole term, one string for each way to say it."""


def sayable_keyterms(terms: Iterable[str]) -> list[Keyterm]:
    """Find out how terms are said; what has no sound is left out, and what is said alike counts once.

    A phrase is said in one accent: the first pronunciation of each word, or the second of each, and so on.

    Raises:
        PronunciationError: espeak-ng can't be started.
    """
    found: dict[str, Keyterm] = {}
    for term in terms:
        words = [word for sentence in spoken_sentences(term) for word in sentence if pronunciations(word)]
        if words:
            spoken = " ".join(words)
            found[spoken] = Keyterm(spoken, _ways_to_say(words))
    return list(found.values())


def _ways_to_say(words: list[str]) -> tuple[str, ...]:
    by_word = [pronunciations(word) for word in words]
    most = min(max(map(len, by_word)), _MOST_WAYS)
    ways = (" ".join(ways[min(number, len(ways) - 1)] for ways in by_word) for number in range(most))
    return tuple(dict.fromkeys(ways))
