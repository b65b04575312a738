"""The load model as a process: its command line, its `/local` interface, and draws that a seed repeats."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.contract.load_model_process import Engine, running_engine


@pytest.fixture(scope="module")
def engine_url() -> Iterator[str]:
    with running_engine() as url:
        yield url


@pytest.fixture
async def engine(engine_url: str) -> AsyncIterator[Engine]:
    async with aiohttp.ClientSession() as session:
        engine = Engine(engine_url, session)
        await engine.use_profile()
        yield engine
        await engine.heal()


async def complete(engine: Engine, key: str) -> int:
    """One unstreamed completion; its status."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{engine.url}/v1/chat/completions"
    async with engine.session.post(url, json=body, headers=headers) as response:
        await response.read()
        return response.status


async def draws_of_a_run(engine: Engine, key: str) -> list[float]:
    for _ in range(5):
        await complete(engine, key)
    return [draw["draw_ms"] for draw in await engine.draws("llm", key)]


def test_a_profile_file_that_can_t_be_used_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text('{"stt": {"final_ms": [2, 1]}}')

    done = subprocess.run(
        [sys.executable, "-m", "local_stack.engines.load_model", "--profile", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "stt.final_ms" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_profile_file_is_used_and_a_seed_repeats_its_draws_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text('{"llm": {"ttft_ms": [1, 2], "tokens_per_s": [9000, 9000], "replies": ["yes"]}}')

    async def run(seed: int) -> list[float]:
        with running_engine("--profile", str(path), "--seed", str(seed)) as url:
            async with aiohttp.ClientSession() as session:
                return await draws_of_a_run(Engine(url, session), "k")

    first = await run(1)

    assert await run(1) == first
    assert await run(2) != first


async def test_a_new_profile_starts_the_sequences_again(engine: Engine) -> None:
    await engine.use_profile(llm={"ttft_ms": [1, 3]})
    first = await draws_of_a_run(engine, "again-1")
    await engine.use_profile(llm={"ttft_ms": [1, 3]})

    assert await draws_of_a_run(engine, "again-2") == first
    assert len(set(first)) == 5


async def test_the_profile_in_force_is_told(engine: Engine) -> None:
    async with engine.session.get(f"{engine.url}/local/profile") as response:
        assert (await response.json())["stt"]["transcripts"] == ["book a room", "yes please"]


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("PUT", "profile", {"tts": {"speedup": -1}}, "invalid_profile"),
        ("PUT", "faults", [{"stage": "stt", "kind": "explode"}], "invalid_faults"),
        ("PUT", "faults", {"stage": "stt"}, "invalid_faults"),
        ("PUT", "faults", [{"stage": "stt", "kind": "close"}] * 101, "too_many_faults"),
        ("GET", "draws?stage=vad", None, "invalid_query"),
        ("POST", "abort", {"stage": "vad"}, "invalid_selector"),
    ],
)
async def test_a_wrong_command_is_refused_with_a_code_and_the_place(
    engine: Engine, method: str, path: str, body: Any, code: str
) -> None:
    async with engine.session.request(method, f"{engine.url}/local/{path}", json=body) as response:
        assert response.status == 422
        error = (await response.json())["error"]

    assert error["code"] == code
    assert error["problems"][0]["what"]


async def test_faults_in_force_are_told_with_how_often_they_struck(engine: Engine) -> None:
    await engine.inject({"stage": "llm", "kind": "status", "status": 429, "times": 1})

    assert [await complete(engine, "told") for _ in range(2)] == [429, 200]
    assert await engine.struck() == 1
    assert (await engine.count("llm", "told")) | {"requests": 2, "faults": 1, "open": 0} == (
        await engine.count("llm", "told")
    )


async def test_deleted_draws_are_gone(engine: Engine) -> None:
    await complete(engine, "deleted")
    async with engine.session.delete(f"{engine.url}/local/draws") as response:
        assert response.status == 204

    assert await engine.draws("llm", "deleted") == []


async def test_a_client_that_leaves_is_no_longer_counted_as_open(engine: Engine) -> None:
    await engine.use_profile(llm={"ttft_ms": [60_000, 60_000]})
    asking = asyncio.create_task(complete(engine, "leaves"))
    async with asyncio.timeout(10):
        while not (await engine.count("llm", "leaves")).get("open"):
            pass
        asking.cancel()
        while (await engine.count("llm", "leaves"))["open"]:
            pass


async def test_the_health_check_names_the_engine(engine: Engine) -> None:
    async with engine.session.get(f"{engine.url}/healthz") as response:
        assert await response.json() == {"status": "ok", "engine": "load_model"}
