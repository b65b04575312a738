"""A Chat Completions request, checked the way OpenAI checks it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local_stack.engines.llm.schema import MAX_TOOLS

MAX_MESSAGES = 2048
"""Our bound, OpenAI states none: far beyond any call."""
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAX_DEPTH = 10


class RequestError(Exception):
    """A request that OpenAI would refuse with status 400."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


@dataclass(frozen=True)
class ChatRequest:
    """What of a request changes the answer."""

    model: str
    messages: tuple[Mapping[str, object], ...]
    tools: tuple[Mapping[str, object], ...]
    """Empty when `tool_choice` is "none"; the one function that `tool_choice` names."""
    stream: bool
    include_usage: bool
    max_tokens: int | None
    """From `max_completion_tokens` or the older `max_tokens`; None means no limit."""
    body: Mapping[str, object]
    """The whole request."""


def parse_request(body: object) -> ChatRequest:
    """Check a request body.

    Raises:
        RequestError: the body is not a valid request; the message says what is wrong and where.
    """
    if not isinstance(body, Mapping):
        raise RequestError("The request body must be a JSON object.")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("you must provide a model parameter", param="model")
    stream = _boolean(body, "stream")
    options = body.get("stream_options")
    if options is not None and not stream:
        raise RequestError(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    if body.get("n") not in (None, 1):
        raise RequestError("This engine gives one choice: 'n' must be 1.", param="n")
    _check_format(body.get("response_format"))
    tools = _tools(body.get("tools"))
    return ChatRequest(
        model=model,
        messages=_messages(body.get("messages")),
        tools=_chosen(tools, body.get("tool_choice")),
        stream=stream,
        include_usage=isinstance(options, Mapping) and options.get("include_usage") is True,
        max_tokens=_limit(body),
        body=body,
    )


def _boolean(body: Mapping[str, object], key: str) -> bool:
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise RequestError(f"Invalid type for '{key}': expected a boolean.", param=key, code="invalid_type")
    return bool(value)


def _check_format(response_format: object) -> None:
    kind = response_format.get("type") if isinstance(response_format, Mapping) else response_format
    if kind not in (None, "text"):
        raise RequestError("This engine answers in text only.", param="response_format")


def _limit(body: Mapping[str, object]) -> int | None:
    for key in ("max_completion_tokens", "max_tokens"):
        value = body.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise RequestError(
                f"Invalid '{key}': expected an integer above or equal to 1.",
                param=key,
                code="integer_below_min_value",
            )
        return value
    return None


def _messages(value: object) -> tuple[Mapping[str, object], ...]:
    if not isinstance(value, list) or not value:
        raise RequestError("'messages' must be an array with at least one message.", param="messages")
    if len(value) > MAX_MESSAGES:
        raise RequestError(f"'messages' has more than {MAX_MESSAGES} items.", param="messages")
    checked = tuple(_message(message, f"messages[{i}]") for i, message in enumerate(value))
    _check_tool_order(checked)
    return checked


def _message(message: object, where: str) -> Mapping[str, object]:
    if not isinstance(message, Mapping):
        raise RequestError(
            f"Invalid type for '{where}': expected an object.", param=where, code="invalid_type"
        )
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        raise RequestError(f"Invalid value for '{where}.role'.", param=f"{where}.role", code="invalid_value")
    if content is None and role != "assistant":
        raise RequestError(
            f"Invalid value for '{where}.content': expected a string, got null.", param=f"{where}.content"
        )
    if content is not None and not isinstance(content, str | list):
        raise RequestError(
            f"Invalid type for '{where}.content': expected a string or an array.",
            param=f"{where}.content",
            code="invalid_type",
        )
    if content is None and not message.get("tool_calls") and not message.get("refusal"):
        raise RequestError(
            f"Invalid value for '{where}.content': an assistant message needs content or tool_calls.",
            param=f"{where}.content",
        )
    return message


def _check_tool_order(messages: Sequence[Mapping[str, object]]) -> None:
    """Each tool call is answered directly after it, and nothing else is answered.

    A context that was cut between a call and its result is refused by OpenAI; so it is here.
    """
    open_ids: set[str] = set()
    for i, message in enumerate(messages):
        if message.get("role") == "tool":
            call_id = str(message.get("tool_call_id"))
            if call_id not in open_ids:
                raise RequestError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                    "'tool_calls'.",
                    param=f"messages.[{i}].role",
                )
            open_ids.discard(call_id)
            continue
        _check_answered(open_ids)
        calls = message.get("tool_calls")
        open_ids = (
            {str(call.get("id")) for call in calls if isinstance(call, Mapping)}
            if isinstance(calls, list)
            else set()
        )
    _check_answered(open_ids)


