"""A call's tools: what the model may call, with which arguments, how often, and what it gets back."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import jsonschema
import structlog
from livekit.agents import RunContext, function_tool, llm
from referencing import Registry

from edge_agents.session.budget import for_the_history
from edge_agents.session.turns import ToolCall
from shared.domain.agent import BUILT_IN_TOOLS, AgentConfig, HttpTool
from shared.errors import ParleyError, ToolArgumentsError, ToolError, ToolNotAllowedError
from shared.net import GuardedClient
from shared.ports import Clock

log = structlog.get_logger(__name__)

_MAX_ARGUMENT_BYTES = 16_384
_NO_REMOTE_SCHEMAS: Registry[Any] = Registry()
"""Without it, jsonschema fetches a `$ref` that is a URL, past all checks of addresses."""
_NOT_FOR_THE_CALLER = frozenset({401, 403, 404, 429})
"""Statuses about the tool's set-up or load: their bodies say nothing about what the caller asked for."""
_SPOKEN_FAILURE = "The request did not go through."


class ToolRefusedError(ToolError):
    """The tool's server said no to the request (400, 409, 422 and the like).

    Args:
        status: HTTP status.
        answer: what it said; may hold personal data, so it is no part of the message or of `data`.
    """

    code = "tool_refused"

    def __init__(self, status: int, answer: str) -> None:
        super().__init__("the tool's server refused the request", status=status)
        self.answer = answer


class ToolBox:
    """The tools of one call.

    The model sees nothing but what the agent's version lists; arguments are validated against the tool's JSON
    Schema; every call is recorded, failed ones too, with its whole result. A tool's result is data for the
    model: it stands in a tool's message, and in the agent's own words once it was summarised (context.py), never
    in a system message. The model gets its share of the history's budget of it (budget.py).

    Args:
        config: the agent's configuration.
        call_id: for the idempotency key that tools receive.
        http: guarded client for the tenants' URLs.
        clock: measures durations.
        record: called with each finished tool call.
        end_call: asks the call to end after a goodbye.
        transfer: hands the caller to a named target.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        call_id: str,
        http: GuardedClient,
        clock: Clock,
        record: Callable[[ToolCall], None],
        end_call: Callable[[], None],
        transfer: Callable[[str], Awaitable[None]],
    ) -> None:
        self._config = config
        self._call_id = call_id
        self._http = http
        self._clock = clock
        self._record = record
        self._end_call = end_call
        self._transfer = transfer
        self._used = 0
        self._running: set[asyncio.Task[str]] = set()

    @property
    def used(self) -> int:
        """Tool calls so far that count against the limit."""
        return self._used

    def tools(self) -> list[llm.Tool | llm.Toolset]:
        """The tools as the voice loop takes them."""
        tools: list[llm.Tool | llm.Toolset] = [self._http_tool(tool) for tool in self._config.tools]
        if "end_call" in self._config.built_in_tools:
            tools.append(self._end_call_tool())
        if "transfer_call" in self._config.built_in_tools:
            tools.append(self._transfer_tool())
        return tools

    async def call_http(self, tool: HttpTool, arguments: dict[str, object], *, tool_call_id: str) -> str:
        """Call a tenant's endpoint.

        Returns:
            The body, as text, of an answer with a status of 200 to 299.

        Raises:
            ToolArgumentsError: the arguments do not fit the schema.
            ToolRefusedError: the server said no to this request, with words that the model may explain.
            ParleyError: address blocked, timeout, any other status, too large.
        """
        _validate(tool, arguments)
        response = await self._http.request(
            tool.method,
            str(tool.url),
            json=arguments,
            headers={
                "Idempotency-Key": _idempotency_key(self._call_id, tool_call_id, tool.name, arguments),
                "X-Parley-Call-Id": self._call_id,
            },
            timeout_s=tool.timeout_s,
            max_bytes=tool.max_result_bytes,
            raise_for_status=False,
        )
        text = response.body.decode("utf-8", errors="replace")
        if 200 <= response.status < 300:
            return text
        if 400 <= response.status < 500 and response.status not in _NOT_FOR_THE_CALLER:
            raise ToolRefusedError(response.status, text)
        raise ToolError("the tool's server answered with an error", status=response.status)

    async def finish(self, grace_s: float) -> None:
        """Let tools that still run come to their end, then break them off; they are recorded either way.

        Args:
            grace_s: a request that was sent gets so long to be answered.
        """
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=grace_s)
            for task in late:
                task.cancel()

    def _http_tool(self, tool: HttpTool) -> llm.Tool:
        async def run(raw_arguments: dict[str, object], context: RunContext[None]) -> str:
            if tool.filler:
                context.session.say(tool.filler, add_to_chat_ctx=False)
            return await self._recorded(
                tool.name,
                raw_arguments,
                lambda: self.call_http(tool, raw_arguments, tool_call_id=context.function_call.call_id),
            )

        schema = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        return function_tool(run, raw_schema=schema)

    def _end_call_tool(self) -> llm.Tool:
        async def run(raw_arguments: dict[str, object], context: RunContext[None]) -> None:
            await self._recorded("end_call", raw_arguments, self._say_goodbye)
            raise llm.StopResponse  # the goodbye is the reply

        return function_tool(
            run,
            raw_schema={
                "name": "end_call",
                "description": "End the call when the caller says goodbye or needs nothing else.",
                "parameters": {"type": "object", "properties": {}, "required": []},
            },
        )

    def _transfer_tool(self) -> llm.Tool:
        targets = sorted(self._config.transfer_targets)

        async def run(raw_arguments: dict[str, object], context: RunContext[None]) -> str:
            return await self._recorded(
                "transfer_call", raw_arguments, lambda: self._transfer_to(raw_arguments.get("target"))
            )

        return function_tool(
            run,
            raw_schema={
                "name": "transfer_call",
                "description": "Transfer the caller to a person when they ask for one.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "target": {
                            "type": "string",
                            "enum": targets,
                            "description": "Who would you like to speak to?",
                        }
                    },
                    "required": ["target"],
                },
            },
        )

    async def _say_goodbye(self) -> str:
        self._end_call()
        return ""

    async def _transfer_to(self, target: object) -> str:
        if not isinstance(target, str) or target not in self._config.transfer_targets:
            raise ToolNotAllowedError("that transfer target is not configured")
        await self._transfer(target)
        return json.dumps({"message": "You are being transferred."})

    async def _recorded(
        self, name: str, arguments: dict[str, object], action: Callable[[], Awaitable[str]]
    ) -> str:
        """Run a tool within the call's budget of tool calls, and record it whatever happens."""
        began = self._clock.monotonic_s()
        error_code: str | None = None
        result: str | None = None
        try:
            self._use(name)
            result = await self._run(action)
        except ToolRefusedError as error:
            error_code, result = error.code, error.answer
            raise llm.ToolError(self._shortened(error.answer) or _for_the_model(error)) from None
        except ParleyError as error:
            error_code = error.code
            raise llm.ToolError(self._shortened(_for_the_model(error))) from None
        except asyncio.CancelledError:
            error_code = "cancelled"
            raise
        except Exception as error:  # noqa: BLE001 - a task's edge; a traceback would show the caller's words
            error_code = ParleyError.code
            log.error("tool_failed", tool=name, error=type(error).__name__)
            raise llm.ToolError(f"{_SPOKEN_FAILURE} ({error_code})") from None
        else:
            return self._shortened(result)
        finally:
            self._record(
                ToolCall(
                    name=name,
                    arguments=arguments,
                    result=result,
                    error_code=error_code,
                    duration_ms=round((self._clock.monotonic_s() - began) * 1000, 1),
                )
            )

    def _shortened(self, text: str) -> str:
        return for_the_history(text, self._config.limits.context_tokens)

    async def _run(self, action: Callable[[], Awaitable[str]]) -> str:
        async def awaited() -> str:
            return await action()

        task = asyncio.create_task(awaited(), name="call.tool")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await task

    def _use(self, name: str) -> None:
        if self._used >= self._config.limits.tool_calls and name not in BUILT_IN_TOOLS:
            raise ToolNotAllowedError("this call has used up its tool calls")
        self._used += 1


