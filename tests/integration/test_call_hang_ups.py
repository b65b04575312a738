"""The caller hangs up at every point of a call: it ends at once, is billed once, and nothing of it stays.

All calls run side by side in an agent in this process, so that its tasks can be counted; the tests look at what
was left of each.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from shared.contracts.calls import CallEnded
from shared.contracts.turns import TurnCompleted
from shared.contracts.usage import UsageRecord
from shared.domain.call import EndReason
from shared.ids import IdKind, new_id
from tests.fakes.origin import Origin, serving, silent
from tests.integration.agent_process import (
    GREETING,
    PROFILE,
    AgentHere,
    Parts,
    Publication,
    agent_env,
    agent_here,
    broker_and_engine,
    publish,
)
from tests.integration.call_books import Books
from tests.integration.caller_line import Line, speech, until
from tests.integration.log_watch import complaints

AT_MOST_S = 10.0
"""From hanging up to the last event."""
LONG = "One two three four five six seven eight nine ten. " * 4


@dataclass(frozen=True)
class Scene:
    """What a script can look at."""

    parts: Parts
    origin: Origin

    async def fault_at_work(self, key: str) -> None:
        """Wait until a request to the model of that name has met its fault."""

        async def struck() -> bool:
            return await asyncio.to_thread(self.parts.struck, key) > 0

        await until(struck)


Script = Callable[[Line, Scene], Awaitable[None]]


async def during_the_greeting(line: Line, _scene: Scene) -> None:
    await line.hears()


async def while_speaking(line: Line, _scene: Scene) -> None:
    await line.hears_out()
    await line.say(speech(0.6))


async def before_the_transcript(line: Line, _scene: Scene) -> None:
    await line.hears_out()
    await line.say(speech())


async def while_the_model_thinks(line: Line, scene: Scene) -> None:
    await line.hears_out()
    await line.say(speech())
    await scene.fault_at_work("while-the-model-thinks")


async def during_the_reply(line: Line, _scene: Scene) -> None:
    await line.hears_out()
    await line.say(speech())
    await line.hears()


async def during_a_tool_call(line: Line, scene: Scene) -> None:
    await line.hears_out()
    await line.say(speech())
    await scene.origin.arrival()


async def during_the_apology(line: Line, _scene: Scene) -> None:
    await during_the_reply(line, _scene)


async def during_the_goodbye(line: Line, _scene: Scene) -> None:
    await line.hears_out()
    await line.say(speech())
    await line.has_heard((len(GREETING) + len(LONG) + 20) * PROFILE["tts"]["ms_per_char"] / 1000)


SCRIPTS: dict[str, Script] = {
    script.__name__.replace("_", "-"): script
    for script in (
        during_the_greeting,
        while_speaking,
        before_the_transcript,
        while_the_model_thinks,
        during_the_reply,
        during_a_tool_call,
        during_the_apology,
        during_the_goodbye,
    )
}
BEFORE_READY = "before-ready"
POINTS = [BEFORE_READY, *SCRIPTS]
WAYS = ["stop", "vanish"]


def config(point: str, tool_url: str) -> dict[str, Any]:
    """An agent that can be caught at that point; its model's name is the point."""
    fields: dict[str, Any] = {"llm": [{"provider": "openai", "model": point}]}
    match point:
        case "during-the-greeting":
            fields["greeting"] = LONG
        case "before-the-transcript":
            fields["stt"] = [{"provider": "deepgram", "model": f"nova-3-{point}"}]
        case "during-a-tool-call":
            schema = {"type": "object", "properties": {}}
            tool = {"name": "book", "description": "Book a room.", "url": tool_url, "parameters": schema}
            fields["tools"] = [tool]
        case "during-the-apology":
            fields["phrases"] = {"apology": LONG}
        case "during-the-goodbye":
            fields["phrases"] = {"goodbye": LONG}
            fields["limits"] = {"turns": 1}
    return fields


RULES: list[dict[str, Any]] = [
    {"stage": "stt", "key": "nova-3-before-the-transcript", "kind": "slow", "delay_ms": 8000},
    {"stage": "llm", "key": "while-the-model-thinks", "kind": "slow", "delay_ms": 4000},
    {"stage": "llm", "key": "during-the-apology", "kind": "status", "status": 500},
]


@dataclass
class Outcome:
    """A call that was hung up."""

    call_id: str
    hung_up_at: datetime
    books: Books | None = None


@dataclass(frozen=True)
class Aftermath:
    """What was left when all had hung up."""

    outcomes: dict[tuple[str, str], Outcome]
    tasks_left: set[str]
    leases_left: int
    open_streams: list[dict[str, Any]]
    complaints: list[str]


