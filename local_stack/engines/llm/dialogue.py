"""From the messages of a request to the reply: the pure function behind the wire.

Every turn of the call is replayed from the messages, so two requests with the same messages get the same reply,
whichever process answers them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from local_stack.engines.llm import replies
from local_stack.engines.llm.conversation import CallTool, Conversation, Reply, Say
from local_stack.engines.llm.prompt import parse_prompt
from local_stack.engines.llm.replay import SYSTEM_ROLES, Message, replay, role_of, system_prompt, text_of
from local_stack.engines.llm.schema import parse_tools
from local_stack.engines.llm.summary import is_summary_request, summarise
from local_stack.engines.llm.text import MAX_CHARS

__all__ = ["CallTool", "Reply", "Say", "respond"]

_QUOTED = re.compile(r"[\"“]([^\"”\n]{1,300})[\"”]")
_GREET = re.compile(r"(?i)\b(?:greet|welcome|introduce yourself|say hello)\b")
_WRAP_UP = re.compile(r"(?i)\b(?:goodbye|wrap up|end the (?:call|conversation))\b")


def respond(messages: Sequence[Message], tools: object = None, *, max_tokens: int | None = None) -> Reply:
    """What the engine says or calls next. Deterministic, no I/O, no clock; never raises on any JSON.

    Args:
        messages: the request's `messages`, oldest first.
        tools: the request's `tools`.
        max_tokens: most tokens of the reply; only a summary is written to fit, anything else is cut by the wire.

    Returns:
        Words to say, or one tool call.
    """
    last: Message = messages[-1] if messages else {}
    parsed = parse_tools(tools)
    if role_of(last) == "user" and is_summary_request(text_of(last)):
        return Say(summarise(messages, parsed, max_tokens=max_tokens))
    conversation = Conversation(parse_prompt(system_prompt(messages)), parsed)
    reply = replay(conversation, messages)
    if reply is not None and role_of(last) not in SYSTEM_ROLES:
        return reply
    if len(messages) > 1 and role_of(last) in SYSTEM_ROLES:
        return Say(_directed(text_of(last), conversation))
    return Say(conversation.nudge())


def _directed(instruction: str, conversation: Conversation) -> str:
    """What a closing system message asks for: a goodbye, a greeting or a quoted text; else the call goes on."""
    text = instruction[:MAX_CHARS]
    quoted = _QUOTED.search(text)
    if quoted is not None:
        return quoted[1]
    if _WRAP_UP.search(text):
        return replies.GOODBYE
    return conversation.prompt.greeting if _GREET.search(text) else conversation.nudge()
