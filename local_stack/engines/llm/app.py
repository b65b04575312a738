"""The HTTP face of the rule engine: OpenAI's `/v1/chat/completions` and `/v1/models`."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import ClientConnectionResetError, web

from local_stack.engines.llm.dialogue import Reply, Say, respond
from local_stack.engines.llm.prompt_cache import PromptCache
from local_stack.engines.llm.replay import text_of
from local_stack.engines.llm.request import ChatRequest, RequestError, parse_request
from local_stack.engines.llm.tokens import prompt_tokens
from local_stack.engines.llm.wire import DONE, Completion, error_body, model_body, model_list, sse

MAX_BODY_BYTES = 8 * 1024 * 1024
"""Larger requests are refused with 413: a context of 128,000 tokens has under 1 MB."""
_LOG = logging.getLogger(__name__)
_ERROR_MODEL = re.compile(r"local-error-([45]\d\d)")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Pace:
    """How fast the engine pretends to think and speak."""

    ttft_ms: float = 60.0
    """Time to the first token of every answer."""
    tokens_per_s: float = 80.0
    """Speed of the tokens after the first; 0 sends them all at once."""
    slow_ttft_ms: float = 8000.0
    """Time to the first token of the model `local-slow`."""

    def before_s(self, model: str, tokens: int) -> float:
        """Seconds from the request to the moment `tokens` tokens have been sent."""
        first_ms = self.slow_ttft_ms if model == "local-slow" else self.ttft_ms
        return first_ms / 1000 + (tokens / self.tokens_per_s if self.tokens_per_s > 0 else 0.0)


def build_app(pace: Pace) -> web.Application:
    """Make the application; `run_engine` adds the health check and runs it."""
    engine = _Engine(pace)
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_errors, _authenticate])
    app.router.add_post("/v1/chat/completions", engine.complete)
    app.router.add_get("/v1/models", engine.models)
    app.router.add_get("/v1/models/{model}", engine.model)
    return app


class _Engine:
    """The handlers and their only state, the prompt cache."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._cache = PromptCache(time.monotonic)

    async def models(self, _request: web.Request) -> web.Response:
        return web.json_response(model_list())

    async def model(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        return _no_such_model(name) if name.startswith("unknown") else web.json_response(model_body(name))

    async def complete(self, request: web.Request) -> web.StreamResponse:
        started = time.monotonic()
        chat = parse_request(await _json_body(request))
        if chat.model.startswith("unknown"):
            return _no_such_model(chat.model)
        if failing := _ERROR_MODEL.fullmatch(chat.model):
            return _failure(int(failing[1]), chat.model)
        completion = self._completion(chat, _api_key(request))
        if not chat.stream:
            await self._wait_until(started, chat.model, completion.completion_tokens)
            return web.json_response(completion.whole())
        return await self._stream(request, completion, started)

    def _completion(self, chat: ChatRequest, api_key: str) -> Completion:
        tokens = prompt_tokens(chat.messages, list(chat.tools))
        return Completion(
            request=chat,
            reply=_reply(chat),
            prompt_tokens=len(tokens),
            cached_tokens=self._cache.match(f"{api_key}\n{chat.model}", tokens),
            created_s=int(time.time()),
        )

    async def _stream(
        self, request: web.Request, completion: Completion, started: float
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Cache-Control": "no-cache"})
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        try:
            for sent, chunk in completion.chunks():
                await self._wait_until(started, completion.request.model, sent)
                if not response.prepared:
                    await response.prepare(request)
                await response.write(sse(chunk))
            await response.write(DONE)
            await response.write_eof()
        except ClientConnectionResetError:
            pass  # the caller interrupted the agent: nobody reads the rest
        return response

    async def _wait_until(self, started: float, model: str, tokens: int) -> None:
        """Sleep until `tokens` tokens would have been made; on a schedule, so that delays don't add up."""
        left_s = started + self._pace.before_s(model, tokens) - time.monotonic()
        if left_s > 0:
            await asyncio.sleep(left_s)


def _reply(chat: ChatRequest) -> Reply:
    if chat.model == "local-echo":
        said = [text_of(message) for message in chat.messages if message.get("role") == "user"]
        return Say(said[-1] if said else "")
    return respond(chat.messages, list(chat.tools), max_tokens=chat.max_tokens)


async def _json_body(request: web.Request) -> object:
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError):
        raise RequestError(
            "We could not parse the JSON body of your request. The API expects a JSON payload."
        ) from None


def _api_key(request: web.Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _no_such_model(model: str) -> web.Response:
    message = f"The model `{model}` does not exist or you do not have access to it."
    return web.json_response(error_body(message, code="model_not_found"), status=404)


def _failure(status: int, model: str) -> web.Response:
    if status == 429:
        body = error_body(f"Rate limit reached for {model}.", kind="requests", code="rate_limit_exceeded")
        return web.json_response(body, status=429, headers={"Retry-After": "1"})
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return web.json_response(error_body("The model name asked for this error.", kind=kind), status=status)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal in OpenAI's form."""
    try:
        return await handler(request)
    except RequestError as error:
        body = error_body(error.message, param=error.param, code=error.code)
        return web.json_response(body, status=400)
    except web.HTTPNotFound:
        message = f"Invalid URL ({request.method} {request.path})"
        return web.json_response(error_body(message), status=404)
    except web.HTTPClientError as error:
        return web.json_response(error_body(error.reason), status=error.status)
    except web.HTTPException:
        raise
    except Exception:  # noqa: BLE001 - the edge of a request: logged, and no traceback reaches the client
        _LOG.exception("a request failed")
        message = "The server had an error while processing your request."
        return web.json_response(error_body(message, kind="server_error"), status=500)


@web.middleware
async def _authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Any key is good, except none and those that begin with "invalid"."""
    if request.path.startswith("/v1/"):
        key = _api_key(request)
        if not key:
            message = "You didn't provide an API key. Send it as `Authorization: Bearer <key>`."
            return web.json_response(error_body(message, code="invalid_api_key"), status=401)
        if key.startswith("invalid"):
            message = f"Incorrect API key provided: {key[:7]}***."
            return web.json_response(error_body(message, code="invalid_api_key"), status=401)
    return await handler(request)
