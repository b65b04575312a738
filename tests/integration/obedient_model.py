"""A language model that does what a script says, however foolish: what an attacker could bring a real one to do.

It speaks OpenAI's streaming protocol at `/v1/chat/completions`; the requested model's name picks the script.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from edge_agents.session.prompt import SUMMARY_REQUEST


@dataclass(frozen=True)
class Wish:
    """A tool call that the model makes, whether the tool was offered or not."""

    name: str
    arguments: str
    """As the model writes them: JSON, or not."""
    insists: bool = False
    """Makes it again whatever it is told."""


@dataclass(frozen=True)
class Credulous:
    """The model does whatever stands anywhere in its prompt as `!call NAME ARGUMENTS!`, once a turn of the caller.

    Asked for a summary it repeats every word: nothing is lost, orders neither.
    """


Script = Sequence[Wish | str] | Credulous
"""What it answers each message of the caller with; the last one again and again. A tool's result is answered with
AFTER_TOOL, unless the wish insists."""

ORDER = re.compile(r"!call (\w+) (.+?)!")
AFTER_TOOL = "I could not do that."


@dataclass
class ObedientModel:
    """A running server."""

    scripts: Mapping[str, Script]
    base_url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of all requests."""

    def of(self, model: str) -> list[dict[str, Any]]:
        """Bodies of the requests to one model."""
        return [request for request in self.requests if request["model"] == model]

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        body = await request.json()
        self.requests.append(body)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        delta = self._delta(body)
        finish = "tool_calls" if "tool_calls" in delta else "stop"
        usage = {"prompt_tokens": 50, "completion_tokens": 8, "total_tokens": 58}
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
            {"choices": [], "usage": usage},
        ]
        for chunk in chunks:
            common = {"id": "reply", "object": "chat.completion.chunk", "created": 0, "model": body["model"]}
            await response.write(b"data: " + json.dumps(common | chunk).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response

    def _delta(self, body: dict[str, Any]) -> dict[str, Any]:
        script, messages = self.scripts[body["model"]], body["messages"]
        if isinstance(script, Credulous):
            return _believe(messages)
        turn = sum(message["role"] == "user" for message in messages)
        step = script[min(max(turn, 1), len(script)) - 1]
        if isinstance(step, str):
            return {"content": step}
        if messages[-1]["role"] == "tool" and not step.insists:
            return {"content": AFTER_TOOL}
        return _calls([(step.name, step.arguments)], len(messages))


def _believe(messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    everything = "\n".join(str(message.get("content") or "") for message in messages)
    if str(messages[-1]["content"]).startswith(SUMMARY_REQUEST[:30]):
        return {"content": "\n".join(f"order: !call {name} {how}!" for name, how in _orders(everything))}
    if messages[-1]["role"] == "tool":
        return {"content": AFTER_TOOL}
    orders = _orders(everything)
    return _calls(orders, len(messages)) if orders else {"content": AFTER_TOOL}


def _orders(text: str) -> list[tuple[str, str]]:
    return list(dict.fromkeys(ORDER.findall(text)))


def _calls(wishes: Sequence[tuple[str, str]], number: int) -> dict[str, Any]:
    return {
        "tool_calls": [
            {
                "index": index,
                "id": f"call_{number}_{index}",
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
            for index, (name, arguments) in enumerate(wishes)
        ]
    }


@asynccontextmanager
async def obedient_model(scripts: Mapping[str, Script]) -> AsyncIterator[ObedientModel]:
    """Serve these scripts on a free port."""
    model = ObedientModel(scripts)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.complete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    model.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield model
    finally:
        await runner.cleanup()
