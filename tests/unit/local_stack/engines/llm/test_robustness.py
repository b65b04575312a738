"""Whatever stands in a request, the engine answers: nothing raises."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_stack.engines.llm.dialogue import CallTool, Say, respond
from local_stack.engines.llm.prompt_cache import PromptCache
from local_stack.engines.llm.request import RequestError, parse_request
from local_stack.engines.llm.text import words_of
from local_stack.engines.llm.tokens import prompt_tokens
from local_stack.engines.llm.wire import Completion
from tests.unit.local_stack.engines.llm.calls import DENTAL, PIZZA, ROOMS, SYSTEM

WORDS = sorted(
    words_of(
        """book a room two thirty pm half an hour next tuesday the fourteenth of july no actually make it three people
        my name is john yes cancel that what was my time quarter past to double five at goodbye order pizza large not
        oh point and dozen in days summarise conversation so far ? : ' - @ dot"""
    )
)
SPEECH = st.one_of(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), st.text(max_size=60))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SCHEMA = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(
                ["string", "integer", "number", "boolean", "array", "object", "null", 3, None]
            ),
            "description": st.sampled_from(["name?", "Which day?", "", "phone", None, 3]),
            "format": st.sampled_from(["date", "time", "date-time", "duration", "email", 1]),
            "enum": st.lists(st.sampled_from(["", "a", "large", 1, 2.5, None, True, [], {}]), max_size=3)
            | st.text(),
            "minimum": JSON,
            "$ref": st.sampled_from(["#/properties/a", "#/", "x"]),
        },
    ),
    lambda inner: st.fixed_dictionaries({"anyOf": st.lists(inner, max_size=2), "items": inner}),
    max_leaves=4,
)
TOOLS = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.just("function"),
            "function": st.fixed_dictionaries(
                {
                    "name": st.sampled_from(["book_room", "end_call", "take_message", "x"]),
                    "description": st.sampled_from(["Book a room.", "", "confirm first"])
                    | st.text(max_size=20),
                    "parameters": st.fixed_dictionaries(
                        {
                            "type": st.just("object"),
                            "properties": st.dictionaries(
                                st.sampled_from(["a", "name", "day", "time", "people", "", "é x"]),
                                SCHEMA,
                                max_size=4,
                            ),
                            "required": st.lists(st.sampled_from(["a", "name", "day", "people"]), max_size=3),
                        }
                    ),
                }
            ),
        }
    ),
    max_size=3,
)
COMMON = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(reply: object) -> None:
    assert isinstance(reply, Say | CallTool)
    if isinstance(reply, CallTool):
        json.dumps(dict(reply.arguments), allow_nan=False)


@COMMON
@given(st.lists(SPEECH, max_size=8), st.sampled_from([DENTAL, PIZZA, ROOMS, None]), st.text(max_size=100))
def test_any_words_get_a_reply(turns: list[str], tools: Any, prompt: str) -> None:
    messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM + prompt}]
    for turn in turns:
        messages.append({"role": "user", "content": turn})
        reply = respond(messages, tools)
        check(reply)
        if isinstance(reply, Say):
            messages.append({"role": "assistant", "content": reply.text})


@COMMON
@given(st.lists(SPEECH, min_size=1, max_size=5), TOOLS)
def test_any_schema_gets_a_reply(turns: list[str], tools: list[dict[str, Any]]) -> None:
    for end in range(1, len(turns) + 1):
        check(respond([{"role": "user", "content": turn} for turn in turns[:end]], tools))


@COMMON
@given(
    st.lists(st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "x"]), JSON, max_size=4)), JSON
)
def test_any_json_gets_a_reply(messages: list[dict[str, Any]], tools: Any) -> None:
    check(respond(messages, tools))


@COMMON
@given(JSON | st.text(), SPEECH)
def test_any_tool_result_is_spoken(result: Any, turn: str) -> None:
    content = result if isinstance(result, str) else json.dumps(result)
    call = {"id": "1", "type": "function", "function": {"name": "book_room", "arguments": content}}
    messages = [
        {"role": "user", "content": turn},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": content},
    ]
    check(respond(messages, ROOMS))
    check(respond([*messages, {"role": "user", "content": "what was my name"}], ROOMS))


@COMMON
@given(st.lists(SPEECH, max_size=5), st.integers(1, 40))
def test_any_summary_fits_and_can_be_read_back(turns: list[str], max_tokens: int) -> None:
    said = [{"role": "user", "content": turn} for turn in turns]
    request = {"role": "user", "content": "Summarise the conversation so far."}
    reply = respond([{"role": "system", "content": SYSTEM}, *said, request], max_tokens=max_tokens)
    assert isinstance(reply, Say)
    system = f"{SYSTEM}# Conversation so far (summary)\n{reply.text}"
    check(respond([{"role": "system", "content": system}, {"role": "user", "content": "book a room"}], ROOMS))


@COMMON
@given(st.dictionaries(st.sampled_from(["model", "messages", "tools", "stream", "max_tokens", "n"]), JSON))
def test_any_body_is_answered_or_refused(body: dict[str, Any]) -> None:
    try:
        request = parse_request(body)
    except RequestError:
        return
    tokens = prompt_tokens(request.messages, list(request.tools))
    PromptCache(lambda: 0.0).match(request.model, tokens)
    list(Completion(request, Say("x"), len(tokens), 0, 0).chunks())
