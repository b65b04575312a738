"""A model with deadlines and a meter, on virtual time."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, APITimeoutError, llm

from edge_agents.providers.llm.metered import MeteredLLM
from edge_agents.providers.llm.sent_request import request_is_sent
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.timeouts import Deadlines
from tests.fakes.virtual_time import elapsed_s, run_virtual
from tests.unit.edge_agents.providers.fake_plugins import ONE_TRY, FakeModel, FakeModelStream

LIMITS = Deadlines(llm_first_chunk_s=4.0, llm_gap_s=3.0)


class Bench:
    """A wrapped model and what was counted."""

    def __init__(self, script: Any, **options: Any) -> None:
        self.model = FakeModel(script)
        self.meter = UsageMeter()
        self.wrapped = MeteredLLM(
            self.model, meter=self.meter, provider="openai", sku="m", deadlines=LIMITS, **options
        )
        self.errors: list[llm.LLMError] = []
        self.wrapped.on("error", self.errors.append)

    def chat(
        self, options: APIConnectOptions = ONE_TRY, *, prompt: str = "x" * 40, **more: Any
    ) -> llm.LLMStream:
        context = llm.ChatContext.empty()
        context.add_message(role="user", content=prompt)
        return self.wrapped.chat(chat_ctx=context, conn_options=options, **more)

    async def ask(self, options: APIConnectOptions = ONE_TRY, **more: Any) -> str:
        async with self.chat(options, **more) as stream:
            return "".join([chunk.delta.content or "" async for chunk in stream if chunk.delta])

    @property
    def counted(self) -> dict[tuple[str, bool], int]:
        return {(item.unit.value, item.estimated): int(item.quantity) for item in self.meter.items()}


async def _good(stream: FakeModelStream) -> None:
    stream.text("One ")
    stream.text("two.")
    stream.usage(prompt=120, cached=100, completion=3)


def test_reported_tokens_are_counted_with_cached_ones_apart() -> None:
    bench = Bench(_good)

    assert run_virtual(bench.ask()) == "One two."
    assert bench.counted == {
        ("input_token", False): 20,
        ("cached_input_token", False): 100,
        ("output_token", False): 3,
    }


def test_a_vendor_that_reports_more_cached_than_prompt_tokens_is_not_counted_below_zero() -> None:
    async def odd(stream: FakeModelStream) -> None:
        stream.text("Hi.")
        stream.usage(prompt=10, cached=12, completion=1)

    bench = Bench(odd)
    run_virtual(bench.ask())

    assert bench.counted == {("cached_input_token", False): 12, ("output_token", False): 1}


@pytest.mark.parametrize(
    ("pauses_s", "expected_end_s"),
    [([60.0], 4.0), ([3.9, 60.0], 6.9), ([3.9, 2.9, 60.0], 9.8)],
    ids=["nothing", "after one chunk", "after two chunks"],
)
def test_a_stream_that_falls_silent_times_out_at_the_exact_instant(
    pauses_s: list[float], expected_end_s: float
) -> None:
    async def slow(stream: FakeModelStream) -> None:
        for pause_s in pauses_s:
            await asyncio.sleep(pause_s)
            stream.text("word ")

    async def measure() -> float:
        with pytest.raises(APITimeoutError) as caught:
            await Bench(slow).ask()
        assert not caught.value.retryable
        return elapsed_s()

    assert run_virtual(measure()) == pytest.approx(expected_end_s)


def test_empty_chunks_do_not_put_the_deadline_off() -> None:
    async def dripping(stream: FakeModelStream) -> None:
        while True:
            await asyncio.sleep(0.5)
            stream.text("")

    async def measure() -> float:
        with pytest.raises(APITimeoutError):
            await Bench(dripping).ask()
        return elapsed_s()

    assert run_virtual(measure()) == pytest.approx(4.0)


def test_a_timed_out_reply_is_not_asked_for_again() -> None:
    async def hang(_: FakeModelStream) -> None:
        await asyncio.sleep(1000)

    bench = Bench(hang)
    with pytest.raises(APITimeoutError):
        run_virtual(bench.ask(APIConnectOptions(max_retry=3, timeout=10)))

    assert len(bench.model.requests) == 1
    assert [error.recoverable for error in bench.errors] == [False]


def test_an_empty_answer_is_an_error_that_another_try_may_mend() -> None:
    tries: list[int] = []

    async def empty_once(stream: FakeModelStream) -> None:
        tries.append(1)
        if len(tries) > 1:
            await _good(stream)
        else:
            stream.usage(prompt=10, cached=0, completion=0)

    bench = Bench(empty_once)

    assert run_virtual(bench.ask(APIConnectOptions(max_retry=1, timeout=10))) == "One two."
    assert bench.counted[("input_token", False)] == 10 + 20
    assert [error.recoverable for error in bench.errors] == [True]


def test_an_empty_answer_without_another_try_is_a_connection_error() -> None:
    async def empty(_: FakeModelStream) -> None:
        return

    bench = Bench(empty)
    with pytest.raises(APIConnectionError, match="nothing"):
        run_virtual(bench.ask())
    assert bench.counted == {}


def test_a_tool_call_alone_is_an_answer() -> None:
    async def tool(stream: FakeModelStream) -> None:
        stream.tool("book", '{"day":"friday"}')
        stream.usage(prompt=5, cached=0, completion=7)

    bench = Bench(tool)
    run_virtual(bench.ask())

    assert bench.counted == {("input_token", False): 5, ("output_token", False): 7}


def test_a_reply_that_is_cancelled_is_estimated_from_its_text() -> None:
    async def endless(stream: FakeModelStream) -> None:
        while True:
            stream.text("word ")
            await asyncio.sleep(1)

    async def interrupt(bench: Bench) -> None:
        async with bench.chat() as stream:
            async for _ in stream:
                break

    bench = Bench(endless)
    run_virtual(interrupt(bench))

    assert bench.counted == {("input_token", True): 10, ("output_token", True): 2}


def test_a_reply_that_is_cancelled_before_its_first_word_has_cost_its_prompt() -> None:
    async def thinking(_: FakeModelStream) -> None:
        request_is_sent()
        await asyncio.sleep(1000)

    async def interrupt(bench: Bench) -> None:
        async with bench.chat():
            await asyncio.sleep(0.4)

    bench = Bench(thinking)
    run_virtual(interrupt(bench))

    assert bench.counted == {("input_token", True): 10}


def test_the_tools_schemas_are_part_of_an_estimated_prompt() -> None:
    @llm.function_tool
    async def book(day: str) -> str:
        """Book a room."""
        return day

    async def endless(stream: FakeModelStream) -> None:
        stream.text("word")
        await asyncio.sleep(1000)

    async def interrupt(bench: Bench) -> None:
        async with bench.chat(tools=[book]) as stream:
            async for _ in stream:
                break

    bench = Bench(endless)
    run_virtual(interrupt(bench))

    assert bench.counted[("input_token", True)] > 30


def test_a_reply_that_times_out_is_estimated_since_a_slow_vendor_bills_it() -> None:
    async def hang(stream: FakeModelStream) -> None:
        stream.text("word")
        await asyncio.sleep(1000)

    bench = Bench(hang)
    with pytest.raises(APITimeoutError):
        run_virtual(bench.ask())

    assert bench.counted == {("input_token", True): 10, ("output_token", True): 1}


@pytest.mark.parametrize(("sent", "tokens"), [(True, {("input_token", True): 10}), (False, {})])
def test_a_request_that_times_out_without_an_answer_costs_its_prompt_only_when_it_was_sent(
    sent: bool, tokens: dict[tuple[str, bool], int]
) -> None:
    async def hang(_: FakeModelStream) -> None:
        if sent:
            request_is_sent()
        await asyncio.sleep(1000)

    bench = Bench(hang)
    with pytest.raises(APITimeoutError):
        run_virtual(bench.ask())

    assert bench.counted == tokens


def test_a_vendor_s_own_timeout_before_the_request_was_sent_costs_nothing() -> None:
    async def never_connects(_: FakeModelStream) -> None:
        raise APITimeoutError

    bench = Bench(never_connects)
    with pytest.raises(APITimeoutError):
        run_virtual(bench.ask())

    assert bench.counted == {}


def test_a_shared_client_is_given_back_once_by_closing_or_by_being_thrown_away() -> None:
    given_back: list[str] = []

    async def close_twice() -> None:
        closed = Bench(_good, give_back=lambda: given_back.append("closed")).wrapped
        await closed.aclose()
        await closed.aclose()

    run_virtual(close_twice())
    thrown_away = Bench(_good, give_back=lambda: given_back.append("thrown away"))
    del thrown_away
    gc.collect()

    assert given_back == ["closed", "thrown away"]


@pytest.mark.parametrize(
    "error",
    [APIStatusError("no", status_code=401), APIStatusError("no", status_code=500), APIConnectionError()],
    ids=["401", "500", "connection"],
)
def test_a_request_that_was_refused_costs_nothing(error: Exception) -> None:
    async def refuse(_: FakeModelStream) -> None:
        raise error

    bench = Bench(refuse)
    with pytest.raises(type(error)):
        run_virtual(bench.ask())
    assert bench.counted == {}


def test_a_reply_that_breaks_off_is_estimated_and_not_said_twice() -> None:
    async def break_off(stream: FakeModelStream) -> None:
        stream.text("Half a ")
        raise APIConnectionError(retryable=False)

    said: list[str] = []

    async def listen(bench: Bench) -> None:
        async with bench.chat(APIConnectOptions(max_retry=2, timeout=10)) as stream:
            async for chunk in stream:
                assert chunk.delta is not None
                said.append(chunk.delta.content or "")

    bench = Bench(break_off)
    with pytest.raises(APIConnectionError):
        run_virtual(listen(bench))

    assert said == ["Half a "]
    assert bench.counted == {("input_token", True): 10, ("output_token", True): 2}


def test_the_plugin_itself_never_tries_again_and_a_request_s_own_parameters_go_first() -> None:
    bench = Bench(_good, request={"max_completion_tokens": 220, "seed": 1})

    run_virtual(bench.ask(APIConnectOptions(max_retry=5, timeout=10)))
    run_virtual(bench.ask(extra_kwargs={"max_completion_tokens": 1000}))

    first, second = bench.model.requests
    assert first["conn_options"].max_retry == 0
    assert first["extra_kwargs"] == {"max_completion_tokens": 220, "seed": 1}
    assert second["extra_kwargs"] == {"max_completion_tokens": 1000, "seed": 1}


def test_closing_ends_what_still_runs_and_counts_it() -> None:
    async def endless(stream: FakeModelStream) -> None:
        stream.text("word")
        await asyncio.sleep(1000)

    async def close_early(bench: Bench) -> None:
        stream = bench.chat()
        await anext(stream)
        await bench.wrapped.aclose()
        assert bench.counted == {("input_token", True): 10, ("output_token", True): 1}
        await stream.aclose()

    bench = Bench(endless)
    run_virtual(close_early(bench))

    assert bench.model.closed == 1
