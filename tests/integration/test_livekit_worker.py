"""The worker that answers rooms, as a process of its own behind a real livekit-server."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from edge_agents.host.livekit_worker import DispatchMetadata
from edge_agents.transport.livekit_room import LiveKitRoomTransport
from local_stack.callers.caller import SyntheticCaller
from local_stack.callers.livekit_media import LiveKitMedia, caller_token
from local_stack.callers.script import Utterance
from local_stack.livekit.part import API_KEY, server_spec
from shared.adapters.sealing import AesGcmSealer
from shared.contracts.calls import CallEnded
from shared.contracts.turns import TurnCompleted, TurnKind
from shared.contracts.usage import UsageRecord
from shared.domain.call import EndReason
from shared.errors import CallRefusedError
from shared.ids import IdKind, new_id
from shared.names import AGENT_NAME
from tests.fakes.livekit_room import FakeParticipant, FakeRoom
from tests.fakes.waiting import block_until, until
from tests.integration.agent_process import (
    Agent,
    Parts,
    Publication,
    agent_env,
    agent_here,
    broker_and_engine,
    process,
    publish,
)
from tests.integration.call_books import Books
from tests.integration.caller_line import Line, Placed, silence, speech

pytestmark = pytest.mark.needs("livekit")

_SERVER_START_S = 20.0
_DRAINED_S = 30.0


@dataclass(frozen=True)
class Worker:
    """A worker's process."""

    process: subprocess.Popen[bytes]
    log: Path

    async def logged(self, event: str, **fields: Any) -> None:
        """Wait for a line of its log."""
        wanted = [f'"event": "{event}"', *(f'"{name}": "{value}"' for name, value in fields.items())]

        async def there() -> bool:
            lines = self.log.read_text("utf-8").splitlines()
            return any(all(part in line for part in wanted) for line in lines)

        await until(there)


@dataclass(frozen=True)
class Rooms:
    """A media server, and what a worker needs to answer its rooms."""

    url: str
    env: dict[str, str]
    folder: Path

    @property
    def secret(self) -> str:
        """Signs room tokens."""
        return self.env["PARLEY_LIVEKIT_API_SECRET"]

    @contextmanager
    def worker(self, name: str) -> Iterator[Worker]:
        """A worker; blocks until it is registered."""
        log = self.folder / f"rooms-{name}.log"
        with process("edge_agents.main", "rooms", env=self.env, log=log) as (child, _ready):
            yield Worker(child, log)

    @asynccontextmanager
    async def worker_meanwhile(self, name: str) -> AsyncIterator[Worker]:
        """The same while calls go on in this loop."""
        started = self.worker(name)
        worker = await asyncio.to_thread(started.__enter__)
        try:
            yield worker
        finally:
            await asyncio.to_thread(started.__exit__, None, None, None)

    def token(self, metadata: DispatchMetadata) -> str:
        """Opens that call's room."""
        return caller_token(metadata, key=API_KEY, secret=self.secret)

    def media(self, metadata: DispatchMetadata) -> LiveKitMedia:
        """A caller's end of a new room."""
        return LiveKitMedia(self.url, self.token(metadata))

    def odd_media(self, call_id: str, *, dispatched: str, attributes: dict[str, str]) -> LiveKitMedia:
        """One whose token was signed with other things in it."""
        dispatch = api.RoomAgentDispatch(agent_name=AGENT_NAME, metadata=dispatched)
        token = (
            api.AccessToken(API_KEY, self.secret)
            .with_identity("caller")
            .with_grants(api.VideoGrants(room_join=True, room=call_id))
            .with_attributes(attributes)
            .with_room_config(api.RoomConfiguration(agents=[dispatch]))
        )
        return LiveKitMedia(self.url, token.to_jwt())

    def uninvited(self, call_id: str) -> LiveKitMedia:
        """Somebody whose token opens the room and says nothing of the call."""
        grants = api.VideoGrants(room_join=True, room=call_id)
        token = api.AccessToken(API_KEY, self.secret).with_identity("uninvited").with_grants(grants)
        return LiveKitMedia(self.url, token.to_jwt())

    async def call(self, metadata: DispatchMetadata) -> Placed:
        """Let a caller say something."""
        caller = SyntheticCaller(self.media(metadata), [Utterance(speech())])
        return Placed(metadata.call_id, await caller.call(), caller)

    async def books(self, *call_ids: str) -> list[Books]:
        """What was published of these calls, once all are closed."""
        sealer = AesGcmSealer.from_file(Path(self.env["PARLEY_SEALING_KEY_FILE"]))
        reader = Agent(port=0, secret="", bootstrap=self.env["PARLEY_KAFKA_BOOTSTRAP"], sealer=sealer)
        return await reader.books(*call_ids)


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    with broker_and_engine() as running:
        yield running


