"""Dates in spoken words, and their calendar dates when today's is known.

A date is kept as the caller's words ("next tuesday"): the engine is stateless and knows no clock. Only a schema with
`format: date`, together with a prompt that states the current date, gives an ISO date.
"""

from __future__ import annotations

import datetime as dt
import difflib
from dataclasses import dataclass

from local_stack.engines.llm.numbers import below_hundred, ordinal
from local_stack.engines.llm.text import Span

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH_WORDS = "january february march april may june july august september october november december"
_MONTHS = {name: i + 1 for i, name in enumerate(_MONTH_WORDS.split())}
_SINGLE = {"today": 0, "tonight": 0, "tomorrow": 1}
_PERIODS = frozenset({"week", "weekend", "month"})
WORDS = frozenset([*_WEEKDAYS, *_SINGLE])
"""Words that are dates by themselves."""


@dataclass(frozen=True)
class SpokenDate:
    """A date found in an utterance."""

    span: Span
    spoken: str
    """The caller's words, without "on"."""
    strong: bool
    """False for a bare ordinal ("the second"), which is a date only when a date was asked for."""
    weekday: int | None = None
    days_ahead: int | None = None
    month: int | None = None
    day: int | None = None
    exact: dt.date | None = None

    def resolve(self, today: dt.date) -> dt.date | None:
        """The calendar date on or after `today`; None for what names no single day ("next week").

        A weekday is its next occurrence after today; "next tuesday" is the same one unless it is within the
        next two days, when it is a week later.
        """
        if self.exact is not None:
            return self.exact
        if self.days_ahead is not None:
            return today + dt.timedelta(days=self.days_ahead)
        if self.weekday is not None:
            ahead = (self.weekday - today.weekday() - 1) % 7 + 1
            later = 7 if self.spoken.startswith("next") and ahead <= 2 else 0
            return today + dt.timedelta(days=ahead + later)
        return self._next_day_of_month(today) if self.day is not None else None

    def _next_day_of_month(self, today: dt.date) -> dt.date | None:
        year, month = today.year, self.month or today.month
        for _ in range(48):
            try:
                candidate = dt.date(year, month, self.day or 0)
            except ValueError:
                candidate = None
            if candidate is not None and candidate >= today:
                return candidate
            step = 12 if self.month else 1
            year, month = year + (month + step - 1) // 12, (month + step - 1) % 12 + 1
        return None


def find_dates(tokens: tuple[str, ...]) -> list[SpokenDate]:
    """Every date, left to right, strong and weak ones."""
    found: list[SpokenDate] = []
    at = 0
    while at < len(tokens):
        hit = _iso(tokens, at) or _relative(tokens, at) or _weekday(tokens, at) or _calendar(tokens, at)
        if hit is None:
            at += 1
            continue
        found.append(hit)
        at = hit.span.end
    return found


def misheard_date(tokens: tuple[str, ...]) -> SpokenDate | None:
    """A day word that a recogniser split or misspelt ("wensday", "two day"), in an answer of at most four words."""
    if len(tokens) > 4:
        return None
    for width in (1, 2, 3):
        for start in range(len(tokens) - width + 1):
            joined = "".join(tokens[start : start + width])
            close = difflib.get_close_matches(joined, sorted(WORDS), n=1, cutoff=0.8)
            if close:
                found = find_dates((close[0],))[0]
                return SpokenDate(
                    Span(start, start + width), found.spoken, True, found.weekday, found.days_ahead
                )
    return None


def _iso(tokens: tuple[str, ...], at: int) -> SpokenDate | None:
    try:
        exact = dt.date.fromisoformat(tokens[at]) if len(tokens[at]) == 10 else None
    except ValueError:
        exact = None
    return SpokenDate(Span(at, at + 1), tokens[at], True, exact=exact) if exact else None


