"""A language model with a deadline for useful chunks and a meter: the wrapper of every model of a call."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import weakref
from collections.abc import AsyncIterable, Callable
from typing import Any

from livekit.agents import APIConnectionError, APIConnectOptions, APITimeoutError, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr
from livekit.agents.utils import is_given

from edge_agents.providers.llm.sent_request import watching_request
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.timeouts import DEADLINES, Deadlines
from shared.contracts.usage import UsageUnit

_CHARS_PER_TOKEN = 4
"""English text, as a rule of thumb; only used where a vendor reported nothing."""


class MeteredLLM(llm.LLM[Any]):
    """Wraps one model object of one call.

    A stream that is open but sends nothing useful within the deadlines raises APITimeoutError, an answer with
    neither text nor tool call raises APIConnectionError, so that a fallback takes over.

    Args:
        inner: the vendor's plugin object, owned by this one.
        meter: counts tokens under `provider` and `sku`.
        provider: vendor as in the price catalogue.
        sku: model as in the price catalogue.
        request: parameters of every request, which a request's own `extra_kwargs` go before.
        deadlines: see above.
        give_back: called once when this object is closed, or thrown away unclosed.
    """

    def __init__(
        self,
        inner: llm.LLM[Any],
        *,
        meter: UsageMeter,
        provider: str,
        sku: str,
        request: dict[str, Any] | None = None,
        deadlines: Deadlines = DEADLINES,
        give_back: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.inner = inner
        self._meter = meter
        self._provider_name = provider
        self._sku = sku
        self._request = request or {}
        self.deadlines = deadlines
        self._label = inner.label
        self._streams: weakref.WeakSet[_MeteredStream] = weakref.WeakSet()
        inner.on("metrics_collected", self._forward_metrics)
        # a call that could not be prepared throws its providers away
        self._give_back = weakref.finalize(self, give_back or _nothing)
        self._give_back.atexit = False

    @property
    def model(self) -> str:
        """The vendor's model name."""
        return self.inner.model

    @property
    def provider(self) -> str:
        """Vendor as in the price catalogue (the plugin would say its URL's host)."""
        return self._provider_name

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        """Start a reply; the deadlines above apply to it."""
        stream = _MeteredStream(
            self,
            chat_ctx=chat_ctx,
            tools=tools or [],
            conn_options=conn_options,
            options={
                "parallel_tool_calls": parallel_tool_calls,
                "tool_choice": tool_choice,
                "extra_kwargs": self._request | (extra_kwargs if is_given(extra_kwargs) else {}),
            },
        )
        self._streams.add(stream)
        return stream

    def prewarm(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Open the vendor's connection ahead of the first turn."""
        self.inner.prewarm(loop=loop)

    async def aclose(self) -> None:
        """End what still runs (a fallback's probes do) and close the plugin object; the count is final then."""
        for stream in list(self._streams):
            await stream.aclose()
        self.inner.off("metrics_collected", self._forward_metrics)
        await self.inner.aclose()
        self._give_back()

    def _forward_metrics(self, *args: Any) -> None:
        self.emit("metrics_collected", *args)

    def count(self, usage: llm.CompletionUsage) -> None:
        """Count what the vendor reported."""
        cached = usage.prompt_cached_tokens
        for unit, tokens in (
            (UsageUnit.INPUT_TOKEN, usage.prompt_tokens - cached),
            (UsageUnit.CACHED_INPUT_TOKEN, cached),
            (UsageUnit.OUTPUT_TOKEN, usage.completion_tokens),
        ):
            self._meter.add(self._provider_name, self._sku, unit, max(tokens, 0))

    def count_unreported(self, prompt_chars: int, reply_chars: int) -> None:
        """Estimate a reply that ended before its usage was reported; vendors bill it (sent_request.py)."""
        for unit, chars in ((UsageUnit.INPUT_TOKEN, prompt_chars), (UsageUnit.OUTPUT_TOKEN, reply_chars)):
            tokens = -(-chars // _CHARS_PER_TOKEN)
            self._meter.add(self._provider_name, self._sku, unit, tokens, estimated=True)


class _MeteredStream(llm.LLMStream):
    def __init__(
        self,
        owner: MeteredLLM,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        conn_options: APIConnectOptions,
        options: dict[str, Any],
    ) -> None:
        self._owner = owner
        self._options = options
        super().__init__(owner, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)

    async def _metrics_monitor_task(self, event_aiter: AsyncIterable[llm.ChatChunk]) -> None:
        # the inner stream reports metrics; a second report would be counted twice
        async for _ in event_aiter:
            pass

    async def _run(self) -> None:
        owner = self._owner
        reported = False
        reply_chars = 0
        # what was sent and then given up is billed, though nobody reports it: preemptive replies mostly
        given_up = False
        with watching_request() as request:
            inner = owner.inner.chat(
                chat_ctx=self._chat_ctx,
                tools=self._tools,
                conn_options=dataclasses.replace(self._conn_options, max_retry=0),
                **self._options,
            )
        try:
            async with inner:
                async for chunk in _within_deadlines(inner, owner.deadlines):
                    if chunk.usage is not None:
                        owner.count(chunk.usage)
                        reported = True
                    if chunk.delta is not None:
                        reply_chars += _delta_chars(chunk.delta)
                    self._event_ch.send_nowait(chunk)
        except (asyncio.CancelledError, APITimeoutError):
            given_up = True
            raise
        finally:
            if not reported and (reply_chars or (given_up and request.sent)):
                owner.count_unreported(_request_chars(self._chat_ctx, self._tools), reply_chars)
        if not reply_chars:
            raise APIConnectionError("the model answered with nothing", retryable=True)


def _nothing() -> None:
    return


async def _within_deadlines(stream: llm.LLMStream, deadlines: Deadlines) -> AsyncIterable[llm.ChatChunk]:
    """Yield the stream's chunks; raise APITimeoutError when nothing useful comes in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadlines.llm_first_chunk_s
    chunks = aiter(stream)
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            # not retryable: the caller has waited long enough; a fallback or an apology comes next
            raise APITimeoutError("the model sent nothing useful in time", retryable=False) from None
        if chunk.usage is not None or (chunk.delta is not None and _delta_chars(chunk.delta)):
            deadline = loop.time() + deadlines.llm_gap_s
        yield chunk


def _delta_chars(delta: llm.ChoiceDelta) -> int:
    calls = sum(len(call.name) + len(call.arguments) for call in delta.tool_calls)
    return len(delta.content or "") + calls


def _request_chars(chat_ctx: llm.ChatContext, tools: list[llm.Tool]) -> int:
    total = len(json.dumps(llm.ToolContext(tools).parse_function_tools("openai"))) if tools else 0
    for item in chat_ctx.items:
        if isinstance(item, llm.ChatMessage):
            total += len(item.text_content or "")
        elif isinstance(item, llm.FunctionCall):
            total += len(item.name) + len(item.arguments)
        elif isinstance(item, llm.FunctionCallOutput):
            total += len(item.output)
    return total
