"""Who is let in, and how a process goes: refusals, drain, hanging up at once, brokers that are away."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.contracts.calls import CallAdmitted, CallEnded, CallRefused, CallRequested
from shared.contracts.usage import UsageRecord
from shared.domain.call import EndReason, RefusalReason
from shared.errors import CallRefusedError
from shared.ids import IdKind, new_id
from tests.fakes.kafka import mock_cluster
from tests.fakes.waiting import until
from tests.integration.agent_process import (
    REPLY,
    Agent,
    AgentProcess,
    Parts,
    Publication,
    agent_env,
    agent_here,
    broker_and_engine,
    closed_port,
    publish,
    running_agent,
)
from tests.integration.call_books import Books
from tests.integration.caller_line import Line, speech

EXIT_S = 20.0


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    with broker_and_engine() as parts:
        yield parts


async def exchange(line: Line) -> None:
    """Say something, hear the answer out."""
    await line.hears_out()
    await line.say(speech())
    await line.hears()
    await line.hears_out()


async def refusal(agent: Agent, tenant: Publication, reason: str) -> Books:
    """What is published of a call that the door does not let in."""
    call_id = new_id(IdKind.CALL)
    status, body, retry_after_s = await agent.knock(tenant, call_id)

    assert (status, body["code"], body["reason"]) == (503, "call_refused", reason)
    assert retry_after_s == "2"
    (books,) = await agent.books(call_id)
    return books


def assert_refused(books: Books, reason: RefusalReason) -> None:
    assert books.one(CallRefused).reason is reason
    assert [type(event) for event in books.events] == [CallRequested, CallRefused]


async def exited(agent: AgentProcess) -> int:
    return await asyncio.to_thread(agent.process.wait, EXIT_S)


async def test_a_process_told_to_stop_finishes_its_calls_and_takes_no_more(
    parts: Parts, tmp_path: Path
) -> None:
    tenant = publish(tmp_path / "agents", "rooms")
    with running_agent(tmp_path, agent_env(tmp_path, parts.engine_url, parts.bootstrap)) as agent:
        async with agent.line(tenant) as line:
            await line.hears_out()
            agent.process.send_signal(signal.SIGTERM)

            async def draining() -> bool:
                return (await agent.health())[0] == 503

            await until(draining)
            assert (await agent.health())[1] == {
                "status": "draining",
                "engine": "agent",
                "active_calls": 1,
                "max_calls": 40,
            }
            assert_refused(await refusal(agent, tenant, "draining"), RefusalReason.DRAINING)
            agent.process.send_signal(signal.SIGTERM)  # orchestrators repeat it
            await exchange(line)
            assert line.media.over is None
        assert await exited(agent) == 0
        (books,) = await agent.books(line.call_id)

    assert REPLY in books.spoken
    assert books.one(CallEnded).end_reason is books.one(UsageRecord).end_reason is EndReason.CALLER_HUNG_UP


async def test_a_process_told_to_stop_at_once_hangs_up_and_writes_the_books(
    parts: Parts, tmp_path: Path
) -> None:
    tenant = publish(tmp_path / "agents", "rooms")
    with running_agent(tmp_path, agent_env(tmp_path, parts.engine_url, parts.bootstrap)) as agent:
        async with agent.line(tenant) as line, agent.line(tenant) as other:
            await line.hears_out()
            await other.hears_out()
            agent.process.send_signal(signal.SIGINT)
            assert [await line.ended(), await other.ended()] == [EndReason.WORKER_LOST] * 2
        assert await exited(agent) == 0
        for books in await agent.books(line.call_id, other.call_id):
            assert books.one(CallEnded).end_reason is EndReason.WORKER_LOST
            assert books.one(UsageRecord).items
        assert [one for one in agent.records() if "exception" in one] == []


async def test_a_full_process_refuses_at_the_door_until_a_call_has_ended(
    parts: Parts, tmp_path: Path
) -> None:
    tenant = publish(tmp_path / "agents", "rooms")
    env = agent_env(tmp_path, parts.engine_url, parts.bootstrap, PARLEY_MAX_CALLS="1")
    async with agent_here(env) as agent:
        async with agent.line(tenant) as line:
            await line.hears()
            assert_refused(await refusal(agent, tenant, "at_capacity"), RefusalReason.AT_CAPACITY)
        await agent.books(line.call_id)

        async def free() -> bool:
            return bool((await agent.health())[1]["active_calls"] == 0)

        await until(free)
        async with agent.line(tenant) as line:
            await line.hears()


async def test_what_can_not_be_served_is_refused_with_a_reason_and_costs_nothing(
    parts: Parts, tmp_path: Path
) -> None:
    known = publish(tmp_path / "agents", "rooms")
    broken = publish(tmp_path / "agents", "broken", limits={"turns": -1})
    unserved = publish(tmp_path / "agents", "unserved", tts=[{"provider": "elevenlabs", "voice": "a"}])
    odd = publish(
        tmp_path / "agents", "odd", llm=[{"provider": "openai", "model": "m", "endpoint": "nowhere"}]
    )
    cases = {
        "unknown_tenant": Publication("x", new_id(IdKind.TENANT), known.agent_id),
        "another tenant's agent": Publication("x", known.tenant_id, odd.agent_id),
        "invalid_config": broken,
        "a vendor without an endpoint": unserved,
        "an endpoint that is not there": odd,
    }
    reasons = [RefusalReason.UNKNOWN_TENANT] * 2 + [RefusalReason.INVALID_CONFIG] * 3
    async with agent_here(agent_env(tmp_path, parts.engine_url, parts.bootstrap)) as agent:
        for (case, tenant), reason in zip(cases.items(), reasons, strict=True):
            call_id = new_id(IdKind.CALL)
            with pytest.raises(CallRefusedError) as caught:
                async with agent.line(tenant, call_id):
                    pass
            assert caught.value.data["reason"] == reason, case
            (books,) = await agent.books(call_id)
            assert_refused(books, reason)
        assert agent.runtime.gate.active == 0


async def test_a_call_knows_nothing_of_brokers_that_stop_answering(parts: Parts, tmp_path: Path) -> None:
    tenant = publish(tmp_path / "agents", "rooms")
    async with mock_cluster() as cluster:
        env = agent_env(tmp_path, parts.engine_url, cluster.bootstrap)
        async with agent_here(env) as agent:
            cluster.freeze()
            async with agent.line(tenant) as line:
                await exchange(line)
            cluster.thaw()
            (books,) = await agent.books(line.call_id)

    assert REPLY in books.spoken
    assert books.one(CallEnded).end_reason is EndReason.CALLER_HUNG_UP
    books.one(UsageRecord)


async def test_events_of_a_process_that_never_saw_a_broker_are_sent_by_the_next_one(
    parts: Parts, tmp_path: Path
) -> None:
    tenant = publish(tmp_path / "agents", "rooms")
    nowhere = agent_env(tmp_path, parts.engine_url, f"127.0.0.1:{closed_port()}")
    async with agent_here(nowhere) as agent, agent.line(tenant) as line:
        await exchange(line)
    async with agent_here(nowhere | {"PARLEY_KAFKA_BOOTSTRAP": parts.bootstrap}) as agent:
        (books,) = await agent.books(line.call_id)

    assert REPLY in books.spoken
    for fact in (CallRequested, CallAdmitted, CallEnded, UsageRecord):
        books.one(fact)
