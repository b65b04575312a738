"""Days and times between a person's words and a calendar."""

from __future__ import annotations

import datetime as dt

from local_stack.business.requests import minutes_of

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS = ["twelve", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"]
_MINUTES = {0: "", 15: " fifteen", 30: " thirty", 45: " forty five"}


def calendar_day(spoken: str, today: dt.date) -> dt.date | None:
    """The day that is meant: "today", "tomorrow", a weekday (its next occurrence after today) or YYYY-MM-DD.

    Args:
        spoken: lower-case words; a leading "on", "next" or "this" does not matter.
        today: the current day.

    Returns:
        The day, or None when the words name none.
    """
    words = spoken.removeprefix("on ").removeprefix("next ").removeprefix("this ")
    if words in ("today", "tomorrow"):
        return today + dt.timedelta(days=1 if words == "tomorrow" else 0)
    if words in _WEEKDAYS:
        return today + dt.timedelta(days=(_WEEKDAYS.index(words) - today.weekday() - 1) % 7 + 1)
    try:
        return dt.date.fromisoformat(words)
    except ValueError:
        return None


def spoken_time(clock: str) -> str:
    """Say "14:30" as "two thirty in the afternoon"."""
    hour, minute = divmod(minutes_of(clock), 60)
    other = f" oh {minute}" if minute < 10 else f" {minute}"
    words = _NUMBERS[hour % 12] + _MINUTES.get(minute, other)
    if hour < 12:
        return f"{words} in the morning"
    return f"{words} in the afternoon" if hour < 18 else f"{words} in the evening"


def spoken_day(spoken: str) -> str:
    """How to repeat the caller's day: "on Tuesday", "today", "on 2026-05-04"."""
    words = spoken.removeprefix("on ")
    if words in ("today", "tomorrow"):
        return words
    return "on " + " ".join(
        word.capitalize() if word.lower() in _WEEKDAYS else word for word in words.split()
    )
