"""Judge a demo call: how well the caller was understood, and whether the right thing was booked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local_stack.demo.scripts import ExpectedBooking

_WORD = re.compile(r"[a-z0-9]+(?:['’][a-z]+)*")


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation; "p.m." is one word, "pm"."""
    return _WORD.findall(re.sub(r"\b([ap])\.m\.", r"\1m", text.lower()))


@dataclass(frozen=True)
class WordErrors:
    """Errors of a transcript against what was said."""

    errors: int
    """Words substituted, left out or put in."""
    words: int
    """Words that were said."""

    @property
    def rate(self) -> float:
        """Errors per word said; may be over 1. 0 when nothing was said and nothing heard."""
        return self.errors / max(1, self.words)

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(self.errors + other.errors, self.words + other.words)


def word_errors(said: str, heard: str) -> WordErrors:
    """Count word errors: the least number of substitutions, deletions and insertions.

    The word error rate of speech recognition, (S + D + I) / N, as NIST's scoring toolkit SCTK defines it; the
    least number is the Levenshtein distance over words (Wagner and Fischer, J. ACM 21(1), 1974).
    """
    reference, hypothesis = words_of(said), words_of(heard)
    row = list(range(len(hypothesis) + 1))
    for i, wanted in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(hypothesis, start=1):
            substitute = diagonal + (wanted != got)
            diagonal = row[j]
            row[j] = min(substitute, row[j] + 1, row[j - 1] + 1)
    return WordErrors(row[-1], len(reference))


@dataclass(frozen=True)
class Mismatch:
    """A field of a booking that is not what the caller asked for."""

    field: str
    """Name of the field; "booking" when nothing was booked at all."""
    expected: str
    """What the caller asked for."""
    found: str
    """What was booked; "" for nothing."""


def compare_booking(expected: ExpectedBooking, booked: Sequence[Mapping[str, object]]) -> list[Mismatch]:
    """Compare what a caller asked for with what stands in the tenant's book.

    Args:
        expected: what the script wants.
        booked: everything in that book (other callers' entries too).

    Returns:
        The differences to the entry that is most alike; empty when one is right. Case and spaces don't matter.
    """
    if not booked:
        return [Mismatch("booking", _plain(" ".join(map(str, expected.fields.values()))), "")]
    differences = (
        [
            Mismatch(name, _plain(value), _plain(entry.get(name, "")))
            for name, value in expected.fields.items()
            if _plain(value) != _plain(entry.get(name, ""))
        ]
        for entry in booked
    )
    return min(differences, key=len)


def _plain(value: object) -> str:
    return " ".join(str(value).lower().split())
