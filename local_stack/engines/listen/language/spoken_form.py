"""Turn written text into the words a person would say, sentence by sentence.

A language model is counted over words as they are spoken: "Open 9:30-17:00, from £12.50" is learnt as "open nine
thirty to five p.m. from twelve pounds fifty". English only, as the acoustic model is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

# fmt: off
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
# fmt: on
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))
_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_CURRENCIES = {"£": "pounds", "$": "dollars", "€": "euros"}
_ABBREVIATIONS = {
    "&": "and",
    "+": "plus",
    "%": "percent",
    "@": "at",
    "mr": "mister",
    "mrs": "misses",
    "dr": "doctor",
    "vs": "versus",
    "approx": "approximately",
    "etc": "",
    "hrs": "hours",
    "hr": "hour",
    "mins": "minutes",
    "min": "minutes",
    "pm": "p.m.",
    "st": "street",
    "rd": "road",
    "ave": "avenue",
    "mon": "monday",
    "tue": "tuesday",
    "tues": "tuesday",
    "wed": "wednesday",
    "thu": "thursday",
    "thur": "thursday",
    "thurs": "thursday",
    "fri": "friday",
    "sat": "saturday",
    "jan": "january",
    "feb": "february",
    "apr": "april",
    "aug": "august",
    "sept": "september",
    "oct": "october",
    "nov": "november",
    "dec": "december",
}
_NUMBER_WORDS = frozenset({*_UNITS, *_TENS, "o'clock"} - {""})
_LARGEST_NUMBER = 999_999_999_999
_MOST_DIGITS = 12
"""Of a number that is said as one."""

_LONGEST_WORD = 40
"""Letters; what is longer is no word that anybody says (the longest in the CMU dictionary has 28)."""

_TOKEN = re.compile(
    r"(?P<time>\b\d{1,2}[:.]\d{2}(?=\s*[ap]\.?m\b|\b)(?!\d))"
    r"|(?P<money>[£$€]\s?\d[\d,]*(?:\.\d{2})?)"
    r"|(?P<ordinal>\b\d+(?:st|nd|rd|th)\b)"
    r"|(?P<decimal>\b\d+\.\d+\b)"
    r"|(?P<number>\d[\d,]*)"
    r"|(?P<meridiem>(?:(?<=\d)|(?<=\d )|\b(?=.\.))[ap]\.?m\b\.?)"
    r"|(?P<word>[a-z]+(?:'[a-z]+)*)"
    r"|(?P<symbol>[&+%@])"
)
_RANGE = re.compile(r"(?<=\d)\s*[-–—]\s*(?=\d)|(?<=[ap]m)\s*[-–—]\s*(?=\d)")
_SENTENCE_END = re.compile(
    r"(?<=[^\W\d])[.!?;]+(?=\s|$)|(?<=\d)[.!?;]+(?=\s|$)|(?<![!?;:])[!?;:]+\s|[()\n\r•|\"“”]+|\s[-–—]+\s"
)
_TELEPHONE = re.compile(r"\+?\b\d{2,5}(?:[ -]\d{2,5}){1,4}\b")
_FEWEST_TELEPHONE_DIGITS = 7


def spoken_sentences(text: str) -> list[list[str]]:
    """Split a text into sentences of spoken, lower-case words.

    Args:
        text: free text of any length; accents are folded to plain letters.

    Returns:
        One list of words for each sentence, clause in brackets or line; empty ones are left out. A word holds
        1 to 40 of a-z and apostrophes, apart from "a.m." and "p.m.".
    """
    plain = _RANGE.sub(" to ", _TELEPHONE.sub(_space_out, _fold(text)))
    sentences = (_spoken_words(part) for part in _SENTENCE_END.split(plain))
    return [words for words in sentences if words]


def number_words(number: int) -> list[str]:
    """Say a number: 2026 -> two thousand and twenty six.

    Args:
        number: 0..999,999,999,999.

    Returns:
        Its words, with "and" before the last two digits as the British say it.

    Raises:
        ValueError: the number is out of range.
    """
    if not 0 <= number <= _LARGEST_NUMBER:
        raise ValueError(f"no number from 0 to {_LARGEST_NUMBER}: {number}")
    if number < 20:
        return [_UNITS[number]]
    if number < 100:
        tens, unit = divmod(number, 10)
        return [_TENS[tens], _UNITS[unit]] if unit else [_TENS[tens]]
    scale, name = next((scale, name) for scale, name in _SCALES if number >= scale)
    count, rest = divmod(number, scale)
    words = [*number_words(count), name]
    if rest:
        words += ["and"] if rest < 100 else []
        words += number_words(rest)
    return words


def ordinal_words(number: int) -> list[str]:
    """Say a rank: 21 -> twenty first.

    Args:
        number: 0..999,999,999,999.

    Returns:
        Its words.

    Raises:
        ValueError: the number is out of range.
    """
    return _as_rank(number_words(number))


def _as_rank(words: list[str]) -> list[str]:
    last = words[-1]
    if last in _IRREGULAR_ORDINALS:
        rank = _IRREGULAR_ORDINALS[last]
    elif last.endswith("y"):
        rank = last[:-1] + "ieth"
    else:
        rank = last + "th"
    return [*words[:-1], rank]


def _say_cardinal(digits: str) -> list[str]:
    """Say digits as one number, or one by one where the number is too large for that."""
    digits = digits.lstrip("0") or "0"
    return number_words(int(digits)) if len(digits) <= _MOST_DIGITS else _say_digits(digits)


def _say_digits(digits: str) -> list[str]:
    return [_UNITS[int(digit)] for digit in digits]


def _fold(text: str) -> str:
    text = text.replace("’", "'").replace("‘", "'").replace("_", " ").lower()
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _space_out(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match.group())
    return " ".join(digits) if len(digits) >= _FEWEST_TELEPHONE_DIGITS else match.group()


def _spoken_words(sentence: str) -> list[str]:
    words: list[str] = []
    for match in _TOKEN.finditer(sentence):
        kind, token = match.lastgroup, match.group()
        words += _SAY[kind](token) if kind else []
    return [
        "a.m." if word == "am" and index and words[index - 1] in _NUMBER_WORDS else word
        for index, word in enumerate(words)
    ]


def _say_time(token: str) -> list[str]:
    hour, minute = (int(part) for part in re.split("[:.]", token))
    if hour > 24 or minute > 59:
        return [*number_words(hour), "point", *_say_digits(f"{minute:02d}")]
    afternoon = ["p.m."] if 12 < hour < 24 else []
    spoken_hour = hour - 12 if 12 < hour <= 24 else hour or 12
    if minute == 0:
        return [*number_words(spoken_hour), *afternoon]
    oh = ["oh"] if minute < 10 else []
    return [*number_words(spoken_hour), *oh, *number_words(minute), *afternoon]


def _say_money(token: str) -> list[str]:
    whole, _, cents = token[1:].strip().replace(",", "").partition(".")
    words = [*_say_cardinal(whole), _CURRENCIES[token[0]]]
    return [*words, *number_words(int(cents))] if cents and int(cents) else words


def _say_number(token: str) -> list[str]:
    digits = token.replace(",", "")
    # A code or telephone number is read digit by digit; a count or a year is said as a number.
    if (len(digits) > 4 and "," not in token) or (len(digits) > 1 and digits[0] == "0"):
        return _say_digits(digits)
    if len(digits) == 4 and "1100" <= digits <= "2099" and "," not in token and digits[2:] != "00":
        century, rest = divmod(int(digits), 100)
        return [*number_words(century), *(["oh"] if rest < 10 else []), *number_words(rest)]
    return _say_cardinal(digits)


def _say_decimal(token: str) -> list[str]:
    whole, _, fraction = token.partition(".")
    return [*_say_cardinal(whole), "point", *_say_digits(fraction)]


def _say_word(token: str) -> list[str]:
    word = _ABBREVIATIONS.get(token, token)
    return [word] if 0 < len(word) <= _LONGEST_WORD else []


_SAY: Mapping[str, Callable[[str], list[str]]] = {
    "time": _say_time,
    "money": _say_money,
    "ordinal": lambda token: _as_rank(_say_cardinal(token[:-2])),
    "decimal": _say_decimal,
    "number": _say_number,
    "meridiem": lambda token: [token[0] + ".m."],
    "word": _say_word,
    "symbol": lambda token: [_ABBREVIATIONS[token]],
}
