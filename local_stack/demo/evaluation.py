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


@dataclass(frozen=True)
class BookComparison:
    """A tenant's book against what its callers asked for."""

    mismatches: tuple[tuple[Mismatch, ...], ...]
    """For each booking that was asked for, the differences to its entry; none when it stands there as it should."""
    unasked: int
    """Entries that nobody asked for: doubles and wrong ones."""


def compare_book(
    expected: Sequence[ExpectedBooking], booked: Sequence[Mapping[str, object]]
) -> BookComparison:
    """Compare all that callers asked for with all that stands in one book.

    Args:
        expected: what the scripts want, each once.
        booked: everything in that book.

    Returns:
        Each booking has an entry of its own: one that is right, or of those left over the one that is most alike.
        Case and spaces don't matter.
    """
    left = list(booked)
    found: dict[int, tuple[Mismatch, ...]] = {}
    for number, wanted in enumerate(expected):
        if (right := next((entry for entry in left if not _differences(wanted, entry)), None)) is not None:
            left.remove(right)
            found[number] = ()
    for number, wanted in enumerate(expected):
        if number in found:
            continue
        if not left:
            said = _plain(" ".join(map(str, wanted.fields.values())))
            found[number] = (Mismatch("booking", said, ""),)
            continue
        nearest = min(left, key=lambda entry: len(_differences(wanted, entry)))
        left.remove(nearest)
        found[number] = _differences(wanted, nearest)
    return BookComparison(tuple(found[number] for number in range(len(expected))), len(left))


def _differences(wanted: ExpectedBooking, entry: Mapping[str, object]) -> tuple[Mismatch, ...]:
    return tuple(
        Mismatch(name, _plain(value), _plain(entry.get(name, "")))
        for name, value in wanted.fields.items()
        if _plain(value) != _plain(entry.get(name, ""))
    )


def _plain(value: object) -> str:
    return " ".join(str(value).lower().split())
