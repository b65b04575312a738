"""Checkpoints over the Redis protocol: against fakeredis's server and, where it is installed, redis-server."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest
from fakeredis import TcpFakeServer
from redis.asyncio import Redis

from shared.adapters.redis_context import CONTEXT_FAILURES, RedisContextStore
from shared.ids import IdKind, new_id
from shared.telemetry import Counters
from tests.fakes.clock import FakeClock

TENANT, CALL = new_id(IdKind.TENANT), new_id(IdKind.CALL)
IDS = {"tenant_id": TENANT, "call_id": CALL}
KEY = f"t:{{{TENANT}}}:ctx:{CALL}"


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def fake_redis() -> Iterator[str]:
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def real_redis(folder: Path) -> Iterator[str]:
    binary, port = shutil.which("redis-server"), free_port()
    assert binary is not None
    process = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert any("Ready to accept connections" in line for line in process.stdout)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@pytest.fixture(params=["fakeredis", pytest.param("redis-server", marks=pytest.mark.needs("redis"))])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    server = fake_redis() if request.param == "fakeredis" else real_redis(tmp_path)
    with server as address:
        yield address


class Bench:
    """A store with its clock and counters."""

    def __init__(self, url: str) -> None:
        self.clock, self.counters = FakeClock(), Counters()
        self.store = RedisContextStore(url=url, clock=self.clock, counters=self.counters, ttl_s=60)

    def failures(self, operation: str, reason: str) -> int:
        return self.counters.value(CONTEXT_FAILURES, operation=operation, reason=reason)

    @property
    def all_failures(self) -> int:
        return sum(self.counters.snapshot().values())


@asynccontextmanager
async def bench_at(url: str) -> AsyncIterator[Bench]:
    bench = Bench(url)
    try:
        yield bench
    finally:
        await bench.store.aclose()


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(url)
    try:
        yield client
    finally:
        await client.aclose()


async def test_the_newest_checkpoint_is_loaded_as_it_was_saved(url: str) -> None:
    async with bench_at(url) as bench:
        assert await bench.store.load(**IDS) is None
        await bench.store.save(**IDS, checkpoint=b"one")
        await bench.store.save(**IDS, checkpoint=b"two\n\x00\xff")
        assert await bench.store.load(**IDS) == b"two\n\x00\xff"
        await bench.store.save(**IDS, checkpoint=b"")
        assert await bench.store.load(**IDS) == b""
        assert bench.all_failures == 0


async def test_a_checkpoint_stands_under_its_tenants_key_and_expires(url: str) -> None:
    async with bench_at(url) as bench, raw(url) as redis:
        await bench.store.save(**IDS, checkpoint=b"x")
        assert await redis.keys("*") == [KEY.encode()]
        assert 0 < await redis.ttl(KEY) <= 60


async def test_another_tenant_does_not_load_it(url: str) -> None:
    async with bench_at(url) as bench:
        await bench.store.save(**IDS, checkpoint=b"x")
        assert await bench.store.load(tenant_id=new_id(IdKind.TENANT), call_id=CALL) is None
        assert await bench.store.load(tenant_id=TENANT, call_id=new_id(IdKind.CALL)) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"garbage",
        b"parley-ctx-0\nold schema",
        f"parley-ctx-1\n{new_id(IdKind.TENANT)}\n{CALL}\nanother tenant's".encode(),
        f"parley-ctx-1\n{TENANT}\n{new_id(IdKind.CALL)}\nanother call's".encode(),
    ],
    ids=["empty", "garbage", "old schema", "another tenant's", "another call's"],
)
async def test_what_is_no_checkpoint_of_this_call_is_not_loaded(url: str, value: bytes) -> None:
    async with bench_at(url) as bench, raw(url) as redis:
        await redis.set(KEY, value)
        assert await bench.store.load(**IDS) is None
        assert bench.failures("load", "not_a_checkpoint") == 1


async def test_a_value_of_another_type_is_not_loaded(url: str) -> None:
    async with bench_at(url) as bench, raw(url) as redis:
        await redis.rpush(KEY, "x")
        assert await bench.store.load(**IDS) is None
        assert bench.failures("load", "ResponseError") == 1


@pytest.mark.parametrize("bad", ["", "a:b", "a{b}", "a\nb", "*", "é", "x" * 200])
async def test_an_id_that_could_leave_its_key_is_refused(url: str, bad: str) -> None:
    async with bench_at(url) as bench, raw(url) as redis:
        await bench.store.save(tenant_id=bad, call_id=CALL, checkpoint=b"x")
        await bench.store.save(tenant_id=TENANT, call_id=bad, checkpoint=b"x")
        assert await bench.store.load(tenant_id=bad, call_id=CALL) is None
        assert await redis.keys("*") == []
        assert bench.failures("save", "invalid_id") == 2


async def test_an_overlong_checkpoint_is_not_kept_and_counted(url: str) -> None:
    async with bench_at(url) as bench:
        await bench.store.save(**IDS, checkpoint=b"old")
        await bench.store.save(**IDS, checkpoint=bytes(1_048_577))
        assert await bench.store.load(**IDS) == b"old"
        assert bench.failures("save", "too_large") == 1


async def test_calls_at_once_each_get_their_own(url: str) -> None:
    """On a busy machine some may get nothing in time; none may get another's."""
    async with bench_at(url) as bench, raw(url) as redis:
        calls = [new_id(IdKind.CALL) for _ in range(20)]
        for call_id in calls:
            owned = f"parley-ctx-1\n{TENANT}\n{call_id}\n{call_id}"
            await redis.set(f"t:{{{TENANT}}}:ctx:{call_id}", owned)

        async def load(call_id: str) -> bytes | None:
            return await bench.store.load(tenant_id=TENANT, call_id=call_id)

        for call_id, found in zip(calls, await asyncio.gather(*map(load, calls)), strict=True):
            assert found in {call_id.encode(), None}


