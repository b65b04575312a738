"""A supervisor in a process of its own: whatever happens to it or to a part, nothing is left running."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tests.unit.local_stack.supervisor import part as part_program

PART = Path(part_program.__file__)
REPOSITORY = Path(__file__).parents[2]
GONE_WITHIN_S = 20.0

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from local_stack.supervisor.signals import until_signal
from local_stack.supervisor.spec import ProcessSpec
from local_stack.supervisor.supervisor import Supervisor, inherited_env
from shared.errors import StackError

folder = Path(sys.argv[1])
specs = [
    ProcessSpec(name=name, argv=(sys.executable, *argv), depends_on=frozenset(needs))
    for name, argv, needs in json.loads(sys.argv[2])
]

async def main():
    async with Supervisor(specs, log_dir=folder / "logs", base_env=inherited_env(), cwd=folder) as stack:
        print(json.dumps({part.name: [part.pid, part.port] for part in stack.parts.values()}), flush=True)
        await stack.wait()

try:
    received = asyncio.run(until_signal(main()))
    print(f"ended by {received.name}")
except StackError as error:
    print(error.message)
    print(error.hint)
"""

Parts = list[tuple[str, list[str], list[str]]]


def arguments(name: str, *options: str) -> list[str]:
    return [str(PART), "--name", name, *options]


@contextmanager
def supervisor(folder: Path, parts: Parts) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), json.dumps(parts)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def parts_of(process: subprocess.Popen[str]) -> dict[str, tuple[psutil.Process, int]]:
    assert process.stdout is not None
    up = json.loads(process.stdout.readline())
    return {name: (psutil.Process(pid), port) for name, (pid, port) in up.items()}


def assert_all_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=GONE_WITHIN_S)
    assert alive == []


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Every process below the supervisor: leashes, parts and the parts' own children."""
    return list(psutil.Process(process.pid).children(recursive=True))


def two_parts(folder: Path) -> Parts:
    """Parts a and b, b with a child of its own that nobody else would end."""
    return [
        ("a", arguments("a"), []),
        ("b", arguments("b", "--child", str(folder / "child")), ["a"]),
    ]


def test_a_killed_supervisor_leaves_nothing_running(tmp_path: Path) -> None:
    with supervisor(tmp_path, two_parts(tmp_path)) as process:
        parts_of(process)
        below = family(process)
        assert len(below) == 5, "two leashes, two parts, one child of a part"
        process.kill()
        assert_all_gone(below)


def test_a_supervisor_killed_while_starting_leaves_nothing_running(tmp_path: Path) -> None:
    parts: Parts = [("a", arguments("a", "--child", str(tmp_path / "child"), "--silent"), [])]
    with supervisor(tmp_path, parts) as process:
        while not (tmp_path / "child").is_file() or not (tmp_path / "child").read_text():
            assert process.poll() is None
        below = family(process)
        process.kill()
        assert_all_gone(below)


def test_a_crash_of_one_part_ends_all_and_says_which(tmp_path: Path) -> None:
    with supervisor(tmp_path, two_parts(tmp_path)) as process:
        parts = parts_of(process)
        below = family(process)
        parts["a"][0].send_signal(signal.SIGSEGV)
        said, _ = process.communicate(timeout=GONE_WITHIN_S)
        assert "a ended unexpectedly (killed by signal 11)" in said
        assert str(tmp_path / "logs" / "a.log") in said
        assert_all_gone(below)


def test_ctrl_c_ends_all_cleanly(tmp_path: Path) -> None:
    with supervisor(tmp_path, two_parts(tmp_path)) as process:
        parts_of(process)
        below = family(process)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=GONE_WITHIN_S)
        assert said == "ended by SIGINT\n"
        assert_all_gone(below)


def test_a_port_in_use_is_said_plainly(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        parts: Parts = [("agent", arguments("agent", "--port", str(port)), [])]
        with supervisor(tmp_path, parts) as process:
            said, _ = process.communicate(timeout=GONE_WITHIN_S)
    assert f"agent: cannot listen on 127.0.0.1:{port}: Address already in use" in said
    assert "Stop the program that uses this port" in said