async def hang_up_at(point: str, way: str, agent: AgentHere, tenant: Publication, scene: Scene) -> Outcome:
    if point == BEFORE_READY:
        return await hang_up_before_ready(way, agent, tenant)
    async with agent.line(tenant) as line:
        await SCRIPTS[point](line, scene)
        outcome = Outcome(line.call_id, datetime.now(UTC))
        await (line.hang_up() if way == "stop" else line.vanish())
        return outcome


async def hang_up_before_ready(way: str, agent: AgentHere, tenant: Publication) -> Outcome:
    outcome = Outcome(new_id(IdKind.CALL), datetime.now(UTC))
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(agent.url(tenant, outcome.call_id)) as socket,
    ):
        await socket.send_str('{"type":"start","sample_rate":16000}')
        if way == "stop":
            await socket.send_str('{"type":"stop"}')
            return outcome
        assert socket._response.connection is not None
        assert socket._response.connection.transport is not None
        socket._response.connection.transport.abort()
    return outcome


def tasks_beside(before: set[asyncio.Task[Any]]) -> set[str]:
    """Tasks that were not there `before`, without those of the tools' server."""
    names = {str(task.get_coro()) for task in asyncio.all_tasks() - before}
    return {name for name in names if "serving." not in name}


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Every call of this file, twice: in order, and with the connection lost."""
    folder = tmp_path_factory.mktemp("hang-ups")

    async def everything(parts: Parts) -> Aftermath:
        env = agent_env(folder, parts.engine_url, parts.bootstrap)
        async with serving(silent) as origin:
            tenants = {
                point: publish(folder / "agents", point, **config(point, origin.url())) for point in POINTS
            }
            scene = Scene(parts, origin)
            with complaints() as found:
                async with agent_here(env) as agent:
                    before = asyncio.all_tasks()
                    keys = [(point, way) for point in POINTS for way in WAYS]
                    calls = [hang_up_at(point, way, agent, tenants[point], scene) for point, way in keys]
                    outcomes = dict(zip(keys, await asyncio.gather(*calls), strict=True))
                    books = await agent.books(*(outcome.call_id for outcome in outcomes.values()))
                    for outcome, its_books in zip(outcomes.values(), books, strict=True):
                        outcome.books = its_books

                    async def idle() -> bool:
                        streams = await asyncio.to_thread(parts.counters)
                        return not tasks_beside(before) and not any(one["open"] for one in streams)

                    with contextlib.suppress(TimeoutError):  # the tests say what is left
                        await until(idle, 10.0)
                    left = tasks_beside(before)
                    streams = [one for one in parts.counters() if one["open"]]
                    leases = agent.runtime.gate.active
        return Aftermath(outcomes, left, leases, streams, found)

    with broker_and_engine() as parts:
        parts.use_profile(llm={"replies": [LONG], "tool_call": {"name": "book", "arguments": {}}})
        parts.inject(*RULES)
        yield asyncio.run(everything(parts))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("point", POINTS)
def test_a_call_that_is_hung_up_ends_within_ten_seconds_and_is_billed_once(
    aftermath: Aftermath, point: str, way: str
) -> None:
    outcome = aftermath.outcomes[point, way]
    assert outcome.books is not None

    ended, record = outcome.books.one(CallEnded), outcome.books.one(UsageRecord)
    assert ended.end_reason is record.end_reason is EndReason.CALLER_HUNG_UP
    assert ended.error_code is None
    assert (ended.at - outcome.hung_up_at).total_seconds() < AT_MOST_S
    if point != BEFORE_READY:
        assert outcome.books.of(TurnCompleted)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_under_way_is_on_record(aftermath: Aftermath, way: str) -> None:
    def turns(point: str) -> list[tuple[str, str]]:
        books = aftermath.outcomes[point, way].books
        assert books is not None
        return books.conversation

    assert "book" in turns("before-the-transcript")[-1][0]
    for point in ("during-the-reply", "during-the-apology"):
        caller, agent = turns(point)[-1]
        assert caller == "book a room"
        assert agent.startswith("One")
        assert len(agent) < len(LONG)
    assert len(turns("during-the-goodbye")[-1][1]) < len(LONG)
    books = aftermath.outcomes["during-a-tool-call", way].books
    assert books is not None
    (tool,) = books.of(TurnCompleted)[-1].tools
    assert tool.error_code == "cancelled"


def test_no_task_stays(aftermath: Aftermath) -> None:
    assert aftermath.tasks_left == set()


def test_no_connection_to_a_provider_stays_in_use(aftermath: Aftermath) -> None:
    assert aftermath.open_streams == []


def test_every_lease_is_returned(aftermath: Aftermath) -> None:
    assert aftermath.leases_left == 0


def test_nothing_is_logged_as_an_error(aftermath: Aftermath) -> None:
    # the one model that fails on purpose
    assert set(aftermath.complaints) <= {"livekit.agents: Error in _llm_inference_task"}
