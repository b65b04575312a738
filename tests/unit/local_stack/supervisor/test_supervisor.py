"""The supervisor with small real processes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from local_stack.supervisor.spec import HealthCheck, ProcessSpec, RunningParts, no_wiring
from local_stack.supervisor.supervisor import Supervisor, inherited_env
from shared.errors import StackError

PART = Path(__file__).with_name("part.py")
FAST = HealthCheck(every_s=0.02, timeout_s=2.0, failures=2)


def part(
    name: str,
    *arguments: str,
    needs: frozenset[str] = frozenset(),
    env_from: Callable[[RunningParts], dict[str, str]] | None = None,
    ready_timeout_s: float = 20.0,
    grace_s: float = 5.0,
) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        argv=(sys.executable, str(PART), "--name", name, *arguments),
        depends_on=needs,
        env_from=env_from or no_wiring,
        ready_timeout_s=ready_timeout_s,
        grace_s=grace_s,
        health=FAST,
    )


def supervisor(tmp_path: Path, *specs: ProcessSpec) -> Supervisor:
    return Supervisor(specs, log_dir=tmp_path / "logs", base_env=inherited_env(), cwd=tmp_path)


async def ask(port: int, path: str = "/healthz") -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status


async def test_a_part_learns_the_port_of_one_it_depends_on(tmp_path: Path) -> None:
    stack = supervisor(
        tmp_path,
        part("b", needs=frozenset({"a"}), env_from=lambda parts: {"SEEN": str(parts["a"].port)}),
        part("a"),
    )
    async with stack:
        parts = stack.parts
        assert parts["b"].ready["seen"] == str(parts["a"].port)
        assert await ask(parts["a"].port) == 200
    assert (tmp_path / "logs" / "a.log").read_text().startswith("some chatter")


async def test_parts_stop_in_reverse_order(tmp_path: Path) -> None:
    record = tmp_path / "record"
    async with supervisor(
        tmp_path,
        part("a", "--record", str(record)),
        part("b", "--record", str(record), needs=frozenset({"a"})),
    ):
        pass
    assert record.read_text().split("\n")[:4] == ["start a", "start b", "stop b", "stop a"]


async def test_an_early_exit_names_the_part_its_last_words_and_its_log(tmp_path: Path) -> None:
    with pytest.raises(StackError) as caught:
        await supervisor(tmp_path, part("a"), part("stt", "--exit", "3")).start()
    assert caught.value.message == "stt ended while starting (exit status 3): no model in this folder"
    assert str(tmp_path / "logs" / "stt.log") in caught.value.hint
    assert caught.value.data["part"] == "stt"


async def test_a_program_that_does_not_exist_is_an_early_exit(tmp_path: Path) -> None:
    missing = ProcessSpec(name="livekit", argv=("/nowhere/livekit-server",))
    with pytest.raises(StackError, match=r"livekit ended while starting .* cannot start /nowhere"):
        await supervisor(tmp_path, missing).start()


async def test_wiring_that_fails_is_reported_and_not_waited_for(tmp_path: Path) -> None:
    broken = part("b", env_from=lambda parts: {"SEEN": str(parts["a"].port)})
    with pytest.raises(StackError, match=r"b ended while starting .* KeyError"):
        await supervisor(tmp_path, broken).start()


async def test_a_silent_part_misses_its_deadline(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"stt was not ready within 0\.2 s"):
        await supervisor(tmp_path, part("stt", "--silent", ready_timeout_s=0.2)).start()


async def test_a_crash_of_one_part_stops_the_others(tmp_path: Path) -> None:
    record = tmp_path / "record"
    stack = supervisor(tmp_path, part("a", "--record", str(record)), part("b"))
    await stack.start()
    with pytest.raises(aiohttp.ClientError):
        await ask(stack.parts["b"].port, "/crash")
    with pytest.raises(StackError, match=r"b ended unexpectedly \(exit status 3\)"):
        await stack.wait()
    assert record.read_text() == "start a\nstop a\n"


async def test_an_ill_part_brings_the_stack_down(tmp_path: Path) -> None:
    stack = supervisor(tmp_path, part("a", "--ill"))
    await stack.start()
    with pytest.raises(StackError, match="a stopped answering health checks"):
        await stack.wait()


async def test_a_part_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    stack = supervisor(tmp_path, part("a", "--stubborn", grace_s=0.2))
    await stack.start()
    port = stack.parts["a"].port
    await stack.stop()
    with pytest.raises(aiohttp.ClientError):
        await ask(port)


async def test_work_is_cancelled_when_a_part_fails_under_it(tmp_path: Path) -> None:
    stack = supervisor(tmp_path, part("a"))
    await stack.start()
    cancelled = asyncio.Event()

    async def work() -> None:
        with pytest.raises(aiohttp.ClientError):
            await ask(stack.parts["a"].port, "/crash")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    # whichever is seen first: its end, or that it answers no more
    with pytest.raises(StackError, match=r"a (ended unexpectedly|stopped answering)"):
        await stack.guard(work())
    assert cancelled.is_set()


async def test_guarded_work_gives_its_result(tmp_path: Path) -> None:
    async with supervisor(tmp_path, part("a")) as stack:
        assert await stack.guard(ask(stack.parts["a"].port)) == 200


async def test_a_start_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    record = tmp_path / "record"
    a_is_up = asyncio.Event()

    def note(_: RunningParts) -> dict[str, str]:
        a_is_up.set()
        return {}

    stack = supervisor(
        tmp_path,
        part("a", "--record", str(record)),
        part("b", "--silent", needs=frozenset({"a"}), env_from=note),
    )
    starting = asyncio.create_task(stack.start())
    await a_is_up.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert record.read_text() == "start a\nstop a\n"


async def test_a_second_interrupt_kills_at_once(tmp_path: Path) -> None:
    stack = supervisor(tmp_path, part("a", "--stubborn", grace_s=600))
    await stack.start()
    port = stack.parts["a"].port
    stopping = asyncio.create_task(stack.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    with pytest.raises(aiohttp.ClientError):
        await ask(port)


async def test_a_foreign_server_is_ready_when_its_port_accepts(tmp_path: Path, unused_tcp_port: int) -> None:
    server = ProcessSpec(
        name="foreign",
        argv=(sys.executable, "-m", "http.server", str(unused_tcp_port), "--bind", "127.0.0.1"),
        announces=False,
        port=unused_tcp_port,
        health=HealthCheck(path="/"),
    )
    async with supervisor(tmp_path, server) as stack:
        assert stack.parts["foreign"].port == unused_tcp_port
        assert stack.parts["foreign"].health_path == "/"
        assert await ask(unused_tcp_port, "/") == 200
