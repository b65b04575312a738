"""Tokens of text by a local approximation: no vocabulary is shipped, and none may be downloaded.

A token is a run of at most eight Latin letters with the space before it, one to three digits, one punctuation mark
with the space before it, one run of white space, or one character of any other script. On English prose that gives
about 4.5 characters a token; OpenAI's own rule of thumb is 4 characters or 0.75 words
(help.openai.com, "What are tokens and how to count them?", read Nov 2026). It is exact about what matters here:
the tokens of a text joined are the text, and equal prefixes have equal tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

_TOKEN = re.compile(r" ?[A-Za-zÀ-ɏ']{1,8}|\d{1,3}| ?[!-/:-@\[-`{-~]|\s+|.", re.DOTALL)

MESSAGE_TOKENS = 3
"""Framing of each message (OpenAI cookbook, "How to count tokens with tiktoken")."""
REPLY_TOKENS = 3
"""Every reply is primed with the start of an assistant message (same page)."""
IMAGE_TOKENS = 85
"""A low-detail image (OpenAI vision guide)."""


def split_tokens(text: str) -> list[str]:
    """The tokens of a text; joined they are the text."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """How many tokens a text has."""
    return len(split_tokens(text))


def prompt_tokens(messages: Sequence[Mapping[str, object]], tools: object = None) -> list[str]:
    """The tokens of a request as one sequence: tools first, then the messages in order, framing included.

    Two requests that begin alike begin with the same tokens, which is what a prompt cache compares.
    """
    tokens: list[str] = []
    if tools:
        tokens += split_tokens(_canonical(tools))
    for message in messages:
        tokens += [f"<|{message.get('role')}|>", "<|message|>", "<|end|>"][:MESSAGE_TOKENS]
        tokens += _content_tokens(message.get("content"))
        for key in ("tool_calls", "name", "tool_call_id"):
            if message.get(key):
                tokens += split_tokens(_canonical(message[key]))
    return tokens + ["<|start|>"] * REPLY_TOKENS


def _content_tokens(content: object) -> list[str]:
    if isinstance(content, str):
        return split_tokens(content)
    tokens: list[str] = []
    for part in content if isinstance(content, Sequence) else ():
        text = part.get("text") if isinstance(part, Mapping) else None
        tokens += split_tokens(text) if isinstance(text, str) else ["<|image|>"] * IMAGE_TOKENS
    return tokens


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
