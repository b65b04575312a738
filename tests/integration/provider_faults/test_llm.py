"""A call's language model, built as in production, against an OpenAI-compatible server that fails in every way."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError, llm

from tests.integration.provider_faults.bench import BOUND_S, ILL, OPTIONS, WELL, Bench, metered

FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "status": 401},
    {"kind": "status", "status": 429, "retry_after_s": 60},
    {"kind": "status", "status": 500},
    {"kind": "refuse_handshake"},
    {"kind": "stall"},
    {"kind": "silent"},  # SSE comments drip in
    {"kind": "half_chunk"},
    {"kind": "close"},
    {"kind": "empty"},
    {"kind": "garbage"},
]
pytestmark = pytest.mark.asyncio(loop_scope="module")
each_fault = pytest.mark.parametrize(
    "fault", FAULTS, ids=lambda rule: "-".join(str(part) for part in rule.values())
)
PROMPT = "You are a receptionist. " * 5
QUESTION = "Do you have a room?"
PROMPT_TOKENS = (len(PROMPT) + len(QUESTION)) // 4
INPUT, OUTPUT = "openai/gpt-4.1-mini/input_token", "openai/gpt-4.1-mini/output_token"


def models(*endpoints: str) -> list[dict[str, str]]:
    return [{"model": "gpt-4.1-mini", "endpoint": endpoint} for endpoint in endpoints]


def asking(model: llm.LLM[Any], **more: Any) -> llm.LLMStream:
    context = llm.ChatContext.empty()
    context.add_message(role="system", content=PROMPT)
    context.add_message(role="user", content=QUESTION)
    return model.chat(chat_ctx=context, conn_options=OPTIONS.llm_conn_options, **more)


async def ask(model: llm.LLM[Any], **more: Any) -> str:
    async with asyncio.timeout(BOUND_S), asking(model, **more) as stream:
        return "".join([chunk.delta.content or "" async for chunk in stream if chunk.delta])


async def test_a_reply_s_tokens_are_counted_as_the_vendor_reports_them(desk: Bench) -> None:
    async with desk.providers(llm=models(WELL)) as providers:
        assert await ask(providers.llm) == "One two three."
        assert await ask(providers.llm) == "One two three."

        assert metered(providers) == {INPUT: 2 * PROMPT_TOKENS, OUTPUT: 6}


@each_fault
async def test_a_failing_model_is_covered_by_the_next_choice(desk: Bench, fault: dict[str, Any]) -> None:
    await desk.engine.inject({"stage": "llm", "key": ILL, **fault})
    before = await desk.served("llm", WELL)

    async with desk.providers(llm=models(ILL, WELL)) as providers:
        assert await ask(providers.llm) == "One two three."
        assert await ask(providers.llm) == "One two three."

    assert await desk.served("llm", WELL) == before + 2
    assert metered(providers)[OUTPUT] == 6


@each_fault
async def test_a_failing_model_without_another_choice_is_an_error_in_time(
    desk: Bench, fault: dict[str, Any]
) -> None:
    await desk.engine.inject({"stage": "llm", "key": ILL, **fault})

    async with desk.providers(llm=models(ILL)) as providers:
        errors: list[llm.LLMError] = []
        providers.llm.on("error", errors.append)
        with pytest.raises(APIError) as caught:
            await ask(providers.llm)
        struck = await desk.engine.struck()

    assert errors[-1].recoverable is False
    match fault["kind"]:
        case "status" if fault["status"] == 401:
            assert isinstance(caught.value, APIStatusError)
            assert (caught.value.status_code, struck) == (401, 1)
        case "stall" | "silent":
            assert isinstance(caught.value, APITimeoutError)
            assert struck == 1
        case _:
            assert isinstance(caught.value, APIConnectionError)
            assert struck == 2
    assert OUTPUT not in metered(providers)


async def test_when_all_choices_fail_each_was_tried_once(desk: Bench) -> None:
    await desk.engine.inject({"stage": "llm", "kind": "silent"})

    async with desk.providers(llm=models(ILL, WELL)) as providers:
        errors: list[llm.LLMError] = []
        providers.llm.on("error", errors.append)
        with pytest.raises(APIConnectionError, match="all LLMs failed"):
            await ask(providers.llm)

    assert [error.recoverable for error in errors] == [False]


@pytest.mark.parametrize("endpoints", [(ILL,), (ILL, WELL)], ids=["alone", "with another choice"])
@pytest.mark.parametrize("kind", ["close", "half_chunk", "garbage", "stall", "silent"])
async def test_a_reply_that_breaks_off_is_an_error_and_nothing_is_said_twice(
    desk: Bench, kind: str, endpoints: tuple[str, ...]
) -> None:
    await desk.engine.inject({"stage": "llm", "key": ILL, "kind": kind, "after_chunks": 2})
    said = ""

    async def listen(model: llm.LLM[Any]) -> None:
        nonlocal said
        async with asyncio.timeout(BOUND_S), asking(model) as stream:
            async for chunk in stream:
                said += (chunk.delta and chunk.delta.content) or ""

    async with desk.providers(llm=models(*endpoints)) as providers:
        with pytest.raises(APIError):
            await listen(providers.llm)

    assert said == "One two "
    counted = metered(providers)
    assert counted[f"{INPUT}~"] > 0
    assert counted[f"{OUTPUT}~"] >= 2


async def test_an_interrupted_reply_is_metered_as_estimated(desk: Bench) -> None:
    await desk.engine.use_profile(llm={"tokens_per_s": [1, 1]})

    async with desk.providers(llm=models(WELL)) as providers:
        async with asking(providers.llm) as stream:
            await anext(stream)

        assert metered(providers) == {
            f"{INPUT}~": Decimal(-(-(len(PROMPT) + len(QUESTION)) // 4)),
            f"{OUTPUT}~": Decimal(1),
        }


async def test_a_model_that_recovers_is_asked_first_again(desk: Bench) -> None:
    await desk.engine.inject({"stage": "llm", "key": ILL, "kind": "status", "status": 500, "times": 1})

    async with desk.providers(llm=models(ILL, WELL)) as providers:
        changes: asyncio.Queue[Any] = asyncio.Queue()
        providers.llm.on("llm_availability_changed", changes.put_nowait)
        await ask(providers.llm)
        async with asyncio.timeout(BOUND_S):
            while not (await changes.get()).available:
                pass
        before = await desk.served("llm", WELL)
        await ask(providers.llm)

    assert await desk.served("llm", WELL) == before


async def test_a_tool_call_is_passed_on_whole_and_counted(desk: Bench) -> None:
    @llm.function_tool
    async def book_room(room: str) -> str:
        """Book a room."""
        return room

    call = {"name": "book_room", "arguments": {"room": "the blue one"}}
    await desk.engine.use_profile(llm={"tool_call": call})

    async with desk.providers(llm=models(WELL)) as providers:
        async with asking(providers.llm, tools=[book_room]) as stream:
            calls = [c async for chunk in stream if chunk.delta for c in chunk.delta.tool_calls]

        assert [(c.name, json.loads(c.arguments)) for c in calls] == [("book_room", call["arguments"])]
        assert metered(providers)[OUTPUT] > 0


async def test_a_tenant_s_own_server_is_reached_guarded_and_billed_by_nobody(
    desk: Bench, engine_url: str
) -> None:
    choice = {"provider": "openai-compatible", "model": "llama", "base_url": f"{engine_url}/v1"}

    async with desk.providers(llm=[choice]) as providers:
        assert await ask(providers.llm) == "One two three."

        assert metered(providers) == {
            "openai-compatible/own-endpoint/input_token": PROMPT_TOKENS,
            "openai-compatible/own-endpoint/output_token": 3,
        }


@pytest.mark.parametrize("kind", ["stall", "silent"])
async def test_a_tenant_s_own_server_that_falls_silent_times_out_too(
    desk: Bench, engine_url: str, kind: str
) -> None:
    await desk.engine.inject({"stage": "llm", "key": "none", "kind": kind})
    choice = {"provider": "openai-compatible", "model": "llama", "base_url": f"{engine_url}/v1"}

    async with desk.providers(llm=[choice]) as providers:
        with pytest.raises(APITimeoutError):
            await ask(providers.llm)

        # it had the whole prompt, and works on it until it sees that we have gone
        assert set(metered(providers)) == {"openai-compatible/own-endpoint/input_token~"}


async def test_closing_in_mid_reply_leaves_nothing_running(desk: Bench) -> None:
    await desk.engine.use_profile(llm={"tokens_per_s": [1, 1]})

    async with desk.providers(llm=models(ILL)) as providers:
        stream = asking(providers.llm)
        await anext(stream)
        await providers.aclose()

        assert metered(providers)[f"{OUTPUT}~"] == 1
        async for _ in stream:
            pass  # it ends
        await stream.aclose()
    async with asyncio.timeout(BOUND_S):
        while (await desk.engine.count("llm", ILL))["open"]:
            pass
