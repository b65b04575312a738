"""Histories as the voice loop builds them."""

from __future__ import annotations

from typing import Any

from livekit.agents import llm

from edge_agents.session.budget import history, total_tokens


class Conversation:
    """A history as the voice loop builds it, with growing times."""

    def __init__(self) -> None:
        self.ctx = llm.ChatContext.empty()
        self.at = 1000.0
        self._add(llm.ChatMessage(role="system", content=["You are Ada."]))
        self._add(llm.ChatMessage(role="system", content=["This call began on Friday."]))

    def _add(self, item: Any) -> None:
        self.at += 1
        item.created_at = self.at
        self.ctx.items.append(item)

    def caller(self, text: str) -> Conversation:
        self._add(llm.ChatMessage(role="user", content=[text]))
        return self

    def agent(self, text: str) -> Conversation:
        self._add(llm.ChatMessage(role="assistant", content=[text]))
        return self

    def calls(self, call_id: str, arguments: str = "{}") -> Conversation:
        self._add(llm.FunctionCall(call_id=call_id, name="book", arguments=arguments))
        return self

    def result(self, call_id: str, output: str = "ok") -> Conversation:
        self._add(llm.FunctionCallOutput(call_id=call_id, name="book", output=output, is_error=False))
        return self

    def exchange(self, text: str = "x" * 100, reply: str = "y" * 100) -> Conversation:
        return self.caller(text).agent(reply)


def is_caller(item: llm.ChatItem) -> bool:
    return isinstance(item, llm.ChatMessage) and item.role == "user"


def tokens(ctx: llm.ChatContext) -> int:
    return total_tokens(history(ctx))


def texts(items: list[llm.ChatItem]) -> list[str]:
    return [item.text_content or "" for item in items if isinstance(item, llm.ChatMessage)]