@pytest.fixture(scope="module")
def env(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return agent_env(tmp_path_factory.mktemp("rooms"), parts.engine_url, parts.bootstrap)


@pytest.fixture(scope="module")
def tenant(env: dict[str, str]) -> Publication:
    return publish(Path(env["PARLEY_AGENTS_DIR"]), "rooms")


@contextmanager
def media_server(env: dict[str, str], folder: Path) -> Iterator[Rooms]:
    """A livekit-server that listens."""
    secret = secrets.token_urlsafe(48)
    spec = server_spec(secret)
    with (
        (folder / "livekit.log").open("wb") as log,
        subprocess.Popen(spec.argv, env={**os.environ, **spec.env}, stdout=log, stderr=log) as server,
    ):
        try:
            block_until(partial(_listens, server, spec.port), _SERVER_START_S)
            url = f"ws://127.0.0.1:{spec.port}"
            livekit = {
                "PARLEY_LIVEKIT_URL": url,
                "PARLEY_LIVEKIT_API_KEY": API_KEY,
                "PARLEY_LIVEKIT_API_SECRET": secret,
            }
            yield Rooms(url, {**env, **livekit}, folder)
        finally:
            server.terminate()


def _listens(server: subprocess.Popen[bytes], port: int) -> bool:
    assert server.poll() is None, "livekit-server did not start"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def rooms(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    with media_server(env, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def worker(rooms: Rooms, tenant: Publication) -> Iterator[Worker]:
    with rooms.worker("a") as running:
        yield running


def metadata_of(tenant: Publication) -> DispatchMetadata:
    """A new call of that tenant."""
    return DispatchMetadata(tenant_id=tenant.tenant_id, agent_id=tenant.agent_id, call_id=new_id(IdKind.CALL))


async def test_three_callers_at_the_same_moment_are_all_answered(
    rooms: Rooms, worker: Worker, tenant: Publication
) -> None:
    calls = [metadata_of(tenant) for _ in range(3)]
    placed = await asyncio.gather(*(rooms.call(metadata) for metadata in calls))
    assert [one.heard.greeting_ms is not None for one in placed] == [True] * 3
    assert [one.heard.unanswered for one in placed] == [0] * 3
    for books in await rooms.books(*(metadata.call_id for metadata in calls)):
        assert books.one(CallEnded).end_reason is EndReason.CALLER_HUNG_UP
        books.one(UsageRecord)


async def test_a_dispatch_that_our_side_did_not_write_is_rejected(rooms: Rooms, worker: Worker) -> None:
    media = rooms.odd_media(new_id(IdKind.CALL), dispatched='{"tenant_id": "', attributes={})
    dialling = asyncio.create_task(media.connect(on_audio=lambda *_: None, on_clear=lambda _: None))
    await worker.logged("offer_rejected", reason="metadata")
    assert not dialling.done()
    await media.aclose()
    with pytest.raises(CallRefusedError):
        await dialling


async def test_a_caller_with_another_tenants_signature_is_refused_before_anything_costs(
    rooms: Rooms, worker: Worker, tenant: Publication, parts: Parts
) -> None:
    metadata = metadata_of(tenant)
    other = DispatchMetadata(
        tenant_id=new_id(IdKind.TENANT), agent_id=tenant.agent_id, call_id=metadata.call_id
    )
    before = parts.counters()
    media = rooms.odd_media(
        metadata.call_id, dispatched=metadata.model_dump_json(), attributes=other.attributes()
    )
    with pytest.raises(CallRefusedError) as refused:
        await media.connect(on_audio=lambda *_: None, on_clear=lambda _: None)
    await media.aclose()
    assert refused.value.data["reason"] == EndReason.REFUSED
    await worker.logged("room_refused")
    assert parts.counters() == before


async def test_somebody_else_who_joins_the_room_later_is_not_heard(
    rooms: Rooms, worker: Worker, tenant: Publication
) -> None:
    metadata = metadata_of(tenant)
    caller = Line(metadata.call_id, rooms.media(metadata))
    await caller.dial()
    await caller.hears_out()
    stranger = Line(metadata.call_id, rooms.uninvited(metadata.call_id))
    await stranger.dial()
    await worker.logged("participant_ignored", call_id=metadata.call_id)
    await stranger.say(speech())
    await stranger.say(silence(2.0))  # an answer would begin within this
    await caller.say(speech())
    await caller.hears()
    await caller.hears_out()
    await caller.hang_up()
    await stranger.hang_up()
    (books,) = await rooms.books(metadata.call_id)
    exchanges = [turn for turn in books.of(TurnCompleted) if turn.kind is TurnKind.EXCHANGE]
    assert len(exchanges) == 1
    assert books.one(CallEnded).end_reason is EndReason.CALLER_HUNG_UP


async def test_a_token_opens_its_call_once(rooms: Rooms, worker: Worker, tenant: Publication) -> None:
    metadata = metadata_of(tenant)
    token = rooms.token(metadata)
    first = Line(metadata.call_id, LiveKitMedia(rooms.url, token))
    await first.dial()
    await first.hears_out()
    # whoever has the token takes the caller's place in the room, and ends the call with it
    second = LiveKitMedia(rooms.url, token)
    dialling = asyncio.create_task(second.connect(on_audio=lambda *_: None, on_clear=lambda _: None))
    await first.ended()
    await first.hang_up()
    await asyncio.wait({dialling})
    await second.aclose()
    await rooms.books(metadata.call_id)

    late = LiveKitMedia(rooms.url, token)
    dialling = asyncio.create_task(late.connect(on_audio=lambda *_: None, on_clear=lambda _: None))
    await worker.logged("offer_rejected", reason="call_exists", call_id=metadata.call_id)
    await late.aclose()
    with pytest.raises(CallRefusedError):
        await dialling
    (books,) = await rooms.books(metadata.call_id)
    assert books.one(CallEnded).end_reason is EndReason.MEDIA_LOST
    books.one(UsageRecord)


async def test_a_caller_whose_room_gets_no_track_within_two_seconds_is_not_left_in_silence(
    env: dict[str, str], tenant: Publication
) -> None:
    metadata = metadata_of(tenant)
    room: Any = FakeRoom(FakeParticipant("caller", metadata.attributes()))
    room.local_participant.publishes = False
    left = asyncio.Event()

    async def leave() -> None:
        left.set()

    async with agent_here(env) as agent:
        transport = LiveKitRoomTransport(room, attributes=metadata.attributes(), leave=leave)
        assert await agent.runtime.desk.take(transport) is EndReason.MEDIA_FAILED
        assert left.is_set()
        (books,) = await agent.books(metadata.call_id)
    ended = books.one(CallEnded)
    assert (ended.end_reason, ended.error_code) == (EndReason.MEDIA_FAILED, "agent_track_not_published")
    assert books.one(UsageRecord).items == ()


async def test_a_worker_told_to_stop_finishes_its_call_and_leaves_new_ones_to_others(
    env: dict[str, str], tenant: Publication, tmp_path: Path
) -> None:
    old_call, new_call = metadata_of(tenant), metadata_of(tenant)
    with media_server(env, tmp_path) as rooms, rooms.worker("old") as old:
        line = Line(old_call.call_id, rooms.media(old_call))
        await line.dial()
        await line.hears_out()
        async with rooms.worker_meanwhile("new") as new:
            old.process.send_signal(signal.SIGTERM)
            await old.logged("draining")
            old.process.send_signal(signal.SIGTERM)  # orchestrators repeat it
            placed = await rooms.call(new_call)
            assert placed.heard.unanswered == 0
            await new.logged("call_started", call_id=new_call.call_id)
            await line.say(speech())
            await line.hears()
            await line.hears_out()
            assert old.process.poll() is None
            await line.hang_up()
            assert await asyncio.to_thread(old.process.wait, _DRAINED_S) == 0
            of_old, of_new = await rooms.books(old_call.call_id, new_call.call_id)
    assert of_old.one(CallEnded).end_reason is EndReason.CALLER_HUNG_UP
    assert len(of_old.of(TurnCompleted)) >= 2
    of_new.one(CallEnded)
