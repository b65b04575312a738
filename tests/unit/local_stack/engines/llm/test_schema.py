from __future__ import annotations

from typing import Any

import pytest

from local_stack.engines.llm.schema import Kind, Slot, parse_tools
from tests.unit.local_stack.engines.llm.calls import BOOK_APPOINTMENT, BOOK_ROOM, function


def slot_of(schema: dict[str, Any], name: str = "value", **root: Any) -> Slot:
    tool = function("do_it", "Do it.", {name: schema})
    tool["function"]["parameters"].update(root)
    return parse_tools([tool])[0].slots[0]


@pytest.mark.parametrize(
    ("name", "schema", "kind"),
    [
        ("name", {"type": "string"}, Kind.PERSON),
        ("caller", {"type": "string", "description": "The caller's name"}, Kind.PERSON),
        ("day", {"type": "string"}, Kind.DATE),
        ("startTime", {"type": "string"}, Kind.TIME),
        ("slot", {"type": "string", "format": "time"}, Kind.TIME),
        ("when", {"type": "string"}, Kind.WHEN),
        ("duration", {"type": "string"}, Kind.DURATION),
        ("duration_minutes", {"type": "integer"}, Kind.DURATION),
        ("days", {"type": "integer"}, Kind.INTEGER),
        ("phone_number", {"type": "string"}, Kind.PHONE),
        ("email", {"type": "string"}, Kind.EMAIL),
        ("reason", {"type": "string", "description": "Reason for the visit on that day"}, Kind.TEXT),
        ("size", {"enum": ["small", "large"]}, Kind.CHOICE),
        ("urgent", {"type": "boolean"}, Kind.BOOLEAN),
        ("price", {"type": "number"}, Kind.NUMBER),
        ("anything", True, Kind.TEXT),
    ],
)
def test_a_property_becomes_a_slot_of_its_kind(name: str, schema: Any, kind: Kind) -> None:
    assert slot_of(schema, name).kind is kind


def test_a_union_with_null_may_be_null() -> None:
    for schema in ({"type": ["integer", "null"]}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}):
        slot = slot_of(schema)
        assert (slot.kind, slot.nullable) == (Kind.INTEGER, True)


def test_a_reference_is_followed() -> None:
    slot = slot_of(
        {"$ref": "#/$defs/Size"}, **{"$defs": {"Size": {"enum": ["s", "l"], "description": "Which size?"}}}
    )
    assert (slot.kind, slot.options, slot.question) == (Kind.CHOICE, ("s", "l"), "Which size?")


def test_a_reference_to_itself_ends() -> None:
    assert slot_of({"$ref": "#/$defs/A"}, **{"$defs": {"A": {"$ref": "#/$defs/A"}}}).kind is Kind.TEXT


def test_an_array_of_an_enum_takes_many() -> None:
    slot = slot_of({"type": "array", "items": {"enum": ["ham", "olives"]}})
    assert (slot.kind, slot.many, slot.options) == (Kind.CHOICE, True, ("ham", "olives"))


@pytest.mark.parametrize(
    ("description", "question"),
    [
        ("Which day would you like?", "Which day would you like?"),
        ("the caller's name", "What is the caller's name?"),
        ("Number of guests.", "What is the number of guests?"),
        ("", "What is the party size?"),
    ],
)
def test_the_question_comes_from_the_description(description: str, question: str) -> None:
    assert slot_of({"type": "integer", "description": description}, "party_size").question == question


def test_tools_keep_their_order_and_slots() -> None:
    tools = parse_tools([BOOK_ROOM, BOOK_APPOINTMENT])
    assert [tool.name for tool in tools] == ["book_room", "book_appointment"]
    assert [slot.name for slot in tools[1].slots] == ["name", "day", "time", "reason"]


@pytest.mark.parametrize(
    "tools", [None, "x", 3, [None, 1, {}, {"function": 3}, {"function": {"name": 1}}], {}]
)
def test_what_is_no_tool_is_left_out(tools: Any) -> None:
    assert parse_tools(tools) == ()
