"""An extractive summary of a call: facts as `key: value` lines, then who said what.

The same lines are read back by `prompt.parse_prompt` when the agent puts the summary before its messages, and a
form that was open when older turns were replaced goes on from there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from local_stack.engines.llm.conversation import Conversation
from local_stack.engines.llm.prompt import CALLED, parse_prompt
from local_stack.engines.llm.replay import is_summary, replay, role_of, system_prompt, text_of, tool_calls_of
from local_stack.engines.llm.schema import Tool
from local_stack.engines.llm.tokens import count_tokens

DEFAULT_TOKENS = 400
_LEAST_TOKENS = 8
_MAX_LINE_CHARS = 160
_REQUEST = re.compile(r"(?i)^\s*summari[sz]e the conversation so far")
_TRANSCRIPT = re.compile(r"(?i)^[-*\s]*(caller|user|customer|agent|assistant|tool)\s*:\s*(\S.*)$")
_ROLES = {
    "caller": "user",
    "user": "user",
    "customer": "user",
    "agent": "assistant",
    "assistant": "assistant",
}


def is_summary_request(text: str) -> bool:
    """Whether a user message is the agent's own request for a summary."""
    return _REQUEST.match(text) is not None


def summarise(
    messages: Sequence[Mapping[str, object]], tools: tuple[Tool, ...] = (), *, max_tokens: int | None = None
) -> str:
    """Summarise the turns before the request, or the transcript that stands in the request itself.

    Args:
        messages: all messages; the last one is the request for a summary. Lines "caller: ..." and "agent: ..."
            in it count as turns too.
        tools: tools of the call, if the request has them: values given for an open form are facts then.
        max_tokens: most tokens; 400 when None. Facts come first, then as many of the newest lines as fit.

    Returns:
        Lines `key: value` for each fact, `result of <tool>: ...`, then `- caller: ...`, `- agent: ...` and
        `- called <tool>` in the order of the call.
    """
    earlier = [*messages[:-1], *_transcript(text_of(messages[-1]))]
    prompt = parse_prompt(system_prompt(earlier))
    conversation = Conversation(prompt, tools)
    replay(conversation, earlier)
    facts = [f"{key.replace('_', ' ')}: {value}" for key, value in conversation.facts.values.items()]
    facts += [f"result of {tool}: {text}" for tool, text in conversation.facts.results.items() if tool]
    lines = [
        f"- called {text}" if who == CALLED else f"- {who}: {text}" for who, text in prompt.summary_lines
    ]
    for message in earlier:
        if is_summary(message):
            continue
        role, said = role_of(message), _one_line(text_of(message))
        if role == "user" and said:
            lines.append(f"- caller: {said}")
        elif role == "assistant":
            lines += [f"- agent: {said}"] if said else []
            lines += [f"- called {name}" for _, name, _ in tool_calls_of(message)]
    return _fit(facts, lines, max(max_tokens or DEFAULT_TOKENS, _LEAST_TOKENS))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_LINE_CHARS]


def _transcript(request: str) -> list[dict[str, object]]:
    """Turns written out in the request itself."""
    turns: list[dict[str, object]] = []
    for line in request.splitlines()[1:]:
        match = _TRANSCRIPT.match(line)
        if match and match[1].lower() in _ROLES:
            turns.append({"role": _ROLES[match[1].lower()], "content": match[2]})
    return turns


def _fit(facts: Sequence[str], lines: Sequence[str], budget: int) -> str:
    """Facts first, then the newest lines, as long as they fit."""
    kept: list[str] = []
    left = budget
    for fact in facts:
        left -= count_tokens(f"{fact}\n")
        if left < 0:
            return "\n".join(kept)
        kept.append(fact)
    newest: list[str] = []
    for line in reversed(lines):
        left -= count_tokens(f"{line}\n")
        if left < 0:
            break
        newest.insert(0, line)
    return "\n".join([*kept, *newest])
