from __future__ import annotations

from typing import Any

import pytest

from local_stack.engines.llm.request import RequestError, parse_request
from tests.unit.local_stack.engines.llm.calls import BOOK_ROOM, END_CALL

USER = {"role": "user", "content": "hello"}


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "gpt-4.1-mini", "messages": [USER], **changes}


def calling(*ids: str) -> dict[str, Any]:
    function = {"name": "book_room", "arguments": "{}"}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": i, "type": "function", "function": function} for i in ids],
    }


def result(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "done"}


def test_a_plain_request_is_read() -> None:
    request = parse_request(body(stream=True, stream_options={"include_usage": True}, tools=[BOOK_ROOM]))
    assert (request.model, request.stream, request.include_usage) == ("gpt-4.1-mini", True, True)
    assert request.tools == (BOOK_ROOM,)
    assert request.max_tokens is None


def test_the_newer_token_limit_wins() -> None:
    assert parse_request(body(max_tokens=5)).max_tokens == 5
    assert parse_request(body(max_tokens=5, max_completion_tokens=7)).max_tokens == 7


def test_tool_choice_narrows_the_tools() -> None:
    tools = [BOOK_ROOM, END_CALL]
    assert parse_request(body(tools=tools, tool_choice="none")).tools == ()
    assert parse_request(body(tools=tools, tool_choice="auto")).tools == tuple(tools)
    named = {"type": "function", "function": {"name": "end_call"}}
    assert parse_request(body(tools=tools, tool_choice=named)).tools == (END_CALL,)


def test_a_context_with_every_call_answered_is_accepted() -> None:
    parse_request(body(messages=[USER, calling("a", "b"), result("b"), result("a"), USER]))


STRICT = {
    "name": "f",
    "strict": True,
    "parameters": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
}


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [3]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content"),
        ({"messages": [USER] * 3000}, "messages"),
        ({"messages": [USER, result("a")]}, "messages.[1].role"),
        ({"messages": [USER, calling("a"), USER]}, "messages"),
        ({"messages": [USER, calling("a", "b"), result("a")]}, "messages"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"n": 2}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": "many"}, "max_completion_tokens"),
        ({"tools": []}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": "has space"}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}]},
            "tools[0].function.parameters",
        ),
        ({"tools": [{"type": "function", "function": STRICT}]}, "tools[0].function.parameters"),
        ({"tool_choice": "auto"}, "tool_choice"),
        (
            {"tools": [END_CALL], "tool_choice": {"type": "function", "function": {"name": "other"}}},
            "tool_choice",
        ),
    ],
)
def test_a_bad_request_is_refused_and_says_where(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_request(body(**changes))
    assert refused.value.param == param


@pytest.mark.parametrize("value", [None, 3, "x", []])
def test_a_body_that_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(RequestError):
        parse_request(value)
