"""Answers on the wire: completions, stream chunks, error bodies and the model list, as OpenAI sends them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from local_stack.engines.llm.dialogue import CallTool, Reply, Say
from local_stack.engines.llm.request import ChatRequest
from local_stack.engines.llm.tokens import split_tokens

FINGERPRINT = "parley-rule-engine"
"""`system_fingerprint` of every answer: nobody should take one for a language model's."""
ABOUT = (
    "A deterministic rule engine for local runs and tests. It is not a language model: it finds answers in the "
    "system prompt by word likeness and fills tool arguments by rules. Its answers say nothing about the quality of "
    "any model's. It answers to any model name."
)
MODELS = ("local-dialogue", "local-echo", "local-slow", "local-error-429", "local-error-500")
_WORD = re.compile(r"\s*\S+\s*$|\s*\S+")
_ARGUMENT_CHARS = 12
"""Length of one fragment of tool arguments, about what OpenAI sends."""


@dataclass(frozen=True)
class Completion:
    """One finished answer, ready to be sent whole or in chunks."""

    request: ChatRequest
    reply: Reply
    prompt_tokens: int
    cached_tokens: int
    created_s: int
    """Unix time."""

    @cached_property
    def id(self) -> str:
        """A hash of the whole request: the same request has the same id."""
        return f"chatcmpl-{_digest(self.request.body, 29)}"

    @cached_property
    def _all_tokens(self) -> list[str]:
        if isinstance(self.reply, Say):
            return split_tokens(self.reply.text)
        return [self.reply.name, *split_tokens(_arguments(self.reply))]

    @property
    def completion_tokens(self) -> int:
        """Tokens of the answer after any cut."""
        limit = self.request.max_tokens
        return len(self._all_tokens) if limit is None else min(limit, len(self._all_tokens))

    @property
    def finish_reason(self) -> str:
        """`stop`, `tool_calls`, or `length` when the token limit cut the answer."""
        if self.completion_tokens < len(self._all_tokens):
            return "length"
        return "tool_calls" if isinstance(self.reply, CallTool) else "stop"

    @property
    def body_text(self) -> str:
        """What is said, or the arguments of the call, after any cut."""
        kept = self._all_tokens[: self.completion_tokens]
        return "".join(kept[1:] if isinstance(self.reply, CallTool) else kept)

    @property
    def _call_id(self) -> str:
        return f"call_{_digest([self.id, 'call'], 24)}"

    @property
    def usage(self) -> dict[str, object]:
        """The usage object."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def whole(self) -> dict[str, object]:
        """The body of an answer that is not streamed."""
        message: dict[str, object] = {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "annotations": [],
        }
        if isinstance(self.reply, CallTool):
            function = {"name": self.reply.name, "arguments": self.body_text}
            message["tool_calls"] = [{"id": self._call_id, "type": "function", "function": function}]
        else:
            message["content"] = self.body_text
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return self._envelope("chat.completion") | {"choices": [choice], "usage": self.usage}

    def chunks(self) -> Iterator[tuple[int, dict[str, object]]]:
        """The stream's chunks: (tokens sent before this chunk, chunk).

        Role, then words or a tool call's name and argument fragments, then the finish reason, then usage with
        no choices if it was asked for.
        """
        calls = isinstance(self.reply, CallTool)
        yield 0, self._chunk({"role": "assistant", "content": None if calls else "", "refusal": None})
        sent = 0
        for delta, text in self._call_deltas() if isinstance(self.reply, CallTool) else self._word_deltas():
            yield sent, self._chunk(delta)
            sent += len(split_tokens(text))
        yield sent, self._chunk({}, self.finish_reason)
        if self.request.include_usage:
            yield sent, self._envelope("chat.completion.chunk") | {"choices": [], "usage": self.usage}

    def _word_deltas(self) -> Iterator[tuple[dict[str, object], str]]:
        for word in _WORD.findall(self.body_text):
            yield {"content": word}, word

    def _call_deltas(self) -> Iterator[tuple[dict[str, object], str]]:
        assert isinstance(self.reply, CallTool)
        name, text = self.reply.name, self.body_text
        opening = {
            "index": 0,
            "id": self._call_id,
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        yield {"tool_calls": [opening]}, name
        for start in range(0, len(text), _ARGUMENT_CHARS):
            fragment = text[start : start + _ARGUMENT_CHARS]
            yield {"tool_calls": [{"index": 0, "function": {"arguments": fragment}}]}, fragment

    def _chunk(self, delta: Mapping[str, object], finish_reason: str | None = None) -> dict[str, object]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self.request.include_usage else {}
        return self._envelope("chat.completion.chunk") | {"choices": [choice]} | usage

    def _envelope(self, kind: str) -> dict[str, object]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created_s,
            "model": self.request.model,
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
        }


def _arguments(reply: CallTool) -> str:
    return json.dumps(dict(reply.arguments), ensure_ascii=False)


def _digest(value: object, length: int) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def sse(data: Mapping[str, object]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(data, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n"


DONE = b"data: [DONE]\n\n"


def error_body(
    message: str, *, kind: str = "invalid_request_error", param: str | None = None, code: str | None = None
) -> dict[str, object]:
    """OpenAI's error object."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def model_body(model: str) -> dict[str, object]:
    """One entry of the model list."""
    return {"id": model, "object": "model", "created": 0, "owned_by": FINGERPRINT, "description": ABOUT}


def model_list() -> dict[str, object]:
    """The body of `GET /v1/models`."""
    return {"object": "list", "description": ABOUT, "data": [model_body(model) for model in MODELS]}
