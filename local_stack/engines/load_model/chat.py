"""OpenAI's `/v1/chat/completions` (streamed or whole, with a scripted tool call) and `/v1/models`.

Wire format: platform.openai.com/docs/api-reference/chat, and what livekit-plugins-openai 1.8.9 reads of it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local_stack.engines.load_model.draws import Draw
from local_stack.engines.load_model.faults import ActiveFault, Target
from local_stack.engines.load_model.outbox import sleep_until
from local_stack.engines.load_model.profile import LlmProfile, ToolCall
from local_stack.engines.load_model.state import LOAD_MODEL, LoadModel
from local_stack.engines.load_model.vendor_errors import Refused
from local_stack.engines.load_model.visit import answer_json, api_key, visit
from local_stack.engines.load_model.wire import HttpWire

MODELS = ("load-model", "load-model-fallback")
"""Named by `/v1/models`; any other name is served as well."""

_ARGUMENT_FRAGMENT_CHARS = 12


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _ChatMessage(_Loose):
    role: str
    content: Any = None


class _Function(_Loose):
    name: str


class _Tool(_Loose):
    function: _Function | None = None


class _StreamOptions(_Loose):
    include_usage: bool = False


class ChatRequest(_Loose):
    """The part of a request that the model looks at."""

    model: str = Field(min_length=1, max_length=200)
    messages: list[_ChatMessage] = Field(min_length=1, max_length=10_000)
    tools: list[_Tool] | None = None
    tool_choice: Any = None
    stream: bool = False
    stream_options: _StreamOptions | None = None

    @property
    def user_messages(self) -> int:
        return sum(message.role == "user" for message in self.messages)

    @property
    def prompt_tokens(self) -> int:
        """Four characters a token."""
        return sum(len(str(message.content or "")) for message in self.messages) // 4

    def offers(self, name: str) -> bool:
        """Whether a tool of this name may be called."""
        offered = any(tool.function and tool.function.name == name for tool in self.tools or ())
        return offered and self.tool_choice != "none"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: words, or a tool call."""

    text: str
    tool_call: ToolCall | None = None

    @property
    def tokens(self) -> list[str]:
        """Streamed pieces: words with the space after them, or fragments of the call's arguments."""
        if self.tool_call is not None:
            arguments = json.dumps(self.tool_call.arguments)
            size = _ARGUMENT_FRAGMENT_CHARS
            return [arguments[start : start + size] for start in range(0, len(arguments), size)]
        words = self.text.split()
        return [f"{word} " for word in words[:-1]] + words[-1:]

    @property
    def finish_reason(self) -> str:
        return "tool_calls" if self.tool_call else "stop"


def answer_to(request: ChatRequest, llm: LlmProfile) -> Answer:
    """Reply k for the k-th user message, or the scripted tool call when it is its turn and not done yet."""
    turn = max(request.user_messages, 1)
    reply = llm.replies[(turn - 1) % len(llm.replies)]
    call = llm.tool_call
    if (
        call
        and call.turn in {None, turn}
        and request.offers(call.name)
        and request.messages[-1].role != "tool"
    ):
        return Answer("", call)
    return Answer(reply)


async def complete(request: web.Request) -> web.StreamResponse:
    """`POST /v1/chat/completions`."""
    model = request.app[LOAD_MODEL]
    received_at = time.monotonic()
    try:
        chat = ChatRequest.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused("openai", 400, f"{where or 'body'}: {first['msg']}") from None
    target = Target("llm", "openai", api_key(request), chat.model)
    async with visit(request, model, target) as fault:
        answer = answer_to(chat, model.profile.llm)
        if fault is not None and fault.kind == "empty":
            answer = Answer("")
        completion = _Completion(
            chat, answer, _draw(model, target, chat, answer=answer, fault=fault, received_at=received_at)
        )
        if chat.stream:
            return await _stream(request, model, completion, fault)
        await sleep_until(completion.token_due_at(len(answer.tokens)))
        headers = {"x-request-id": completion.draw.request_id}
        response = await answer_json(request, model, completion.whole(), fault, headers)
        completion.draw.first_token_at = completion.draw.done_at = time.monotonic()
        return response


