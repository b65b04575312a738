"""How words are said: the CMU dictionary's American pronunciations, and two British readings of espeak-ng's.

The acoustic model was trained on American speech; British callers are understood by how their vowels sound to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

import pocketsphinx

from local_stack.engines.listen.language.g2p import (
    AMERICAN,
    MODERN_BRITISH,
    RECEIVED_PRONUNCIATION,
    pronounce,
)

_MOST_REMEMBERED = 100_000
"""Words whose pronunciations are kept, as most agents share most of their words."""

_VARIANT_NUMBER = re.compile(r"\(\d+\)$")
_SHORTEST_INFLECTED = 3
_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"


@cache
def cmu_dictionary() -> Mapping[str, tuple[str, ...]]:
    """The CMU dictionary that comes with pocketsphinx.

    Returns:
        By lower-case word, its pronunciations: ARPAbet phones without stress, separated by blanks.
    """
    path = Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict"
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        word, _, phones = line.partition(" ")
        found.setdefault(_VARIANT_NUMBER.sub("", word), []).append(phones)
    return {word: tuple(pronunciations) for word, pronunciations in found.items()}


@lru_cache(maxsize=_MOST_REMEMBERED)
def pronunciations(word: str) -> tuple[str, ...]:
    """Ways to say a word, the most usual first, each once.

    Args:
        word: lower case.

    Returns:
        ARPAbet phones without stress, separated by blanks: the CMU dictionary's, or espeak-ng's American reading
        of a word that it lacks, then the British ones. Empty if the word has no sound.

    Raises:
        PronunciationError: espeak-ng can't be started or lacks the voice.
    """
    found = list(cmu_dictionary().get(word, ()))
    british = (RECEIVED_PRONUNCIATION, MODERN_BRITISH)
    for accent in british if found else (AMERICAN, *british):
        phones = " ".join(pronounce(word, accent))
        if phones and phones not in found:
            found.append(phones)
    return tuple(found)


def starts_with_vowel(word: str) -> bool:
    """Whether the most usual pronunciation starts with a vowel, so that "an" goes before the word."""
    ways = pronunciations(word)
    return bool(ways) and ways[0].split(maxsplit=1)[0] in _VOWELS.split()


def inflections(word: str) -> list[str]:
    """Guess the plural of a noun or the singular of a plural: callers say "fillings" where the owner wrote of one.

    Args:
        word: lower case.

    Returns:
        Up to two other forms that are in the CMU dictionary; for a singular that the dictionary itself lacks,
        such as a brand, its plural by rule. Empty for words of less than three letters and with "'" or ".".
    """
    if "'" in word or "." in word or len(word) < _SHORTEST_INFLECTED:
        return []
    known = cmu_dictionary()
    unknown_singular = word not in known and not word.endswith("s")
    return [form for form in _other_numbers(word) if form in known or unknown_singular]


def _other_numbers(word: str) -> list[str]:
    if word.endswith("ies"):
        return [word[:-3] + "y"]
    if word.endswith("es"):
        return [word[:-1], word[:-2]]
    if word.endswith("s") and not word.endswith("ss"):
        return [word[:-1]]
    if word.endswith(("ss", "ch", "sh", "x")):
        return [word + "es"]
    if word.endswith("y") and word[-2] not in "aeiou":
        return [word[:-1] + "ies"]
    return [word + "s"]
