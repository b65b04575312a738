from __future__ import annotations

import pytest

from local_stack.engines.llm.text import utterance
from local_stack.engines.llm.times import find_durations, find_times


@pytest.mark.parametrize(
    ("said", "clock"),
    [
        ("two thirty pm", "14:30"),
        ("two thirty p m", "14:30"),
        ("two thirty", "14:30"),
        ("at three", "15:00"),
        ("nine fifteen", "09:15"),
        ("eleven", "11:00"),
        ("seven", "19:00"),
        ("seven am", "07:00"),
        ("twelve pm", "12:00"),
        ("twelve am", "00:00"),
        ("noon", "12:00"),
        ("half past two", "14:30"),
        ("a quarter to three", "14:45"),
        ("quarter past ten in the morning", "10:15"),
        ("ten minutes past four", "16:10"),
        ("three o'clock", "15:00"),
        ("three o clock in the afternoon", "15:00"),
        ("eight in the evening", "20:00"),
        ("two oh five", "14:05"),
        ("14:30", "14:30"),
        ("2:30", "14:30"),
        ("9:05 pm", "21:05"),
        ("two forty five", "14:45"),
        ("2 30 pm", "14:30"),
    ],
)
def test_a_time_of_day_becomes_a_clock_time(said: str, clock: str) -> None:
    assert [time.clock for time in find_times(utterance(said).tokens)] == [clock]


@pytest.mark.parametrize(
    ("said", "strong"), [("three", False), ("at three", True), ("three pm", True), ("two ten", True)]
)
def test_a_bare_number_is_only_weakly_a_time(said: str, strong: bool) -> None:
    assert [time.strong for time in find_times(utterance(said).tokens)] == [strong]


def test_no_time_is_found_where_none_is() -> None:
    assert find_times(utterance("forty people and 99 bottles, 25:99, i am late").tokens) == []


@pytest.mark.parametrize(
    ("said", "minutes"),
    [
        ("half an hour", 30),
        ("half of an hour", 30),
        ("half in our", 30),
        ("a half hour", 30),
        ("an hour", 60),
        ("one hour", 60),
        ("an hour and a half", 90),
        ("one and a half hours", 90),
        ("two hours", 120),
        ("ninety minutes", 90),
        ("an hour and fifteen minutes", 75),
        ("quarter of an hour", 15),
        ("two nights", 2880),
    ],
)
def test_a_length_of_time_becomes_minutes(said: str, minutes: int) -> None:
    assert [duration.minutes for duration in find_durations(utterance(said).tokens)] == [minutes]


def test_a_length_of_time_has_an_iso_form() -> None:
    assert find_durations(("an", "hour", "and", "a", "half"))[0].iso == "PT1H30M"
    assert find_durations(("half", "an", "hour"))[0].iso == "PT30M"


def test_half_past_is_no_length_of_time() -> None:
    assert find_durations(utterance("half past two").tokens) == []