async def list_models(_: web.Request) -> web.Response:
    """`GET /v1/models`: also what clients prewarm their connection with, so no fault strikes here."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "load-model"} for name in MODELS]
    return web.json_response({"object": "list", "data": models})


@dataclass(slots=True)
class _Completion:
    """One answer on its way, as the protocol's objects."""

    chat: ChatRequest
    answer: Answer
    draw: Draw

    def token_due_at(self, index: int) -> float:
        """Instant at which token `index` (from 0) is due; tokens are late together, they don't drift."""
        assert self.draw.tokens_per_s
        first_at = self.draw.received_at + (self.draw.draw_ms + self.draw.fault_ms) / 1000
        return first_at + index / self.draw.tokens_per_s

    def whole(self) -> dict[str, Any]:
        """The unstreamed object."""
        message: dict[str, Any] = {"role": "assistant", "content": self.answer.text}
        if self.answer.tool_call is not None:
            call = {"id": self._call_id, "type": "function", "function": self._function}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": self.answer.finish_reason}
        return {**self._base("chat.completion"), "choices": [choice], "usage": self._usage}

    def opening(self) -> bytes:
        """The event before the first token."""
        delta: dict[str, Any] = {"role": "assistant", "content": ""}
        if self.answer.tool_call is not None:
            function = {"name": self.answer.tool_call.name, "arguments": ""}
            call = {"index": 0, "id": self._call_id, "type": "function", "function": function}
            delta = {"role": "assistant", "content": None, "tool_calls": [call]}
        return self._event(delta)

    def token_events(self) -> Iterator[bytes]:
        for token in self.answer.tokens:
            if self.answer.tool_call is not None:
                yield self._event({"tool_calls": [{"index": 0, "function": {"arguments": token}}]})
            else:
                yield self._event({"content": token})

    def closing(self) -> bytes:
        """The events after the last token."""
        end = self._event({}, self.answer.finish_reason)
        if self.chat.stream_options and self.chat.stream_options.include_usage:
            usage = {**self._base("chat.completion.chunk"), "choices": [], "usage": self._usage}
            end += _sse(json.dumps(usage))
        return end + _sse("[DONE]")

    def _event(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _sse(json.dumps({**self._base("chat.completion.chunk"), "choices": [choice]}))

    def _base(self, kind: str) -> dict[str, Any]:
        created = int(time.time())
        return {"id": self.draw.request_id, "object": kind, "created": created, "model": self.chat.model}

    @property
    def _call_id(self) -> str:
        return f"call_{self.draw.request_id.removeprefix('chatcmpl-')[:24]}"

    @property
    def _function(self) -> dict[str, str]:
        assert self.answer.tool_call is not None
        return {"name": self.answer.tool_call.name, "arguments": json.dumps(self.answer.tool_call.arguments)}

    @property
    def _usage(self) -> dict[str, Any]:
        prompt, output = self.chat.prompt_tokens, len(self.answer.tokens)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }


async def _stream(
    request: web.Request, model: LoadModel, completion: _Completion, fault: ActiveFault | None
) -> web.StreamResponse:
    draw = completion.draw
    headers = {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-cache",
        "x-request-id": draw.request_id,
    }
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    wire = HttpWire(
        request, response, model.faults, keep_alive=b": keep-alive\n\n", garbage=_sse('{"id": "chatcmpl-')
    )
    try:
        await sleep_until(completion.token_due_at(0))
        await response.write(completion.opening())
        for index, event in enumerate(completion.token_events()):
            await sleep_until(completion.token_due_at(index))
            if await wire.content(event, fault) and draw.first_token_at is None:
                draw.first_token_at = time.monotonic()
        await response.write(completion.closing())
        draw.done_at = time.monotonic()
    finally:
        draw.cancelled = draw.done_at is None
    return response


def _draw(
    model: LoadModel,
    target: Target,
    chat: ChatRequest,
    *,
    answer: Answer,
    fault: ActiveFault | None,
    received_at: float,
) -> Draw:
    return model.draws.add(
        Draw(
            stage="llm",
            vendor=target.vendor,
            key=target.key,
            model=target.model,
            request_id=f"chatcmpl-{uuid.uuid4().hex}",
            draw_ms=model.chances.draw("llm.ttft", model.profile.llm.ttft_ms),
            received_at=received_at,
            index=max(chat.user_messages, 1) - 1,
            text=answer.text,
            fault=fault.kind if fault else None,
            fault_ms=fault.delay_s * 1000 if fault else 0.0,
            tokens_per_s=model.chances.draw("llm.rate", model.profile.llm.tokens_per_s),
        )
    )


def _sse(data: str) -> bytes:
    return b"data: " + data.encode() + b"\n\n"
