"""Which of a schema's enum values a caller named, by words first and by likeness second."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from local_stack.engines.llm.numbers import cardinal
from local_stack.engines.llm.text import Span, stem, utterance
from local_stack.engines.llm.times import find_durations, find_times

_LIKE_ASKED = 0.74
_LIKE_UNASKED = 0.86
"""Likeness (difflib ratio of the letters) that a misheard value needs, when it was asked for and when not."""
_MIN_LETTERS = 4
"""Shorter words are alike by accident."""
_MAX_LETTERS = 80
_SHORT_LETTERS = 6
"""Shorter values have to begin with the same letter too."""


@dataclass(frozen=True)
class Chosen:
    """An enum value that was named."""

    index: int
    """Position of the value among the options."""
    span: Span
    score: float


@lru_cache(maxsize=2048)
def _option_words(option: str) -> tuple[str, ...]:
    return utterance(option.replace("_", " ")).tokens


def choose(
    options: Sequence[str],
    tokens: tuple[str, ...],
    *,
    asked: bool,
    taken: Collection[int] = (),
    plain: Collection[str] = (),
) -> list[Chosen]:
    """Every option that the utterance names, best first.

    An option is named by its words in order, by a word that no other option has, by the same number or time of
    day, or by letters that are much alike (recognisers split and misspell: "market rita" for "margherita").
    Words at `taken` positions and words after "not" don't count. `plain` are stems that name no option by
    themselves, such as "appointment" in "emergency appointment" where appointments are what is booked.
    """
    words = [_option_words(option) for option in options]
    free = [i not in taken and not _negated(tokens, i) for i in range(len(tokens))]
    found: dict[int, Chosen] = {}
    for index, option in enumerate(words):
        if not option:
            continue
        hit = (
            _in_order(option, tokens, free)
            or _by_distinct_word(index, words, tokens, free, plain)
            or _by_value(options[index], tokens, free, asked=asked)
            or _by_likeness(option, tokens, free, asked=asked)
        )
        if hit is not None:
            found[index] = Chosen(index, *hit)
    ranked = sorted(found.values(), key=lambda c: (-round(c.score, 6), c.span.start, c.index))
    return _without_overlap(ranked)


def _negated(tokens: tuple[str, ...], at: int) -> bool:
    # "not medium" and "not a medium" refuse it; "no, medium" is a correction
    before = tokens[max(0, at - 2) : at]
    return before[-1:] in {("not",), ("without",)} or before in {("not", "a"), ("not", "an"), ("not", "the")}


def _without_overlap(ranked: Sequence[Chosen]) -> list[Chosen]:
    kept: list[Chosen] = []
    for choice in ranked:
        if all(choice.span.end <= k.span.start or k.span.end <= choice.span.start for k in kept):
            kept.append(choice)
    return kept


def _in_order(
    option: tuple[str, ...], tokens: tuple[str, ...], free: list[bool]
) -> tuple[Span, float] | None:
    wanted = [stem(word) for word in option]
    for start in range(len(tokens) - len(option) + 1):
        window = range(start, start + len(option))
        if all(free[i] and stem(tokens[i]) == w for i, w in zip(window, wanted, strict=True)):
            return Span(start, window.stop), 2.0 + len(option)
    return None


def _by_distinct_word(
    index: int,
    words: Sequence[tuple[str, ...]],
    tokens: tuple[str, ...],
    free: list[bool],
    plain: Collection[str],
) -> tuple[Span, float] | None:
    others = {stem(w) for i, option in enumerate(words) if i != index for w in option}
    distinct = {stem(w) for w in words[index] if len(w) >= _MIN_LETTERS} - others - set(plain)
    for at, token in enumerate(tokens):
        if free[at] and stem(token) in distinct:
            return Span(at, at + 1), 1.5
    return None


def _by_value(
    option: str, tokens: tuple[str, ...], free: list[bool], *, asked: bool
) -> tuple[Span, float] | None:
    """The same number ("thirty" for 30), time of day ("half past two" for "14:30") or length of time."""
    option_words = _option_words(option)
    for wanted_time in find_times(option_words)[:1]:
        for time in find_times(tokens) if wanted_time.strong else []:
            if (time.strong or asked) and time.clock == wanted_time.clock:
                return time.span, 2.0
    for wanted_length in find_durations(option_words)[:1]:
        for length in find_durations(tokens):
            if length.minutes == wanted_length.minutes:
                return length.span, 2.0
    if asked and option.isdecimal():
        for at in range(len(tokens)):
            number = cardinal(tokens, at) if free[at] else None
            if number is not None and number[0] == int(option[:9]):
                return Span(at, number[1]), 2.0
    return None


def _by_likeness(
    option: tuple[str, ...], tokens: tuple[str, ...], free: list[bool], *, asked: bool
) -> tuple[Span, float] | None:
    wanted = "".join(option)
    if len(wanted) < _MIN_LETTERS:
        return None
    needed = _LIKE_ASKED if asked else _LIKE_UNASKED
    best: tuple[Span, float] | None = None
    for width in range(1, len(option) + 2):
        for start in range(len(tokens) - width + 1):
            if not all(free[start : start + width]):
                continue
            ratio = _likeness("".join(tokens[start : start + width]), wanted)
            if ratio >= needed and (best is None or ratio > best[1]):
                best = Span(start, start + width), ratio
    return best


@lru_cache(maxsize=65_536)
def _likeness(letters: str, wanted: str) -> float:
    """0 to 1, how alike two words are; 0 at once for those that can't be alike enough."""
    longest = max(len(letters), len(wanted))
    if len(letters) < _MIN_LETTERS or 2 * min(len(letters), len(wanted)) < _LIKE_ASKED * (
        len(letters) + len(wanted)
    ):
        return 0.0
    if longest > _MAX_LETTERS or (len(wanted) < _SHORT_LETTERS and letters[0] != wanted[0]):
        return 0.0
    return difflib.SequenceMatcher(None, letters, wanted, autojunk=False).ratio()
