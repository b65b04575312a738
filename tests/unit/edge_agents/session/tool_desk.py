"""A ToolBox whose HTTP is scripted, run as the voice loop runs tools. Used by test_tools."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from livekit.agents import RunContext, llm
from livekit.agents.llm.utils import FunctionCallResult, execute_function_call

from edge_agents.session.tools import ToolBox
from edge_agents.session.turns import ToolCall
from shared.net import GuardedClient, GuardedResponse, Method
from tests.fakes.clock import FakeClock
from tests.fakes.configs import agent_config
from tests.fakes.transfer import FakeTransfer

CALL_ID = "call_01K9Z0000000000000000000AB"
BOOK: dict[str, Any] = {
    "name": "book_room",
    "description": "Book a room.",
    "url": "https://tools.example.com/book",
    "parameters": {
        "type": "object",
        "properties": {
            "day": {"type": "string", "enum": ["friday", "saturday"]},
            "guest": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        },
        "required": ["day"],
    },
}


@dataclass
class Request:
    """What reached the scripted client."""

    method: str
    url: str
    json: Any
    headers: dict[str, str]
    timeout_s: float
    max_bytes: int
    raise_for_status: bool


class ScriptedHttp(GuardedClient):
    """GuardedClient that answers from a function and connects to nothing."""

    def __init__(self, answer: Callable[[], Awaitable[GuardedResponse]]) -> None:
        super().__init__()
        self.answer = answer
        self.requests: list[Request] = []

    async def request(
        self,
        method: Method,
        url: str,
        *,
        json: object | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float,
        max_bytes: int,
        raise_for_status: bool = True,
    ) -> GuardedResponse:
        """Note the request and give the scripted answer."""
        assert body is None
        self.requests.append(
            Request(method, url, json, dict(headers or {}), timeout_s, max_bytes, raise_for_status)
        )
        return await self.answer()


@dataclass
class Desk:
    """One call's tools and everything that they touch."""

    config: dict[str, Any] = field(default_factory=dict)
    answer: Callable[[], Awaitable[GuardedResponse]] | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    recorded: list[ToolCall] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    transfer: FakeTransfer = field(default_factory=FakeTransfer)

    def __post_init__(self) -> None:
        self.http = ScriptedHttp(self.answer or (lambda: answered('{"booked":true}')))
        config = agent_config(**{"tools": [BOOK], **self.config})
        self.box = ToolBox(
            config,
            call_id=CALL_ID,
            http=self.http,
            clock=self.clock,
            record=self.recorded.append,
            end_call=lambda: self.ended.append("goodbye"),
            transfer=lambda target: self.transfer.transfer(
                call_id=CALL_ID, target=target, address=config.transfer_targets[target]
            ),
        )
        self.context = llm.ToolContext(self.box.tools())

    async def use(
        self, name: str, arguments: dict[str, Any] | str, *, call_id: str = "t1"
    ) -> FunctionCallResult:
        """Have the model call a tool."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        call = llm.FunctionCall(call_id=call_id, name=name, arguments=text)
        session: Any = SimpleNamespace(
            say=lambda text, **options: self.said.append(f"{text} {options}"), _global_run_state=None
        )
        speech: Any = SimpleNamespace(num_steps=1)
        run: RunContext[None] = RunContext(session=session, speech_handle=speech, function_call=call)
        return await execute_function_call(
            llm.FunctionToolCall(name=name, arguments=text, call_id=call_id), self.context, call_ctx=run
        )


async def answered(body: str | bytes, status: int = 200) -> GuardedResponse:
    """A tool server's answer."""
    return GuardedResponse(status=status, headers={}, body=body.encode() if isinstance(body, str) else body)


def output(result: FunctionCallResult) -> str:
    """What the model reads."""
    assert result.fnc_call_out is not None
    return result.fnc_call_out.output
