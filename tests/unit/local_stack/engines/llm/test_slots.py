from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from local_stack.engines.llm.schema import parse_tools
from local_stack.engines.llm.slots import fill, loose_facts
from local_stack.engines.llm.text import utterance
from tests.unit.local_stack.engines.llm.calls import BOOK_APPOINTMENT, BOOK_ROOM, PLACE_ORDER, function, text


def filled(
    tool: dict[str, Any], said: str, asked: str | None = None, today: dt.date | None = None
) -> dict[str, Any]:
    (parsed,) = parse_tools([tool])
    return fill(parsed, utterance(said), asked=parsed.slot(asked), today=today)


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("two thirty pm", {"time": "14:30"}),
        ("two people at two thirty pm", {"time": "14:30", "people": 2}),
        ("for two people for two hours", {"duration": "two hours", "people": 2}),
        (
            "mountain view today at two thirty pm for half an hour for two people",
            {
                "city": "Mountain View",
                "date": "today",
                "time": "14:30",
                "duration": "half an hour",
                "people": 2,
            },
        ),
        ("half of an hour", {"duration": "half an hour"}),
        ("party of five", {"people": 5}),
        ("today no tomorrow", {"date": "tomorrow"}),
        ("nothing of the kind", {}),
        ("two", {}),
        ("", {}),
    ],
)
def test_what_is_plainly_said_fills_slots_unasked(said: str, values: dict[str, Any]) -> None:
    assert filled(BOOK_ROOM, said) == values


@pytest.mark.parametrize(
    ("asked", "said", "values"),
    [
        ("people", "two", {"people": 2}),
        ("people", "to people", {"people": 2}),
        ("people", "just the two of us", {"people": 2}),
        ("people", "two thirty pm", {"time": "14:30"}),
        ("time", "three", {"time": "15:00"}),
        ("time", "two people", {"people": 2}),
        ("date", "the fourteenth", {"date": "the fourteenth"}),
        ("date", "wensday", {"date": "wednesday"}),
        ("city", "mount in view", {"city": "Mountain View"}),
        ("duration", "one hour", {"duration": "one hour"}),
    ],
)
def test_the_asked_slot_is_read_less_strictly(asked: str, said: str, values: dict[str, Any]) -> None:
    assert filled(BOOK_ROOM, said, asked) == values


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("two large margherita pizzas", {"pizza": "Margherita", "size": "large", "quantity": 2}),
        ("three margheritas", {"pizza": "Margherita", "quantity": 3}),
        ("a large pepperoni", {"pizza": "Pepperoni", "size": "large"}),
        ("fifty pizzas", {}),
    ],
)
def test_an_order_in_one_breath(said: str, values: dict[str, Any]) -> None:
    assert filled(PLACE_ORDER, said) == values


def test_a_name_and_more_in_one_answer() -> None:
    assert filled(BOOK_APPOINTMENT, "john miller for a cleaning on friday", "name") == {
        "name": "John Miller",
        "day": "friday",
        "reason": "cleaning",
    }


def test_another_slots_value_is_no_name() -> None:
    assert filled(BOOK_APPOINTMENT, "next tuesday", "name") == {"day": "next tuesday"}
    assert filled(BOOK_ROOM, "half an hour", "people") == {"duration": "half an hour"}


def test_free_text_is_taken_whole_but_only_when_asked() -> None:
    tool = function("take_message", "Take a message.", {"message": text("What is the message?")})
    assert filled(tool, "it's about my bill from tuesday", "message") == {
        "message": "it's about my bill from tuesday"
    }
    assert filled(tool, "it's about my bill") == {}


@pytest.mark.parametrize(("said", "value"), [("yes please", True), ("no thanks", False), ("maybe", None)])
def test_yes_and_no(said: str, value: bool | None) -> None:
    tool = function("order", "Order.", {"express": {"type": "boolean", "description": "Express?"}})
    assert filled(tool, said, "express").get("express") is value


def test_values_have_the_schemas_types() -> None:
    tool = function(
        "set_up",
        "Set up.",
        {
            "minutes": {"type": "integer", "description": "How long?"},
            "level": {"enum": [1, 2, 3], "description": "Which level?"},
            "toppings": {
                "type": "array",
                "items": {"enum": ["ham", "olives", "corn"]},
                "description": "Toppings?",
            },
            "length": text("How long?", format="duration"),
        },
    )
    assert filled(tool, "an hour and a half")["minutes"] == 90
    assert filled(tool, "two", "level")["level"] == 2
    assert filled(tool, "olives and ham", "toppings")["toppings"] == ["olives", "ham"]
    assert filled(tool, "half an hour", "length")["length"] == "PT30M"


def test_nights_are_counted_although_they_are_a_length_of_time() -> None:
    tool = function("stay", "Stay.", {"nights": {"type": "integer", "description": "How many nights?"}})
    assert filled(tool, "three nights") == {"nights": 3}
    assert filled(tool, "three nights", "nights") == {"nights": 3}


def test_a_date_is_iso_only_with_that_format_and_a_known_today() -> None:
    tool = function("book", "Book.", {"date": text("Which day?", format="date")})
    today = dt.date(2026, 11, 22)
    assert filled(tool, "tomorrow", today=today) == {"date": "2026-11-23"}
    assert filled(tool, "tomorrow") == {"date": "tomorrow"}
    assert filled(BOOK_ROOM, "tomorrow", today=today) == {"date": "tomorrow"}


def test_a_date_and_time_in_one_slot() -> None:
    tool = function("book", "Book.", {"when": text("When?")})
    assert filled(tool, "next tuesday at two thirty pm") == {"when": "next tuesday at two thirty pm"}
    iso = function("book", "Book.", {"when": text("When?", format="date-time")})
    assert filled(iso, "tomorrow at three", today=dt.date(2026, 11, 22)) == {"when": "2026-11-23T15:00:00"}


def test_facts_are_noted_without_any_tool() -> None:
    said = (
        "this is anna lee and my number is five five five one two three four, i will come on friday at ten am"
    )
    assert loose_facts(utterance(said)) == {
        "name": "Anna Lee",
        "phone": "5551234",
        "date": "friday",
        "time": "ten am",
    }
