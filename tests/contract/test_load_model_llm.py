"""The load model's chat completions and their faults, as the LiveKit OpenAI plugin and the OpenAI SDK meet them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import openai as openai_sdk
import pytest
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, APITimeoutError, llm
from livekit.plugins import openai

from tests.contract.load_model_process import Engine, running_engine

ONE_TRY = APIConnectOptions(max_retry=0, timeout=0.5)
TWO_TRIES = APIConnectOptions(max_retry=1, timeout=2, retry_interval=0.01)


@pytest.fixture(scope="module")
def engine_url() -> Iterator[str]:
    with running_engine() as url:
        yield url


@pytest.fixture
async def engine(engine_url: str) -> AsyncIterator[Engine]:
    async with aiohttp.ClientSession() as session:
        engine = Engine(engine_url, session)
        await engine.use_profile()
        yield engine
        await engine.heal()


@llm.function_tool
async def book_room(room: str) -> str:
    """Book a room."""
    return room


def conversation(*user_messages: str) -> llm.ChatContext:
    context = llm.ChatContext.empty()
    context.add_message(role="system", content="You are a receptionist.")
    for text in user_messages:
        context.add_message(role="user", content=text)
        context.add_message(role="assistant", content="Yes?")
    context.items.pop()
    return context


async def ask(
    engine: Engine,
    key: str,
    *,
    context: llm.ChatContext | None = None,
    tools: list[llm.Tool] | None = None,
    options: APIConnectOptions = TWO_TRIES,
    model: str = "load-model",
) -> list[llm.ChatChunk]:
    """All chunks of one answer; what was received before an error is lost."""
    plugin = openai.LLM(model=model, api_key=key, base_url=f"{engine.url}/v1")
    try:
        stream = plugin.chat(chat_ctx=context or conversation("hello"), tools=tools, conn_options=options)
        async with stream:
            return [chunk async for chunk in stream]
    finally:
        await plugin.aclose()
        await plugin._client.close()


def text_of(chunks: list[llm.ChatChunk]) -> str:
    return "".join(chunk.delta.content or "" for chunk in chunks if chunk.delta)


@pytest.mark.parametrize(
    ("user_messages", "reply"),
    [(["hello"], "One two three."), (["hello", "more"], "Four five."), (["a", "b", "c"], "One two three.")],
)
async def test_the_kth_user_message_is_answered_by_reply_k(
    engine: Engine, user_messages: list[str], reply: str
) -> None:
    chunks = await ask(engine, "replies", context=conversation(*user_messages))

    assert text_of(chunks) == reply


async def test_usage_comes_in_a_chunk_of_its_own(engine: Engine) -> None:
    usages = [chunk.usage for chunk in await ask(engine, "usage") if chunk.usage]

    assert [usage.completion_tokens for usage in usages] == [3]
    assert usages[0].prompt_tokens > 0


async def test_the_log_says_what_was_drawn_and_when_the_first_token_left(engine: Engine) -> None:
    chunks = await ask(engine, "log")
    [draw] = await engine.draws("llm", "log")

    assert draw["request_id"] == chunks[0].id
    assert draw["draw_ms"] == 10
    assert draw["first_token_at"] - draw["received_at"] >= 0.010
    assert draw["done_at"] >= draw["first_token_at"]


async def test_a_scripted_tool_is_called_and_its_result_is_answered_with_the_reply(engine: Engine) -> None:
    await engine.use_profile(llm={"tool_call": {"name": "book_room", "arguments": {"room": "the blue one"}}})
    context = conversation("book a room")

    [call] = [
        call
        for chunk in await ask(engine, "tool", context=context, tools=[book_room])
        if chunk.delta
        for call in chunk.delta.tool_calls
    ]
    assert (call.name, json.loads(call.arguments)) == ("book_room", {"room": "the blue one"})

    context.insert(
        [
            llm.FunctionCall(call_id=call.call_id, name=call.name, arguments=call.arguments),
            llm.FunctionCallOutput(call_id=call.call_id, name=call.name, output="done", is_error=False),
        ]
    )
    assert text_of(await ask(engine, "tool", context=context, tools=[book_room])) == "One two three."


async def test_a_scripted_tool_that_is_not_offered_is_not_called(engine: Engine) -> None:
    await engine.use_profile(llm={"tool_call": {"name": "book_room"}})

    assert text_of(await ask(engine, "untooled")) == "One two three."


async def test_an_unstreamed_request_is_answered_whole(engine: Engine) -> None:
    async with openai_sdk.AsyncOpenAI(api_key="whole", base_url=f"{engine.url}/v1") as client:
        messages: list[Any] = [{"role": "user", "content": "hello"}]
        completion = await client.chat.completions.create(model="load-model", messages=messages)
        models = await client.models.list()

    assert completion.choices[0].message.content == "One two three."
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 3
    assert "load-model" in [model.id for model in models.data]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_retryable_status_is_tried_again_until_the_tries_are_spent(
    engine: Engine, status: int
) -> None:
    await engine.inject({"stage": "llm", "kind": "status", "status": status})

    with pytest.raises(APIConnectionError) as caught:
        await ask(engine, f"status-{status}")

    assert isinstance(caught.value.__cause__, APIStatusError)
    assert caught.value.__cause__.status_code == status
    assert await engine.struck() == 2


async def test_a_fault_that_happens_once_is_survived_by_a_retry(engine: Engine) -> None:
    await engine.inject({"stage": "llm", "kind": "status", "status": 500, "times": 1})

    assert text_of(await ask(engine, "once")) == "One two three."
    assert (await engine.count("llm", "once"))["requests"] == 2


async def test_a_401_is_not_tried_again(engine: Engine) -> None:
    await engine.inject({"stage": "llm", "kind": "status", "status": 401})

    with pytest.raises(APIStatusError) as caught:
        await ask(engine, "refused")

    assert caught.value.status_code == 401
    assert await engine.struck() == 1


async def test_a_429_names_the_time_to_wait(engine: Engine) -> None:
    await engine.inject({"stage": "llm", "kind": "status", "status": 429, "retry_after_s": 7})
    messages: list[Any] = [{"role": "user", "content": "hello"}]

    async with openai_sdk.AsyncOpenAI(api_key="k", base_url=f"{engine.url}/v1", max_retries=0) as client:
        with pytest.raises(openai_sdk.RateLimitError) as caught:
            await client.chat.completions.create(model="load-model", messages=messages)

    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.code == "rate_limit_exceeded"


async def test_a_stall_ends_in_the_client_s_timeout(engine: Engine) -> None:
    await engine.inject({"stage": "llm", "kind": "stall"})

    with pytest.raises(APITimeoutError):
        await ask(engine, "stall", options=ONE_TRY)


async def test_a_stall_in_the_middle_of_an_answer_is_not_tried_again(engine: Engine) -> None:
    await engine.inject({"stage": "llm", "kind": "stall", "after_chunks": 2})

    with pytest.raises(APITimeoutError) as caught:
        await ask(engine, "stall-later", options=APIConnectOptions(max_retry=1, timeout=0.5))

    assert not caught.value.retryable
    assert await engine.struck() == 1


async def test_a_stalled_request_is_let_go_when_the_faults_are_taken_back(engine: Engine) -> None:
    await engine.inject({"stage": "llm", "kind": "stall"})
    asking = asyncio.create_task(ask(engine, "let-go", options=APIConnectOptions(max_retry=1, timeout=30)))
    async with asyncio.timeout(20):
        while not await engine.struck():
            pass
        await engine.heal()

        assert text_of(await asking) == "One two three."


async def test_silence_outlasts_the_plugin_s_timeout_because_the_stream_is_kept_alive(engine: Engine) -> None:
    await engine.inject({"stage": "llm", "kind": "silent"})

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.5):
            await ask(engine, "silent", options=APIConnectOptions(max_retry=0, timeout=1.5))


@pytest.mark.parametrize("kind", ["half_chunk", "close", "garbage", "refuse_handshake"])
async def test_a_broken_answer_is_a_connection_error(engine: Engine, kind: str) -> None:
    await engine.inject({"stage": "llm", "kind": kind})

    with pytest.raises(APIConnectionError):
        await ask(engine, kind, options=ONE_TRY)


@pytest.mark.parametrize("kind", ["half_chunk", "close", "garbage"])
async def test_an_answer_that_breaks_after_its_first_words_is_not_tried_again(
    engine: Engine, kind: str
) -> None:
    await engine.inject({"stage": "llm", "kind": kind, "after_chunks": 1})

    with pytest.raises(APIConnectionError) as caught:
        await ask(engine, f"{kind}-later")

    assert not caught.value.retryable
    assert await engine.struck() == 1


async def test_an_empty_answer_is_no_error_to_the_plugin(engine: Engine) -> None:
    await engine.inject({"stage": "llm", "kind": "empty"})

    assert text_of(await ask(engine, "empty")) == ""


async def test_slowness_is_logged_apart_from_the_draw(engine: Engine) -> None:
    await engine.inject({"stage": "llm", "kind": "slow", "delay_ms": 50})

    await ask(engine, "slow")
    [draw] = await engine.draws("llm", "slow")

    assert (draw["draw_ms"], draw["fault_ms"], draw["fault"]) == (10, 50, "slow")
    assert draw["first_token_at"] - draw["received_at"] >= 0.060


async def test_a_rule_for_one_model_leaves_the_fallback_on_the_same_server_healthy(engine: Engine) -> None:
    await engine.inject({"stage": "llm", "kind": "status", "status": 503, "key": "load-model"})
    url = f"{engine.url}/v1"
    primary = openai.LLM(model="load-model", api_key="primary", base_url=url)
    fallback = openai.LLM(model="load-model-fallback", api_key="fallback", base_url=url)
    adapter = llm.FallbackAdapter([primary, fallback])

    async with adapter.chat(chat_ctx=conversation("hello")) as stream:
        chunks = [chunk async for chunk in stream]
    await adapter.aclose()
    for plugin in (primary, fallback):
        await plugin.aclose()
        await plugin._client.close()

    assert text_of(chunks) == "One two three."
    assert (await engine.count("llm", "fallback"))["faults"] == 0


async def test_a_request_without_a_key_or_with_a_bad_body_is_refused_in_the_vendor_s_words(
    engine: Engine,
) -> None:
    url = f"{engine.url}/v1/chat/completions"
    async with engine.session.post(url, json={"model": "m", "messages": [{"role": "user"}]}) as response:
        assert response.status == 401
        assert (await response.json())["error"]["code"] == "invalid_api_key"
    async with engine.session.post(
        url, json={"model": "m"}, headers={"Authorization": "Bearer k"}
    ) as response:
        assert response.status == 400
        assert "messages" in (await response.json())["error"]["message"]
