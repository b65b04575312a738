"""The messages of a request, and how they are fed to a conversation."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from local_stack.engines.llm.conversation import Conversation, Reply, Say

SYSTEM_ROLES = frozenset({"system", "developer"})
_SUMMARY = re.compile(r"(?i)^#{1,3}\s*conversation so far\b")

Message = Mapping[str, object]


def system_prompt(messages: Sequence[Message]) -> str:
    """All system and developer messages as one text, and at its end the agent's own summary of earlier turns."""
    system = [text_of(m) for m in messages if role_of(m) in SYSTEM_ROLES]
    return "\n".join([*system, *(text_of(m) for m in messages if is_summary(m))])


def is_summary(message: Message) -> bool:
    """Whether a message is the agent's summary of turns that are no longer among the messages."""
    return role_of(message) == "assistant" and _SUMMARY.match(text_of(message)) is not None


def replay(conversation: Conversation, messages: Sequence[Message]) -> Reply | None:
    """Feed the messages to the conversation; the reply to the last one, None if it wants none."""
    names: dict[str, str] = {}
    reply: Reply | None = None
    for message in messages:
        role, text = role_of(message), text_of(message)
        if is_summary(message):
            continue  # read with the prompt
        if role == "user":
            reply = conversation.hear(text)
        elif role == "assistant":
            reply = None
            conversation.said(text)
            for call_id, name, arguments in tool_calls_of(message):
                names[call_id] = name
                conversation.called(name, arguments)
        elif role == "tool":
            name = names.get(str(message.get("tool_call_id")), "")
            result = conversation.result(name, text)
            reply = Say(conversation.after_result(name, result))
    return reply


def role_of(message: Message) -> str:
    """The role of a message, empty when it has none."""
    role = message.get("role")
    return role if isinstance(role, str) else ""


def text_of(message: Message) -> str:
    """The text of a message, whether its content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    parts = (part.get("text") for part in content if isinstance(part, Mapping))
    return " ".join(part for part in parts if isinstance(part, str))


def tool_calls_of(message: Message) -> list[tuple[str, str, Mapping[str, object]]]:
    """The tool calls of an assistant message: (id, name, arguments); arguments that are no object are empty."""
    calls = message.get("tool_calls")
    found: list[tuple[str, str, Mapping[str, object]]] = []
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping):
            continue
        raw = function.get("arguments")
        try:
            arguments = json.loads(raw) if isinstance(raw, str) else {}
        except (ValueError, RecursionError):
            arguments = {}
        fields = arguments if isinstance(arguments, dict) else {}
        found.append((str(call.get("id")), str(function.get("name")), fields))
    return found
