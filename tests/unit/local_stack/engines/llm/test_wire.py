from __future__ import annotations

import json
from typing import Any

import pytest

from local_stack.engines.llm.dialogue import CallTool, Reply, Say
from local_stack.engines.llm.request import parse_request
from local_stack.engines.llm.wire import FINGERPRINT, Completion, model_list, sse

CALL = CallTool("book_room", {"city": "Mountain View", "people": 2})


def completion(reply: Reply, **request: Any) -> Completion:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **request}
    return Completion(parse_request(body), reply, prompt_tokens=10, cached_tokens=0, created_s=1)


def deltas(answer: Completion) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for _, chunk in answer.chunks() if chunk["choices"]]  # type: ignore[index]


def test_words_are_streamed_after_the_role() -> None:
    chunks = deltas(completion(Say("Hello there, friend."), stream=True))
    assert chunks[0] == {"role": "assistant", "content": "", "refusal": None}
    assert [chunk["content"] for chunk in chunks[1:-1]] == ["Hello", " there,", " friend."]
    assert chunks[-1] == {}


def test_a_tool_call_is_streamed_by_name_and_then_in_fragments() -> None:
    chunks = deltas(completion(CALL, stream=True))
    first = chunks[1]["tool_calls"][0]
    assert (first["index"], first["type"], first["function"]) == (
        0,
        "function",
        {"name": "book_room", "arguments": ""},
    )
    fragments = [chunk["tool_calls"][0]["function"]["arguments"] for chunk in chunks[2:-1]]
    assert len(fragments) > 1
    assert json.loads("".join(fragments)) == CALL.arguments


@pytest.mark.parametrize(
    ("reply", "limit", "reason"),
    [
        (Say("Hello there."), None, "stop"),
        (Say("Hello there."), 2, "length"),
        (CALL, None, "tool_calls"),
        (CALL, 3, "length"),
    ],
)
def test_the_finish_reason_tells_how_it_ended(reply: Reply, limit: int | None, reason: str) -> None:
    answer = completion(reply, max_tokens=limit, stream=True)
    assert answer.finish_reason == reason
    assert limit is None or answer.completion_tokens == limit
    last = [chunk for _, chunk in answer.chunks()][-1]
    assert last["choices"][0]["finish_reason"] == reason  # type: ignore[index]


def test_usage_comes_last_with_no_choices_and_only_when_asked_for() -> None:
    with_usage = [
        c for _, c in completion(Say("Hi"), stream=True, stream_options={"include_usage": True}).chunks()
    ]
    assert with_usage[-1]["choices"] == []
    assert with_usage[-1]["usage"]["total_tokens"] == 11  # type: ignore[index]
    assert all(chunk["usage"] is None for chunk in with_usage[:-1])
    assert all("usage" not in chunk for _, chunk in completion(Say("Hi"), stream=True).chunks())


def test_the_id_is_a_hash_of_the_request() -> None:
    assert completion(Say("a")).id == completion(Say("b")).id
    assert completion(Say("a")).id != completion(Say("a"), temperature=0.5).id


def test_every_answer_says_that_it_is_a_rule_engines() -> None:
    assert completion(Say("a")).whole()["system_fingerprint"] == FINGERPRINT == "parley-rule-engine"
    assert "not a language model" in str(model_list()["description"])


def test_odd_characters_survive_as_json_or_are_replaced() -> None:
    assert json.loads(sse({"x": "é\n\ud800"})[6:])["x"] == "é\n?"


def test_tokens_before_each_chunk_grow_to_the_whole() -> None:
    answer = completion(Say("one two three four"), stream=True)
    assert [sent for sent, _ in answer.chunks()] == [0, 0, 1, 2, 3, 4]
