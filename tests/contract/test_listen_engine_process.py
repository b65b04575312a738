"""The engine's process: its languages, its limits, and what it does when a decoder dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.contract.listen_engine_process import KEY, ROOMS, SILENCE, TURNS, recording, running_engine


@pytest.fixture(scope="module")
def engine() -> AsyncIterator[str]:
    with running_engine("--workers", "1", "--max-streams", "2", may_complain=True) as url:
        yield url


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=KEY) as session:
        yield session


async def transcribe(http: aiohttp.ClientSession, engine: str, name: str, query: str = "") -> str:
    async with http.post(f"{engine}/v1/listen?{query}", data=recording(name)) as response:
        assert response.status == 200
        answer = await response.json()
    return str(answer["results"]["channels"][0]["alternatives"][0]["transcript"])


async def test_the_engine_is_healthy(engine: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{engine}/healthz") as response:
        assert await response.json() == {"status": "ok", "engine": "listen"}


@pytest.mark.needs("recordings")
async def test_a_language_is_built_once_listed_and_used(engine: str, http: aiohttp.ClientSession) -> None:
    url = f"{engine}/local/language-models"
    async with http.put(f"{url}/rooms", json=ROOMS) as response:
        first = await response.json()
        assert response.status == 200
    async with http.put(f"{url}/rooms", json=ROOMS) as response:
        assert await response.json() == first
    async with http.get(url) as response:
        assert (await response.json())["language_models"] == [first]

    assert first["agent_id"] == "rooms"
    assert first["pronunciations"] > 100
    for name, text in TURNS.items():
        assert await transcribe(http, engine, name, "tag=agent:rooms") == text


@pytest.mark.parametrize(
    ("agent_id", "body", "status"),
    [
        ("general", b"{}", 400),
        ("a%20b", b"{}", 400),
        ("x" * 200, b"{}", 400),
        ("rooms", b"{", 400),
        ("rooms", b"[]", 400),
        ("rooms", b'{"texts": "one"}', 400),
        ("rooms", b'{"keyterms": [1]}', 400),
        ("rooms", b'{"sentences": []}', 400),
        ("rooms", b"[" * 100_000, 400),
        ("rooms", b'"' + bytes(3 * 1024 * 1024) + b'"', 413),
    ],
)
async def test_a_language_order_that_makes_no_sense_is_refused(
    engine: str, http: aiohttp.ClientSession, agent_id: str, body: bytes, status: int
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    url = f"{engine}/local/language-models/{agent_id}"
    async with http.put(url, data=chunks()) as response:
        answer = await response.json()

    assert response.status == status
    assert answer["err_code"]


async def test_one_stream_too_many_is_refused_until_another_ends(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with (
        asyncio.timeout(10),
        http.ws_connect(f"{engine}/v1/listen"),
        http.ws_connect(f"{engine}/v2/listen") as second,
    ):
        for path in ("/v1/listen", "/v2/listen"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await http.ws_connect(engine + path)
            assert caught.value.status == 429
        async with http.post(f"{engine}/v1/listen", data=SILENCE) as response:
            assert response.status == 429
            assert (await response.json())["err_code"] == "TOO_MANY_REQUESTS"
        await second.send_json({"type": "CloseStream"})
        async for _ in second:
            pass
        while await status_of_handshake(http, engine) == 429:
            pass


async def status_of_handshake(http: aiohttp.ClientSession, engine: str) -> int:
    try:
        async with http.ws_connect(f"{engine}/v1/listen"):
            return 101
    except aiohttp.WSServerHandshakeError as refusal:
        return refusal.status


@pytest.mark.needs("recordings")
async def test_a_decoder_that_dies_is_replaced_and_knows_the_languages_of_the_one_before(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with http.put(f"{engine}/local/language-models/rooms", json=ROOMS) as response:
        assert response.status == 200
    for decoder in own_decoders():
        os.kill(decoder, signal.SIGKILL)

    assert await transcribe(http, engine, "turn2_mountain_view", "tag=agent:rooms") == "mountain view"


def test_decoders_do_not_outlive_a_front_that_is_killed() -> None:
    command = [sys.executable, "-m", "local_stack.engines.listen", "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as front:
        assert front.stdout is not None
        front.stdout.readline()
        decoders = children(front.pid)
        front.kill()

    assert len(decoders) == 1
    give_up_at = time.monotonic() + 10
    while any(is_running(decoder) for decoder in decoders):
        assert time.monotonic() < give_up_at


def is_running(pid: int) -> bool:
    try:
        return b"decoder_worker" in command_line(pid)
    except OSError:
        return False


def own_decoders() -> list[int]:
    """Process ids of the decoders of the engines that this test process started."""
    return [
        pid
        for front in children(os.getpid())
        if b"local_stack.engines.listen" in command_line(front)
        for pid in children(front)
    ]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