def _validate(tool: HttpTool, arguments: dict[str, Any]) -> None:
    if len(json.dumps(arguments, default=str)) > _MAX_ARGUMENT_BYTES:
        raise ToolArgumentsError("the arguments are too large")
    validator = jsonschema.Draft202012Validator(tool.parameters, registry=_NO_REMOTE_SCHEMAS)
    places = {place for error in validator.iter_errors(arguments) for place in _places(error)}
    if places:
        # name the places, never the values: they are the caller's words
        raise ToolArgumentsError("the arguments do not fit the tool's schema", fields=tuple(sorted(places)))


def _places(error: jsonschema.ValidationError) -> list[str]:
    """Where the arguments are wrong: the fields, also those that are missing."""
    path = [str(part) for part in error.absolute_path]
    if error.validator == "required":
        names: Any = error.validator_value
        instance: Any = error.instance
        return [".".join([*path, name]) for name in names if name not in instance]
    return [".".join(path) or "arguments"]


def _idempotency_key(call_id: str, tool_call_id: str, name: str, arguments: dict[str, object]) -> str:
    """The same for a repeated request only: some servers of models count tool calls anew in every reply."""
    what = json.dumps([tool_call_id, name, arguments], sort_keys=True, default=str)
    return f"{call_id}.{hashlib.sha256(what.encode()).hexdigest()[:32]}"


def _for_the_model(error: ParleyError) -> str:
    """What the model learns of a failure: enough to tell the caller, nothing of our inside."""
    fields = error.data.get("fields")
    detail = f" Wrong or missing: {', '.join(fields)}." if isinstance(fields, tuple) else ""
    return f"{_SPOKEN_FAILURE} ({error.code}){detail}"
