"""Who is let in, what is published of it, and what becomes of the lease."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NoReturn

import pytest

from edge_agents.providers.clients import EndpointMissingError
from shared.contracts.calls import CallAdmitted, CallEnded, CallRefused, CallRequested, CallStarted
from shared.contracts.usage import UsageRecord
from shared.domain.call import EndReason, Media, RefusalReason
from shared.errors import AgentConfigError, CallRefusedError
from shared.ids import IdKind, new_id
from shared.ports import Lease, Refusal
from tests.fakes.gate import FakeGate
from tests.unit.edge_agents.host.desk_parts import Office, office


class AwayGate(FakeGate):
    """Grants, and is away from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_in_vain = asyncio.Event()

    async def renew(self, lease: Lease) -> bool:
        self.asked_in_vain.set()
        raise ConnectionError

    async def release(self, lease: Lease) -> None:
        raise ConnectionError


class DrainingGate(FakeGate):
    """While it decides, the process is told to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.office: Office | None = None

    async def admit(self, *, tenant_id: str, call_id: str) -> Lease | Refusal:
        assert self.office is not None
        assert await self.office.desk.drain(1.0)
        return await super().admit(tenant_id=tenant_id, call_id=call_id)


async def refused(place: Office, **who: str) -> RefusalReason:
    """Take a call that is refused; the reason, as told and as published."""
    transport = place.transport(**who)
    with pytest.raises(CallRefusedError) as caught:
        await place.desk.take(transport)
    reason = place.publisher.one(CallRefused).reason
    assert caught.value.data["reason"] == reason.value
    assert [type(event) for event in place.publisher.events] == [CallRequested, CallRefused]
    assert not transport.attached.is_set()
    assert place.desk.active_calls == 0
    return reason


async def test_a_call_is_requested_admitted_started_and_ended_and_its_lease_returned(tmp_path: Path) -> None:
    async with office(tmp_path) as place:
        transport, call = await place.answered()
        assert place.desk.active_calls == 1
        transport.hang_up()

        assert await call is EndReason.CALLER_HUNG_UP
        assert place.desk.active_calls == 0
        for fact in (CallRequested, CallAdmitted, CallStarted, UsageRecord, CallEnded):
            place.publisher.one(fact)
        assert [lease.call_id for lease in place.gate.released] == [transport.attributes["parley.call_id"]]


async def test_an_unknown_tenant_is_refused_before_admission_is_asked(tmp_path: Path) -> None:
    async with office(tmp_path) as place:
        assert await refused(place, tenant_id=new_id(IdKind.TENANT)) is RefusalReason.UNKNOWN_TENANT
        assert place.gate.asked == []


async def test_a_configuration_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as place:
        place.configs.error = AgentConfigError("bad", fields=("greeting",))

        assert await refused(place) is RefusalReason.INVALID_CONFIG


async def test_what_admission_refuses_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as place:
        place.gate.refuse_with = RefusalReason.AT_CAPACITY

        assert await refused(place) is RefusalReason.AT_CAPACITY
        assert place.gate.released == []


@pytest.mark.parametrize("error", [EndpointMissingError("none"), ValueError("not with this model")])
async def test_providers_that_can_not_be_made_are_a_refusal_and_the_lease_is_returned(
    tmp_path: Path, error: Exception
) -> None:
    def make(*_: object) -> NoReturn:
        raise error

    async with office(tmp_path, make_providers=make) as place:
        assert await refused(place) is RefusalReason.INVALID_CONFIG
        assert len(place.gate.released) == 1


async def test_a_call_whose_lease_was_lost_is_hung_up(tmp_path: Path) -> None:
    async with office(tmp_path, heartbeat_s=0.01) as place:
        transport, call = await place.answered()
        place.gate.lost.add(transport.attributes["parley.call_id"])

        assert await call is EndReason.WORKER_LOST


async def test_calls_go_on_while_admission_is_away(tmp_path: Path) -> None:
    gate = AwayGate()
    async with office(tmp_path, gate=gate, heartbeat_s=0.01) as place:
        transport, call = await place.answered()
        await gate.asked_in_vain.wait()
        assert not call.done()
        transport.hang_up()

        assert await call is EndReason.CALLER_HUNG_UP
        assert place.desk.active_calls == 0


async def test_a_cancelled_call_has_its_books_written(tmp_path: Path) -> None:
    async with office(tmp_path) as place:
        _, call = await place.answered()
        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call
        assert place.publisher.one(UsageRecord).end_reason is EndReason.WORKER_LOST
        assert place.publisher.one(CallEnded).end_reason is EndReason.WORKER_LOST
        assert place.desk.active_calls == 0


async def test_draining_waits_for_calls_and_refuses_new_ones(tmp_path: Path) -> None:
    async with office(tmp_path) as place:
        transport, call = await place.answered()
        assert not await place.desk.drain(0.01)
        assert place.desk.draining
        drain = asyncio.create_task(place.desk.drain(30.0))
        with pytest.raises(CallRefusedError) as caught:
            await place.desk.take(place.transport())
        assert caught.value.data["reason"] == RefusalReason.DRAINING
        assert not drain.done()
        transport.hang_up()

        assert await drain
        assert call.done()


async def test_a_drain_that_begins_during_admission_refuses_too(tmp_path: Path) -> None:
    gate = DrainingGate()
    async with office(tmp_path, gate=gate) as place:
        gate.office = place

        assert await refused(place) is RefusalReason.DRAINING
        assert len(gate.released) == 1


async def test_hanging_up_all_ends_every_call_with_the_reason(tmp_path: Path) -> None:
    async with office(tmp_path) as place:
        calls = [(await place.answered())[1] for _ in range(2)]
        place.desk.hang_up_all(EndReason.WORKER_LOST)

        assert await asyncio.gather(*calls) == [EndReason.WORKER_LOST] * 2
        assert await place.desk.drain(1.0)


@pytest.mark.parametrize(
    ("draining", "full", "reason"),
    [
        (False, False, None),
        (False, True, RefusalReason.AT_CAPACITY),
        (True, False, RefusalReason.DRAINING),
        (True, True, RefusalReason.DRAINING),
    ],
)
async def test_a_caller_turned_away_at_the_door_is_on_record(
    tmp_path: Path, draining: bool, full: bool, reason: RefusalReason | None
) -> None:
    async with office(tmp_path) as place:
        if draining:
            await place.desk.drain(1.0)

        ids = {
            "tenant_id": new_id(IdKind.TENANT),
            "agent_id": new_id(IdKind.AGENT),
            "call_id": new_id(IdKind.CALL),
        }
        assert place.desk.turn_away(**ids, media=Media.WEBSOCKET, full=full) is reason

        published = [type(event) for event in place.publisher.events]
        assert published == ([] if reason is None else [CallRequested, CallRefused])
        if reason is not None:
            assert place.publisher.one(CallRefused).reason is reason
            assert place.publisher.one(CallRequested).agent_id == ids["agent_id"]