async def test_a_redis_that_is_not_there_is_left_alone_after_two_tries_and_tried_again_later() -> None:
    async with bench_at(f"redis://127.0.0.1:{free_port()}/0") as bench:
        for _ in range(5):
            await bench.store.save(**IDS, checkpoint=b"x")
        assert bench.failures("save", "ConnectionError") == 2
        assert bench.failures("save", "left_alone") == 3
        bench.clock.advance(5.0)
        assert await bench.store.load(**IDS) is None
        assert await bench.store.load(**IDS) is None
        assert bench.failures("load", "ConnectionError") == 1
        assert bench.failures("load", "left_alone") == 1


async def test_a_redis_that_is_back_is_used_again() -> None:
    port = free_port()
    async with bench_at(f"redis://127.0.0.1:{port}/0") as bench:
        for _ in range(3):
            await bench.store.save(**IDS, checkpoint=b"x")
        async with answering(port, lambda _: b"$-1\r\n"):
            assert await bench.store.load(**IDS) is None
            assert bench.failures("load", "left_alone") == 1
            bench.clock.advance(5.0)
            assert await bench.store.load(**IDS) is None
            assert await bench.store.load(**IDS) is None
        assert bench.all_failures == 4


async def test_a_redis_that_does_not_answer_holds_a_call_up_once_and_then_not_at_all() -> None:
    port = free_port()
    async with answering(port, lambda _: None) as requests, bench_at(f"redis://127.0.0.1:{port}/0") as bench:
        await asyncio.gather(*(bench.store.save(**IDS, checkpoint=b"x") for _ in range(4)))
        heard = len(requests)
        assert bench.all_failures == 4
        for _ in range(50):
            await bench.store.save(**IDS, checkpoint=b"x")
        assert len(requests) == heard
        assert bench.failures("save", "left_alone") == 50


@pytest.mark.parametrize(
    "answer",
    [b"-READONLY You can't write against a read only replica.\r\n", b"-LOADING\r\n", b"HTTP/1.1 200\r\n"],
)
async def test_a_redis_that_answers_badly_is_counted_and_nothing_is_raised(answer: bytes) -> None:
    port = free_port()
    async with answering(port, lambda _: answer), bench_at(f"redis://127.0.0.1:{port}/0") as bench:
        await bench.store.save(**IDS, checkpoint=b"x")
        assert await bench.store.load(**IDS) is None
        assert bench.all_failures == 2


async def test_a_cancelled_load_does_not_leave_its_answer_to_the_next_call() -> None:
    """An answer that comes after its question was given up must not be taken for another's."""
    port, release = free_port(), asyncio.Event()
    theirs = f"parley-ctx-1\n{TENANT}\n{CALL}\ntheirs".encode()

    async def late(request: bytes) -> bytes | None:
        if b"GET" not in request:
            return b"+OK\r\n"
        if not release.is_set():
            await release.wait()
            return b"$%d\r\n%s\r\n" % (len(theirs), theirs)
        return b"$-1\r\n"

    async with answering(port, late) as requests, bench_at(f"redis://127.0.0.1:{port}/0") as bench:
        load = asyncio.create_task(bench.store.load(**IDS))
        await requests.wait_for(b"GET")
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load
        release.set()
        assert await bench.store.load(**IDS) is None


class Requests(list[bytes]):
    """What a server heard."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Condition()

    async def heard(self, data: bytes) -> None:
        """Add a request."""
        async with self._more:
            self.append(data)
            self._more.notify_all()

    async def wait_for(self, part: bytes) -> None:
        """Wait until a request holds `part`."""
        async with self._more:
            await self._more.wait_for(lambda: any(part in data for data in self))


Answer = Callable[[bytes], bytes | None] | Callable[[bytes], Awaitable[bytes | None]]


@asynccontextmanager
async def answering(port: int, answer: Answer) -> AsyncIterator[Requests]:
    """A server that answers the client's introduction with OK and the rest as told; None is no answer."""
    requests, writers = Requests(), set[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        while data := await reader.read(65_536):
            await requests.heard(data)
            introduction = data.count(b"CLIENT")
            if b"HELLO" in data:
                reply: bytes | None = b"%1\r\n+proto\r\n:3\r\n" + b"+OK\r\n" * introduction
            elif introduction:
                reply = b"+OK\r\n" * introduction
            else:
                found = answer(data)
                reply = await found if isinstance(found, Awaitable) else found
            if reply is not None:
                writer.write(reply)

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield requests
    finally:
        server.close()
        for writer in writers:
            writer.close()
