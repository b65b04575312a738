"""`parley status` and `parley down` against real processes that stand for a stack."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pydantic import SecretStr

from local_stack.cli.show_status import show_status
from local_stack.cli.stop_stack import stop_stack
from local_stack.state import PartRecord, ProcessMark, RunningStack, StateDir


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    folder = StateDir(tmp_path / ".parley")
    folder.prepare()
    return folder


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield running
    running.kill()
    running.communicate()


def stack(supervisor_pid: int, folder: Path, **parts: PartRecord) -> RunningStack:
    return RunningStack(
        supervisor=ProcessMark.of(supervisor_pid),
        started_at=dt.datetime(2026, 5, 6, 12, tzinfo=dt.UTC),
        parts=parts,
        kafka_bootstrap="127.0.0.1:9092",
        media_secret=SecretStr("s" * 40),
        livekit_secret=SecretStr("r" * 40),
        engine_key=SecretStr("local-key"),
        sealing_key_file=folder / "sealing.key",
        agents_dir=folder / "agents",
        business_url="http://127.0.0.1:4712",
        llm="the local rule engine",
    )


def test_down_ends_the_supervisor_and_forgets_the_stack(
    state: StateDir, process: subprocess.Popen[bytes]
) -> None:
    state.save(stack(process.pid, state.path))
    assert stop_stack(state)
    assert process.poll() is not None
    assert state.load() is None


def test_down_twice_is_no_error(state: StateDir) -> None:
    assert not stop_stack(state)


def test_down_does_not_touch_a_process_that_only_has_the_old_number(
    state: StateDir, process: subprocess.Popen[bytes]
) -> None:
    mark = ProcessMark.of(process.pid)
    old = stack(process.pid, state.path).model_copy(
        update={"supervisor": ProcessMark(pid=mark.pid, started_s=mark.started_s - 60)}
    )
    state.save(old)
    assert not stop_stack(state)
    assert process.poll() is None


class _WellAtRoot(BaseHTTPRequestHandler):
    """As livekit-server answers: 200 at `/`, 404 elsewhere."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


@pytest.fixture
def well_at_root() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _WellAtRoot) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_status_tells_parts_that_run_from_those_that_do_not(
    state: StateDir, unused_tcp_port: int, well_at_root: int, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here, log = os.getpid(), Path("part.log")
    show_status(
        stack(
            here,
            state.path,
            broker=PartRecord(pid=here, port=0, log=log, health_path=""),
            stt=PartRecord(pid=here, port=unused_tcp_port, log=log, health_path="/healthz"),
            livekit=PartRecord(pid=here, port=well_at_root, log=log, health_path="/"),
            tts=PartRecord(pid=gone.pid, port=1, log=log, health_path="/healthz"),
        )
    )
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "running" in rows["broker"]
    assert "127.0.0.1:9092" in rows["broker"]
    assert "not answering" in rows["stt"]
    assert "running" in rows["livekit"]
    assert "gone" in rows["tts"]
