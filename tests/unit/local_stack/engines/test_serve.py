"""An engine as a process: the ready line, health, and every way it ends."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

ENGINE = """
import sys
from aiohttp import web
from local_stack.engines.serve import engine_arguments, run_engine

async def hang(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.receive()
    return socket

arguments = engine_arguments("A test engine.").parse_args()
app = web.Application()
app.router.add_get("/hang", hang)
run_engine(app, host=arguments.host, port=arguments.port, engine="nothing")
"""

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline(), end="", flush=True)
sys.stdin.read()
"""


@contextmanager
def engine_process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", ENGINE, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def ready_port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready["event"] == "ready"
    return int(ready["port"])


def test_the_ready_line_names_the_port_that_answers_health_checks() -> None:
    with engine_process() as process:
        url = f"http://127.0.0.1:{ready_port(process)}/healthz"
        with urllib.request.urlopen(url, timeout=10) as response:
            assert json.load(response) == {"status": "ok", "engine": "nothing"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_engine_with_status_0_and_nothing_more_said(number: signal.Signals) -> None:
    with engine_process() as process:
        ready_port(process)
        process.send_signal(number)
        said, complained = process.communicate(timeout=10)
        assert (process.returncode, said, complained) == (0, "", "")


def test_an_open_socket_does_not_keep_the_engine_alive() -> None:
    with engine_process() as process:
        port = ready_port(process)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(
                b"GET /hang HTTP/1.1\r\nHost: engine\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
            )
            assert client.recv(12) == b"HTTP/1.1 101"
            process.terminate()
            assert process.wait(10) == 0


def test_the_engine_ends_by_itself_when_its_parent_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, ENGINE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        port = ready_port(parent)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            parent.kill()
            try:
                left = connection.recv(1)  # blocks until the orphan closes it, at most 10 s
            except ConnectionResetError:
                left = b""  # it ended before it had accepted: a reset is an end as well
            assert left == b""


def test_a_port_that_is_taken_is_one_line_on_standard_error_and_status_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with engine_process("--port", str(port)) as process:
            said, complained = process.communicate(timeout=10)
    assert process.returncode == 2
    assert said == ""
    assert complained.splitlines() == [
        f"nothing: cannot listen on 127.0.0.1:{port}: {os.strerror(errno.EADDRINUSE)}"
    ]


def test_a_port_out_of_range_is_refused_by_the_command_line() -> None:
    with engine_process("--port", "70000") as process:
        _, complained = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "70000 is not in 0..65535" in complained
