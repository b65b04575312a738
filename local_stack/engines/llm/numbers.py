"""Numbers in words: cardinals, ordinals and digit strings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from local_stack.engines.llm.text import Span

_SMALL_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_SMALL = {word: value for value, word in enumerate(_SMALL_WORDS.split())}
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * (i + 2) for i, word in enumerate(_TENS_WORDS.split())} | {"fourty": 40}
_SCALES = {"hundred": 100, "thousand": 1000}
_ORDINAL_WORDS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth"
)
_ORDINALS = {word: i + 1 for i, word in enumerate(_ORDINAL_WORDS.split())} | {
    "twentieth": 20,
    "thirtieth": 30,
}
_COLLECTIVES = {"couple": 2, "dozen": 12}
# Only used for a short answer to "how many": recognisers write the small numbers this way.
_HOMOPHONES = {"to": 2, "too": 2, "for": 4, "fore": 4, "won": 1, "ate": 8, "tree": 3, "free": 3}

WORDS = frozenset([*_SMALL, *_TENS, *_SCALES, *_ORDINALS])
"""Words that are numbers, for callers who must not mistake one for a name."""


@dataclass(frozen=True)
class Number:
    """A number found in an utterance."""

    span: Span
    value: float

    @property
    def whole(self) -> int | None:
        """The value as an integer, None when it has a fraction."""
        return int(self.value) if self.value == int(self.value) else None


def below_hundred(tokens: tuple[str, ...], at: int) -> tuple[int, int] | None:
    """A number 0-99 in words starting at `at`: (value, position after it)."""
    word = tokens[at] if at < len(tokens) else ""
    if word in _SMALL:
        return _SMALL[word], at + 1
    if word in _TENS:
        follower = tokens[at + 1] if at + 1 < len(tokens) else ""
        unit = _SMALL.get(follower, 0)
        if 1 <= unit <= 9:
            return _TENS[word] + unit, at + 2
        return _TENS[word], at + 1
    return None


def cardinal(tokens: tuple[str, ...], at: int) -> tuple[float, int] | None:
    """A cardinal starting at `at`, in digits or words up to 999,999: (value, position after it).

    "two thirty" is two numbers here, never 32; "two and a half" is 2.5.
    """
    word = tokens[at] if at < len(tokens) else ""
    if word.replace(".", "", 1).isdecimal():
        return _with_half(float(word), tokens, at + 1)
    if word in _COLLECTIVES:
        return float(_COLLECTIVES[word]), at + 1
    if word == "a" and at + 1 < len(tokens) and tokens[at + 1] in {*_SCALES, *_COLLECTIVES}:
        scale = tokens[at + 1]
        return float(_SCALES.get(scale, 0) or _COLLECTIVES[scale]), at + 2
    start = below_hundred(tokens, at)
    if start is None:
        return None
    value, end = _scaled(tokens, *start)
    return _with_half(float(value), tokens, end)


def _scaled(tokens: tuple[str, ...], value: int, end: int) -> tuple[int, int]:
    """A number times "hundred" or "thousand", and what follows it: "two thousand three hundred and five"."""
    scale = _SCALES.get(tokens[end]) if end < len(tokens) else None
    if scale is None:
        return value, end
    value, end = value * scale, end + 1
    start = end + 1 if tokens[end : end + 1] == ("and",) else end
    rest = below_hundred(tokens, start)
    if rest is None:
        # "two hundred thousand" is one number
        return (
            _scaled(tokens, value, end)
            if scale == 100 and tokens[end : end + 1] == ("thousand",)
            else (value, end)
        )
    below, rest_end = _scaled(tokens, *rest) if scale == 1000 else rest
    return (value + below, rest_end) if below < scale else (value, end)


def _with_half(value: float, tokens: tuple[str, ...], end: int) -> tuple[float, int]:
    if tokens[end : end + 3] == ("and", "a", "half"):
        return value + 0.5, end + 3
    if end + 1 < len(tokens) and tokens[end] == "point" and tokens[end + 1] in _SMALL:
        return value + min(_SMALL[tokens[end + 1]], 9) / 10, end + 2
    return value, end


def ordinal(tokens: tuple[str, ...], at: int) -> tuple[int, int] | None:
    """An ordinal starting at `at` ("fourteenth", "twenty first", "14th"): (value, position after it)."""
    word = tokens[at] if at < len(tokens) else ""
    if word in _ORDINALS:
        return _ORDINALS[word], at + 1
    if word[:-2].isdecimal() and word.endswith(("st", "nd", "rd", "th")):
        return int(word[:-2]), at + 1
    if word in _TENS and at + 1 < len(tokens) and _ORDINALS.get(tokens[at + 1], 10) < 10:
        return _TENS[word] + _ORDINALS[tokens[at + 1]], at + 2
    return None


def find_numbers(tokens: tuple[str, ...], taken: Collection[int] = ()) -> list[Number]:
    """Every cardinal outside the `taken` positions, left to right."""
    found: list[Number] = []
    at = 0
    while at < len(tokens):
        hit = cardinal(tokens, at) if at not in taken else None
        if hit is None or any(i in taken for i in range(at, hit[1])):
            at += 1
            continue
        found.append(Number(Span(at, hit[1]), hit[0]))
        at = hit[1]
    return found


def homophone(tokens: tuple[str, ...]) -> Number | None:
    """A small number that a recogniser wrote as a like-sounding word, in an answer of at most three words."""
    if len(tokens) > 3:
        return None
    hits = (Number(Span(i, i + 1), _HOMOPHONES[w]) for i, w in enumerate(tokens) if w in _HOMOPHONES)
    return next(hits, None)


def digit_runs(tokens: tuple[str, ...]) -> list[tuple[Span, str]]:
    """Runs of spoken or written digits ("five five five oh one", "double seven"), as digit strings."""
    runs: list[tuple[Span, str]] = []
    at = 0
    while at < len(tokens):
        start, digits = at, ""
        while at < len(tokens) and (piece := _digits(tokens, at)) is not None:
            digits, at = digits + piece[0], piece[1]
        if digits:
            runs.append((Span(start, at), digits))
        else:
            at += 1
    return runs


def _digits(tokens: tuple[str, ...], at: int) -> tuple[str, int] | None:
    word = tokens[at]
    if word.isdecimal():
        return word, at + 1
    if word in {"oh", "o", "nought"}:
        return "0", at + 1
    if word in _SMALL or word in _TENS:
        # Two-figure groups are read that way too: "five five five twelve thirty four".
        value, end = below_hundred(tokens, at) or (0, at + 1)
        return str(value), end
    repeats = {"double": 2, "triple": 3}.get(word)
    if repeats and at + 1 < len(tokens):
        following = _SMALL.get(tokens[at + 1], 10)
        return (str(following) * repeats, at + 2) if following < 10 else None
    return None
