"""The local language engine as the LiveKit agents framework meets it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Literal

import pytest
from livekit.agents import (
    Agent,
    AgentSession,
    APIConnectOptions,
    APIStatusError,
    RunContext,
    function_tool,
    llm,
)
from livekit.plugins import openai
from pydantic import Field

from tests.contract.llm_engine_process import FAST, running_engine

SYSTEM = (
    "You are Mia.\n# Knowledge\nQ: Is there parking?\nA: Yes, there is free parking behind the building.\n"
)
ONE_TRY = APIConnectOptions(max_retry=0, timeout=5)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_engine(*FAST) as base:
        yield base


def plugin(url: str, model: str = "gpt-4.1-mini", api_key: str = "local") -> openai.LLM:
    return openai.LLM(model=model, base_url=f"{url}/v1", api_key=api_key)


@pytest.fixture
async def language_model(url: str) -> AsyncIterator[openai.LLM]:
    made = plugin(url)
    yield made
    await closed(made)


async def closed(made: openai.LLM) -> None:
    await made.aclose()
    await made._client.close()


@function_tool
async def book_room(
    city: Annotated[Literal["Mountain View", "London"], Field(description="Which office?")],
    people: Annotated[int, Field(description="How many people?")],
    note: Annotated[str | None, Field(description="Anything to add?")] = None,
) -> str:
    """Book a meeting room."""
    return f"A room in {city} for {people} is yours."


def context(*turns: str) -> llm.ChatContext:
    made = llm.ChatContext.empty()
    made.add_message(role="system", content=SYSTEM)
    for i, turn in enumerate(turns):
        made.add_message(role="assistant" if i % 2 else "user", content=turn)
    return made


async def ask(
    language_model: openai.LLM, ctx: llm.ChatContext, tools: list[llm.Tool] | None = None
) -> list[llm.ChatChunk]:
    async with language_model.chat(chat_ctx=ctx, tools=tools, conn_options=ONE_TRY) as stream:
        return [chunk async for chunk in stream]


def words(chunks: list[llm.ChatChunk]) -> str:
    return "".join(chunk.delta.content or "" for chunk in chunks if chunk.delta)


def calls(chunks: list[llm.ChatChunk]) -> list[llm.FunctionToolCall]:
    return [call for chunk in chunks if chunk.delta for call in chunk.delta.tool_calls]


async def test_an_answer_comes_in_words_with_usage(language_model: openai.LLM) -> None:
    chunks = await ask(language_model, context("is there parking"))
    assert words(chunks) == "Yes, there is free parking behind the building."
    assert len([c for c in chunks if c.delta and c.delta.content]) == 8
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == 10
    assert usage.prompt_cached_tokens == 0


async def test_a_strict_tool_is_filled_and_its_result_spoken(language_model: openai.LLM) -> None:
    ctx = context("book a room in mountain view", "How many people?", "to people")
    (call,) = calls(await ask(language_model, ctx, [book_room]))
    assert call.name == "book_room"
    assert call.arguments == '{"city": "Mountain View", "people": 2, "note": null}'
    ctx.items.append(llm.FunctionCall(call_id=call.call_id, name=call.name, arguments=call.arguments))
    ctx.items.append(
        llm.FunctionCallOutput(call_id=call.call_id, name=call.name, output="It is yours.", is_error=False)
    )
    spoken = await ask(language_model, ctx, [book_room])
    assert words(spoken) == "It is yours. Is there anything else I can help you with?"


async def test_a_stream_that_is_dropped_does_no_harm(language_model: openai.LLM) -> None:
    async with language_model.chat(chat_ctx=context("is there parking"), conn_options=ONE_TRY) as stream:
        await anext(aiter(stream))
    assert words(await ask(language_model, context("hello"))).startswith("Hello!")


async def test_a_long_prompt_counts_as_cached_the_second_time(language_model: openai.LLM) -> None:
    ctx = context("hello")
    facts = "".join(f"Q: what about thing {n}\nA: it is answer {n}.\n" for n in range(150))
    ctx.items.insert(0, llm.ChatMessage(role="system", content=[facts]))
    cached = [(await ask(language_model, ctx))[-1].usage for _ in range(2)]
    assert [usage.prompt_cached_tokens > 1024 for usage in cached if usage] == [False, True]


@pytest.mark.parametrize(
    ("model", "api_key", "status"),
    [
        ("local-error-429", "local", 429),
        ("local-error-500", "local", 500),
        ("gpt", "invalid", 401),
        ("unknown", "k", 404),
    ],
)
async def test_errors_reach_the_agent_with_their_status(
    url: str, model: str, api_key: str, status: int
) -> None:
    failing = plugin(url, model, api_key)
    try:
        with pytest.raises(APIStatusError) as raised:
            await ask(failing, context("hello"))
    finally:
        await closed(failing)
    assert raised.value.status_code == status


class Receptionist(Agent):
    def __init__(self) -> None:
        super().__init__(instructions=SYSTEM)
        self.booked: list[tuple[str, int]] = []

    @function_tool
    async def book_room(
        self,
        _context: RunContext[None],
        city: Annotated[Literal["Mountain View", "London"], Field(description="Which office?")],
        people: Annotated[int, Field(description="How many people?")],
    ) -> str:
        """Book a meeting room."""
        self.booked.append((city, people))
        return f"A room in {city} is booked."


async def test_a_whole_call_in_an_agent_session(language_model: openai.LLM) -> None:
    receptionist = Receptionist()
    async with AgentSession[None](llm=language_model) as session:
        await session.start(receptionist)
        said = []
        for turn in (
            "book a room",
            "is there parking",
            "mount in view",
            "two people",
            "what was the city i said",
        ):
            run = await session.run(user_input=turn)
            said.append(run.events[-1].item.text_content)  # type: ignore[union-attr]
    assert receptionist.booked == [("Mountain View", 2)]
    assert said == [
        "Sure. Which office?",
        "Yes, there is free parking behind the building. Which office?",
        "How many people?",
        "A room in Mountain View is booked. Is there anything else I can help you with?",
        "The city is Mountain View.",
    ]
