"""The caller hangs up at every point of a call: it ends at once, is billed once, and nothing of it stays.

All calls run side by side in an agent in this process, so that its tasks can be counted; the tests look at what
was left of each.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from shared.contracts.calls import CallEnded
from shared.contracts.turns import TurnCompleted
from shared.contracts.usage import UsageRecord
from shared.ids import IdKind, new_id
from tests.fakes.origin import serving, silent
from tests.fakes.waiting import until
from tests.integration.agent_process import (
    AgentHere,
    Parts,
    Publication,
    agent_env,
    agent_here,
    broker_and_engine,
    publish,
)
from tests.integration.call_books import Books
from tests.integration.hang_up_points import (
    BEFORE_READY,
    DURING_ADMISSION,
    KEYS,
    LONG,
    POINTS,
    SCRIPTS,
    UNHEARD,
    WAYS,
    Scene,
    SlowGate,
    call_of,
    config,
    name,
    rules,
)
from tests.integration.log_watch import complaints

AT_MOST_S = 10.0
"""From hanging up to the last event."""


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
    tool_calls: list[str]
    """The call of each request that reached the tools' server."""
    complaints: list[str]


async def hang_up_at(point: str, way: str, agent: AgentHere, tenant: Publication, scene: Scene) -> Outcome:
    if point == BEFORE_READY:
        return await hang_up_before_ready(way, agent, tenant, None)
    if point == DURING_ADMISSION:
        return await hang_up_before_ready(way, agent, tenant, scene.gate)
    async with agent.line(tenant) as line:
        await SCRIPTS[point](line, scene)
        outcome = Outcome(line.call_id, datetime.now(UTC))
        await (line.hang_up() if way == "stop" else line.vanish())
        return outcome


async def hang_up_before_ready(
    way: str, agent: AgentHere, tenant: Publication, gate: SlowGate | None
) -> Outcome:
    """Hang up at once; or, with a gate, while it thinks about the call."""
    outcome = Outcome(new_id(IdKind.CALL), datetime.now(UTC))
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(agent.url(tenant, outcome.call_id)) as socket,
    ):
        await socket.send_str('{"type":"start","sample_rate":16000}')
        if gate is not None:
            await gate.asked(outcome.call_id)
        if way == "stop":
            await socket.send_str('{"type":"stop"}')
        else:
            assert socket._response.connection is not None
            assert socket._response.connection.transport is not None
            socket._response.connection.transport.abort()
        outcome.hung_up_at = datetime.now(UTC)
        if gate is not None:
            gate.let_in(outcome.call_id)
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
                key: publish(folder / "agents", name(*key), **config(*key, origin.url())) for key in KEYS
            }
            with complaints() as found:
                async with agent_here(env) as agent:
                    kept_waiting = {tenants[DURING_ADMISSION, way].tenant_id for way in WAYS}
                    gate = SlowGate(agent.runtime.gate, kept_waiting)
                    agent.runtime.desk._gate = gate
                    before = asyncio.all_tasks()
                    calls = [
                        hang_up_at(*key, agent, tenants[key], Scene(name(*key), parts, origin, gate))
                        for key in KEYS
                    ]
                    outcomes = dict(zip(KEYS, await asyncio.gather(*calls), strict=True))
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
            tool_calls = list(map(call_of, origin.requests))
        return Aftermath(outcomes, left, leases, streams, tool_calls, found)

    with broker_and_engine() as parts:
        parts.use_profile(llm={"replies": [LONG], "tool_call": {"name": "book", "arguments": {}}})
        parts.inject(*rules())
        yield asyncio.run(everything(parts))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("point", POINTS)
def test_a_call_that_is_hung_up_ends_within_ten_seconds_and_is_billed_once(
    aftermath: Aftermath, point: str, way: str
) -> None:
    outcome = aftermath.outcomes[point, way]
    assert outcome.books is not None

    ended, record = outcome.books.one(CallEnded), outcome.books.one(UsageRecord)
    assert ended.end_reason is record.end_reason is WAYS[way]
    assert ended.error_code is None
    assert (ended.at - outcome.hung_up_at).total_seconds() < AT_MOST_S
    if point not in UNHEARD:
        assert outcome.books.of(TurnCompleted)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_under_way_is_on_record(aftermath: Aftermath, way: str) -> None:
    def turns(point: str) -> list[tuple[str, str]]:
        books = aftermath.outcomes[point, way].books
        assert books is not None
        return books.conversation

    assert "book" in turns("before-the-transcript")[-1][0]
    assert all(agent == "" for point in UNHEARD for _, agent in turns(point))
    for point in ("during-the-reply", "during-the-apology"):
        caller, agent = turns(point)[-1]
        assert caller == "book a room"
        assert agent.startswith("One")
        assert len(agent) < len(LONG)
    for point in ("during-the-warning", "during-the-goodbye"):
        assert len(turns(point)[-1][1]) < len(LONG)
    books = aftermath.outcomes["during-a-tool-call", way].books
    assert books is not None
    (tool,) = books.of(TurnCompleted)[-1].tools
    assert tool.error_code == "cancelled"


def test_a_tool_call_that_was_under_way_is_not_repeated(aftermath: Aftermath) -> None:
    made_for = [aftermath.outcomes["during-a-tool-call", way].call_id for way in WAYS]
    assert sorted(aftermath.tool_calls) == sorted(made_for)


def test_no_task_stays(aftermath: Aftermath) -> None:
    assert aftermath.tasks_left == set()


def test_no_connection_to_a_provider_stays_in_use(aftermath: Aftermath) -> None:
    assert aftermath.open_streams == []


def test_every_lease_is_returned(aftermath: Aftermath) -> None:
    assert aftermath.leases_left == 0


def test_nothing_is_logged_as_an_error(aftermath: Aftermath) -> None:
    # the one model that fails on purpose
    assert set(aftermath.complaints) <= {"livekit.agents: Error in _llm_inference_task"}
