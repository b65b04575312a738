from __future__ import annotations

import datetime as dt

import pytest

from local_stack.engines.llm.dates import find_dates, misheard_date
from local_stack.engines.llm.text import utterance

SUNDAY = dt.date(2026, 11, 22)


@pytest.mark.parametrize(
    ("said", "spoken", "exact"),
    [
        ("today", "today", "2026-11-22"),
        ("to day please", "today", "2026-11-22"),
        ("tomorrow", "tomorrow", "2026-11-23"),
        ("the day after tomorrow", "the day after tomorrow", "2026-11-24"),
        ("on wednesday", "wednesday", "2026-11-25"),
        ("next tuesday", "next tuesday", "2026-12-01"),
        ("next friday", "next friday", "2026-11-27"),
        ("sunday", "sunday", "2026-11-29"),
        ("the fourteenth", "the fourteenth", "2026-12-14"),
        ("the fourteenth of july", "the fourteenth of july", "2027-07-14"),
        ("july fourteenth", "july fourteenth", "2027-07-14"),
        ("july the 14th", "july the 14th", "2027-07-14"),
        ("14 july", "14 july", "2027-07-14"),
        ("december 24", "december 24", "2026-12-24"),
        ("the thirty first", "the thirty first", "2026-12-31"),
        ("tuesday the first", "tuesday the first", "2026-12-01"),
        ("in three days", "in three days", "2026-11-25"),
        ("in two weeks", "in two weeks", "2026-12-06"),
        ("2026-12-24", "2026-12-24", "2026-12-24"),
        ("february 29", "february 29", "2028-02-29"),
    ],
)
def test_a_date_is_kept_as_spoken_and_can_be_resolved(said: str, spoken: str, exact: str) -> None:
    (date,) = find_dates(utterance(said).tokens)
    assert date.spoken == spoken
    assert str(date.resolve(SUNDAY)) == exact


def test_next_week_names_no_single_day() -> None:
    (date,) = find_dates(("next", "week"))
    assert date.resolve(SUNDAY) is None


def test_a_day_no_month_has_is_never_found() -> None:
    (date,) = find_dates(utterance("february thirtieth").tokens)
    assert date.resolve(SUNDAY) is None


def test_a_bare_ordinal_is_only_weakly_a_date() -> None:
    assert [d.strong for d in find_dates(utterance("this is the second time").tokens)] == [False]
    assert [d.strong for d in find_dates(utterance("on the second").tokens)] == [True]


@pytest.mark.parametrize("said", ["you may come", "march on", "in two hours", "six may be enough"])
def test_words_that_only_look_like_months_are_no_dates(said: str) -> None:
    assert find_dates(utterance(said).tokens) == []


@pytest.mark.parametrize(
    ("said", "spoken"), [("wensday", "wednesday"), ("tues day", "tuesday"), ("two day", "today")]
)
def test_a_misheard_day_is_recognised_when_asked_for(said: str, spoken: str) -> None:
    date = misheard_date(utterance(said).tokens)
    assert date is not None
    assert date.spoken == spoken
