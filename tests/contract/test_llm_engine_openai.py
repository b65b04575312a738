"""The local language engine as the official OpenAI client meets it."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI

from tests.contract.llm_engine_process import FAST, running_engine

MODEL = "gpt-4.1-mini"
SYSTEM = (
    "You are Mia.\n# Knowledge\nQ: Is there parking?\nA: Yes, there is free parking behind the building.\n"
)
PARKING = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "is there any parking"}]
BOOK_ROOM = {
    "type": "function",
    "function": {
        "name": "book_room",
        "description": "Book a meeting room.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {
                "city": {
                    "type": "string",
                    "enum": ["Mountain View", "London"],
                    "description": "Which office?",
                },
                "people": {"type": "integer", "description": "How many people?"},
            },
            "required": ["city", "people"],
            "additionalProperties": False,
        },
    },
}
BOOKING = [{"role": "user", "content": "book a room in mountain view for two people"}]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_engine(*FAST) as base:
        yield base


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="local", max_retries=0, timeout=5) as made:
        yield made


async def create(client: AsyncOpenAI, messages: Any = PARKING, **more: Any) -> Any:
    return await client.chat.completions.create(**{"model": MODEL, "messages": messages, **more})


async def streamed(client: AsyncOpenAI, messages: Any = PARKING, **more: Any) -> list[Any]:
    return [chunk async for chunk in await create(client, messages, stream=True, **more)]


async def test_a_stream_is_role_then_words_then_reason(client: AsyncOpenAI) -> None:
    chunks = await streamed(client)
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert deltas[0].role == "assistant"
    assert [d.content for d in deltas[1:3]] == ["Yes,", " there"]
    assert "".join(d.content or "" for d in deltas) == "Yes, there is free parking behind the building."
    assert [c.choices[0].finish_reason for c in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert {c.system_fingerprint for c in chunks} == {"parley-rule-engine"}
    assert all(c.usage is None for c in chunks)


async def test_usage_comes_last_when_asked_for(client: AsyncOpenAI) -> None:
    *_, last = await streamed(client, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.prompt_tokens > 20
    assert last.usage.completion_tokens == 10
    assert last.usage.total_tokens == last.usage.prompt_tokens + 10
    assert last.usage.prompt_tokens_details.cached_tokens == 0


async def test_a_stream_ends_with_done(url: str) -> None:
    body = {"model": MODEL, "messages": PARKING, "stream": True}
    headers = {"Authorization": "Bearer local"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{url}/v1/chat/completions", json=body) as response,
    ):
        assert response.content_type == "text/event-stream"
        assert (await response.read()).endswith(b"\n\ndata: [DONE]\n\n")


async def test_a_tool_round_trip(client: AsyncOpenAI) -> None:
    chunks = await streamed(client, BOOKING, tools=[BOOK_ROOM])
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    calls = [c.choices[0].delta.tool_calls[0] for c in chunks if c.choices[0].delta.tool_calls]
    assert (calls[0].function.name, calls[0].type) == ("book_room", "function")
    arguments = "".join(call.function.arguments for call in calls)
    assert json.loads(arguments) == {"city": "Mountain View", "people": 2}

    function = {"name": "book_room", "arguments": arguments}
    called = {
        "role": "assistant",
        "tool_calls": [{"id": calls[0].id, "type": "function", "function": function}],
    }
    result = {"role": "tool", "tool_call_id": calls[0].id, "content": '{"message": "Room Everest is yours."}'}
    answer = await create(client, [*BOOKING, called, result], tools=[BOOK_ROOM])
    assert answer.choices[0].message.content.startswith("Room Everest is yours.")


async def test_an_answer_that_is_not_streamed_is_the_same(client: AsyncOpenAI) -> None:
    answer = await create(client)
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.content == "Yes, there is free parking behind the building."
    assert answer.choices[0].finish_reason == "stop"
    called = await create(client, BOOKING, tools=[BOOK_ROOM])
    assert called.choices[0].message.content is None
    assert called.choices[0].message.tool_calls[0].function.name == "book_room"
    assert called.choices[0].finish_reason == "tool_calls"


async def test_the_same_request_has_the_same_id_and_answer(client: AsyncOpenAI) -> None:
    one, two, other = await create(client), await create(client), await create(client, seed=1)
    assert one.id == two.id != other.id
    assert one.choices == two.choices


@pytest.mark.parametrize("limit", [{"max_tokens": 3}, {"max_completion_tokens": 3}])
async def test_the_token_limit_is_kept(client: AsyncOpenAI, limit: dict[str, int]) -> None:
    answer = await create(client, **limit)
    assert answer.choices[0].message.content == "Yes, there"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3


async def test_a_long_prompt_that_was_just_sent_is_cached(client: AsyncOpenAI, url: str) -> None:
    facts = "".join(f"Q: question {n} about thing {n}?\nA: answer number {n}.\n" for n in range(200))
    messages = [{"role": "system", "content": f"{SYSTEM}{facts}"}, {"role": "user", "content": "hello"}]
    first = (await create(client, messages)).usage
    more = [*messages, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "bye"}]
    second = (await create(client, more)).usage
    assert first.prompt_tokens_details.cached_tokens == 0
    cached = second.prompt_tokens_details.cached_tokens
    assert cached >= 1024
    assert cached % 128 == 0
    assert first.prompt_tokens - 140 < cached <= first.prompt_tokens
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="another") as stranger:
        assert (await create(stranger, messages)).usage.prompt_tokens_details.cached_tokens == 0


async def test_the_model_list_says_what_it_is(client: AsyncOpenAI) -> None:
    models = await client.models.list()
    assert {"local-dialogue", "local-echo", "local-slow"} <= {model.id for model in models.data}
    assert all("not a language model" in model.model_extra["description"] for model in models.data)
    assert (await client.models.retrieve(MODEL)).owned_by == "parley-rule-engine"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("unknown-model")


async def test_the_echo_model_says_the_last_words(client: AsyncOpenAI) -> None:
    assert (await create(client, model="local-echo")).choices[0].message.content == "is there any parking"


async def test_the_slow_model_outlasts_a_timeout(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        await create(client, model="local-slow", stream=True, timeout=0.2)
    assert (await create(client)).choices


@pytest.mark.parametrize(
    ("more", "error", "code"),
    [
        ({"model": "unknown-9"}, openai.NotFoundError, "model_not_found"),
        ({"model": "local-error-429"}, openai.RateLimitError, "rate_limit_exceeded"),
        ({"model": "local-error-500"}, openai.InternalServerError, None),
        ({"max_tokens": 0}, openai.BadRequestError, "integer_below_min_value"),
        ({"messages": []}, openai.BadRequestError, None),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, openai.BadRequestError, None),
    ],
)
async def test_errors_have_openais_form(
    client: AsyncOpenAI, more: dict[str, Any], error: type[openai.APIStatusError], code: str | None
) -> None:
    with pytest.raises(error) as raised:
        await create(client, **{"messages": PARKING, **more})
    assert raised.value.code == code
    assert set(raised.value.body) == {"message", "type", "param", "code"}  # type: ignore[call-overload]


async def test_a_wrong_key_is_refused(url: str) -> None:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="invalid-key", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as raised:
            await create(stranger)
    assert raised.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/v1/chat/completions", b"{", 400),
        ("/v1/chat/completions", b"[" * 100_000, 400),
        ("/v1/chat/completions", b"\xff", 400),
        ("/v1/nothing", b"{}", 404),
        ("/v1/models", b"{}", 405),
        ("/v1/chat/completions", b" " * 9_000_000, 413),
    ],
    ids=["cut", "deep", "not-text", "path", "method", "large"],
)
async def test_broken_requests_are_refused_in_openais_form(
    url: str, path: str, content: bytes, status: int
) -> None:
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer local"}) as session,
        session.post(url + path, data=io.BytesIO(content)) as response,
    ):
        assert response.status == status
        assert set((await response.json())["error"]) == {"message", "type", "param", "code"}


async def test_a_request_without_a_key_is_refused(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/v1/models") as response:
        assert response.status == 401
        assert (await response.json())["error"]["code"] == "invalid_api_key"


async def test_the_engine_reports_its_health(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz") as response:
        assert await response.json() == {"status": "ok", "engine": "llm"}