def _relative(tokens: tuple[str, ...], at: int) -> SpokenDate | None:
    """Such as "today", "the day after tomorrow", "in three days", "next week"."""
    rest = tokens[at : at + 4]
    for phrase in (("the", "day", "after", "tomorrow"), ("day", "after", "tomorrow")):
        if rest[: len(phrase)] == phrase:
            return SpokenDate(Span(at, at + len(phrase)), " ".join(phrase), True, days_ahead=2)
    if rest[0] in _SINGLE:
        return SpokenDate(Span(at, at + 1), rest[0], True, days_ahead=_SINGLE[rest[0]])
    if len(rest) > 1 and rest[0] in {"next", "this"} and rest[1] in _PERIODS:
        return SpokenDate(Span(at, at + 2), " ".join(rest[:2]), True)
    if rest[0] == "in":
        count = below_hundred(tokens, at + 1)
        unit = tokens[count[1]] if count and count[1] < len(tokens) else ""
        if count and unit.removesuffix("s") in {"day", "week"}:
            days = count[0] * (7 if unit.startswith("week") else 1)
            end = count[1] + 1
            return SpokenDate(Span(at, end), " ".join(tokens[at:end]), True, days_ahead=days)
    return None


def _weekday(tokens: tuple[str, ...], at: int) -> SpokenDate | None:
    """Such as "tuesday", "next tuesday", "tuesday the fourteenth"."""
    lead = tokens[at] in {"next", "this", "coming"} and at + 1 < len(tokens)
    word = tokens[at + 1] if lead else tokens[at]
    name = word.removesuffix("'s").removesuffix("s")
    if name not in _WEEKDAYS:
        return None
    end = at + 2 if lead else at + 1
    weekday = _WEEKDAYS.index(name)
    spoken = f"{tokens[at]} {name}" if lead else name
    dated = _calendar(tokens, end) if end < len(tokens) else None
    if dated is not None and dated.span.start == end:
        both = Span(at, dated.span.end)
        return SpokenDate(both, f"{spoken} {dated.spoken}", True, month=dated.month, day=dated.day)
    return SpokenDate(Span(at, end), spoken, True, weekday=weekday)


def _calendar(tokens: tuple[str, ...], at: int) -> SpokenDate | None:
    """Such as "the fourteenth of july", "july fourteenth", "july 14", and the weak "the fourteenth"."""
    article = tokens[at] == "the"
    start = at + 1 if article else at
    day = ordinal(tokens, start)
    if day is not None and 1 <= day[0] <= 31:
        month_at = day[1] + (tokens[day[1] : day[1] + 1] == ("of",))
        month = _MONTHS.get(tokens[month_at]) if month_at < len(tokens) else None
        if month:
            end = month_at + 1
            return SpokenDate(Span(at, end), " ".join(tokens[at:end]), True, month=month, day=day[0])
        strong = at > 0 and tokens[at - 1] == "on" and article
        return SpokenDate(Span(at, day[1]), " ".join(tokens[at : day[1]]), strong, day=day[0])
    return _month_first(tokens, at) or _day_number_first(tokens, at)


def _month_first(tokens: tuple[str, ...], at: int) -> SpokenDate | None:
    month = _MONTHS.get(tokens[at])
    if month is None:
        return None
    day_at = at + 1 + (tokens[at + 1 : at + 2] == ("the",))
    day = ordinal(tokens, day_at) or _number(tokens, day_at)
    if day is None or not 1 <= day[0] <= 31:
        return None
    return SpokenDate(Span(at, day[1]), " ".join(tokens[at : day[1]]), True, month=month, day=day[0])


def _day_number_first(tokens: tuple[str, ...], at: int) -> SpokenDate | None:
    day = _number(tokens, at)
    if day is None or day[1] >= len(tokens) or not 1 <= day[0] <= 31:
        return None
    month = _MONTHS.get(tokens[day[1]])
    # "may" after a number is more often the verb.
    if month is None or tokens[day[1]] == "may":
        return None
    end = day[1] + 1
    return SpokenDate(Span(at, end), " ".join(tokens[at:end]), True, month=month, day=day[0])


def _number(tokens: tuple[str, ...], at: int) -> tuple[int, int] | None:
    if at < len(tokens) and tokens[at].isdecimal() and len(tokens[at]) <= 2:
        return int(tokens[at]), at + 1
    return below_hundred(tokens, at)
