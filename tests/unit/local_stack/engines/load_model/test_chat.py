from __future__ import annotations

from typing import Any

import pytest

from local_stack.engines.load_model.chat import Answer, ChatRequest, answer_to
from local_stack.engines.load_model.profile import LlmProfile, ToolCall

PROFILE = LlmProfile(replies=("one", "two"))
TOOLS = [{"type": "function", "function": {"name": "book"}}]


def request(*roles: str, **fields: Any) -> ChatRequest:
    messages = [{"role": role, "content": "x"} for role in roles]
    return ChatRequest.model_validate({"model": "m", "messages": messages, **fields})


@pytest.mark.parametrize(
    ("roles", "reply"),
    [
        (["system"], "one"),
        (["user"], "one"),
        (["system", "user", "assistant", "user"], "two"),
        (["user", "assistant", "user", "assistant", "user"], "one"),
        (["user", "assistant", "tool"], "one"),
    ],
)
def test_replies_are_cycled_by_user_message(roles: list[str], reply: str) -> None:
    assert answer_to(request(*roles), PROFILE).text == reply


@pytest.mark.parametrize(
    ("roles", "fields", "turn", "called"),
    [
        (["user"], {"tools": TOOLS}, None, True),
        (["user"], {"tools": TOOLS}, 1, True),
        (["user"], {"tools": TOOLS}, 2, False),
        (["user"], {}, None, False),
        (["user"], {"tools": TOOLS, "tool_choice": "none"}, None, False),
        (["user", "assistant", "tool"], {"tools": TOOLS}, None, False),
    ],
)
def test_the_scripted_tool_is_called_in_its_turn_when_offered_and_not_done(
    roles: list[str], fields: dict[str, Any], turn: int | None, called: bool
) -> None:
    profile = LlmProfile(replies=("one",), tool_call=ToolCall(name="book", turn=turn))

    answer = answer_to(request(*roles, **fields), profile)

    assert (answer.tool_call is not None) is called
    assert answer.finish_reason == ("tool_calls" if called else "stop")


def test_tokens_put_together_are_the_answer() -> None:
    call = ToolCall(name="book", arguments={"room": "the blue one", "people": 4})

    assert Answer("one two three").tokens == ["one ", "two ", "three"]
    assert Answer("").tokens == []
    assert "".join(Answer("", call).tokens) == '{"room": "the blue one", "people": 4}'
