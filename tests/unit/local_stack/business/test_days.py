"""Days and times in words."""

from __future__ import annotations

import datetime as dt

import pytest

from local_stack.business.days import calendar_day, spoken_day, spoken_time
from local_stack.business.requests import clock_time

WEDNESDAY = dt.date(2026, 5, 6)


@pytest.mark.parametrize(
    ("spoken", "day"),
    [
        ("today", 6),
        ("tomorrow", 7),
        ("friday", 8),
        ("next tuesday", 12),
        ("wednesday", 13),
        ("on monday", 11),
        ("2026-05-20", 20),
    ],
)
def test_spoken_days_become_calendar_days(spoken: str, day: int) -> None:
    assert calendar_day(spoken, WEDNESDAY) == dt.date(2026, 5, day)


def test_words_that_name_no_day_are_none() -> None:
    assert calendar_day("soon", WEDNESDAY) is None


@pytest.mark.parametrize(
    ("written", "clock"),
    [
        ("14:30", "14:30"),
        ("2:30 pm", "14:30"),
        ("9 am", "09:00"),
        ("12 a.m.", "00:00"),
        ("14:30:00", "14:30"),
    ],
)
def test_written_times_become_clock_times(written: str, clock: str) -> None:
    assert clock_time(written) == clock


@pytest.mark.parametrize("written", ["", "25:00", "half past two", "14 pm", "9:75", "0 am"])
def test_other_times_are_refused(written: str) -> None:
    with pytest.raises(ValueError, match="a time such as"):
        clock_time(written)


def test_times_and_days_are_said_as_people_say_them() -> None:
    assert spoken_time("00:00") == "twelve in the morning"
    assert spoken_time("12:15") == "twelve fifteen in the afternoon"
    assert spoken_time("18:05") == "six oh 5 in the evening"
    assert spoken_day("on monday") == "on Monday"
    assert spoken_day("tomorrow") == "tomorrow"