def _check_answered(open_ids: set[str]) -> None:
    if open_ids:
        raise RequestError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: "
            f"{', '.join(sorted(open_ids))}",
            param="messages",
        )


def _tools(value: object) -> tuple[Mapping[str, object], ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise RequestError("Invalid 'tools': expected an array with at least one tool.", param="tools")
    if len(value) > MAX_TOOLS:
        raise RequestError(f"Invalid 'tools': more than {MAX_TOOLS} items.", param="tools")
    return tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(value))


def _tool(tool: object, where: str) -> Mapping[str, object]:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    if not isinstance(tool, Mapping) or tool.get("type") != "function" or not isinstance(function, Mapping):
        raise RequestError(f"Invalid '{where}': expected a function.", param=where)
    name = function.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RequestError(
            f"Invalid '{where}.function.name': expected 1 to 64 of a-z, A-Z, 0-9, '_' and '-'.",
            param=f"{where}.function.name",
        )
    parameters = function.get("parameters", {})
    if not isinstance(parameters, Mapping) or parameters.get("type", "object") != "object":
        raise RequestError(
            f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"'.",
            param=f"{where}.function.parameters",
            code="invalid_function_parameters",
        )
    if function.get("strict") is True:
        _check_strict(parameters, name, where)
    return tool


def _check_strict(schema: object, name: str, where: str, depth: int = 0) -> None:
    """Strict functions: every object closed and every property required (OpenAI structured outputs guide)."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(schema, list):
        for entry in schema:
            _check_strict(entry, name, where, depth + 1)
    if not isinstance(schema, Mapping):
        return
    properties = schema.get("properties")
    if schema.get("type") == "object" and isinstance(properties, Mapping):
        problem = ""
        required = schema.get("required")
        if schema.get("additionalProperties") is not False:
            problem = "'additionalProperties' is required to be supplied and to be false."
        elif not isinstance(required, list) or any(key not in required for key in properties):
            problem = (
                "'required' is required to be supplied and to be an array including every key in properties."
            )
        if problem:
            raise RequestError(
                f"Invalid schema for function '{name}': {problem}",
                param=f"{where}.function.parameters",
                code="invalid_function_parameters",
            )
    for key in ("properties", "$defs"):
        nested = schema.get(key)
        _check_strict(list(nested.values()) if isinstance(nested, Mapping) else None, name, where, depth + 1)
    for key in ("items", "anyOf"):
        _check_strict(schema.get(key), name, where, depth + 1)


def _chosen(tools: tuple[Mapping[str, object], ...], choice: object) -> tuple[Mapping[str, object], ...]:
    """The tools that `tool_choice` leaves. "required" is taken as "auto": this engine never invents arguments."""
    if choice is not None and not tools:
        raise RequestError("'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice")
    if choice in (None, "auto", "required"):
        return tools
    if choice == "none":
        return ()
    function = choice.get("function") if isinstance(choice, Mapping) else None
    wanted = function.get("name") if isinstance(function, Mapping) else None
    named = tuple(tool for tool in tools if _function_name(tool) == wanted)
    if not named:
        raise RequestError("Invalid 'tool_choice': no such function in 'tools'.", param="tool_choice")
    return named


def _function_name(tool: Mapping[str, object]) -> object:
    function = tool.get("function")
    return function.get("name") if isinstance(function, Mapping) else None
