"""When each character of a spoken sentence is heard, estimated.

The libraries give no times that could be kept through streaming, so a sentence's duration is shared out over its
characters by how long each takes to say. Within a sentence a word is off by 0.1-0.3 s; sentences begin and end
exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise

_DIGIT_WEIGHT = 4.0
_PAUSE_WEIGHT = 3.0
_SPACE_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class CharacterTimes:
    """Three lists of the same length, one item a character."""

    characters: list[str]
    starts_ms: list[int]
    durations_ms: list[int]
    """They leave no gaps: each start is the previous start and duration added."""


def share_out(text: str, *, start_s: float, duration_s: float) -> CharacterTimes:
    """Give every character of `text` its part of `duration_s`.

    Args:
        text: a sentence as it was received.
        start_s: where its audio begins on the listener's clock.
        duration_s: how long its audio is; 0 gives all characters the same instant.
    """
    weights = [_weight(character) for character in text]
    total = sum(weights) or 1.0
    shares = [0.0, *accumulate(weights)]
    edges_ms = [round((start_s + duration_s * share / total) * 1000) for share in shares]
    durations_ms = [after - before for before, after in pairwise(edges_ms)]
    return CharacterTimes(list(text), edges_ms[:-1], durations_ms)


def _weight(character: str) -> float:
    if character.isdigit():
        return _DIGIT_WEIGHT
    if character.isalpha():
        return 1.0
    return _PAUSE_WEIGHT if character in ",;:.?!" else _SPACE_WEIGHT
