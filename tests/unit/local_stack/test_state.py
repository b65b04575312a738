"""A running stack is found by other commands, and a dead one is not."""

from __future__ import annotations

import datetime as dt
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from local_stack.state import PartRecord, ProcessMark, RunningStack, StateDir
from shared.errors import StackError


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    folder = StateDir(tmp_path / ".parley")
    folder.prepare()
    return folder


def running(supervisor: ProcessMark, folder: Path) -> RunningStack:
    return RunningStack(
        supervisor=supervisor,
        started_at=dt.datetime(2026, 5, 6, 12, tzinfo=dt.UTC),
        parts={"agent": PartRecord(pid=1, port=4711, log=folder / "agent.log", health_path="/healthz")},
        kafka_bootstrap="127.0.0.1:9092",
        media_secret=SecretStr("s" * 40),
        livekit_secret=SecretStr("r" * 40),
        engine_key=SecretStr("local-key"),
        sealing_key_file=folder / "sealing.key",
        agents_dir=folder / "agents",
        business_url="http://127.0.0.1:4712",
        llm="local-dialogue",
    )


def dead_process() -> ProcessMark:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = ProcessMark.of(process.pid)
    process.communicate()
    return mark


def test_a_running_stack_is_found_with_its_secrets_and_addresses(state: StateDir) -> None:
    stack = running(ProcessMark.of(os.getpid()), state.path)
    state.save(stack)
    found = state.require()
    assert found == stack
    assert found.url("agent", "/v1/media", scheme="ws") == "ws://127.0.0.1:4711/v1/media"
    assert "s" * 40 not in repr(found)


def test_the_state_file_is_for_its_owner_only(state: StateDir) -> None:
    state.save(running(ProcessMark.of(os.getpid()), state.path))
    assert stat.S_IMODE((state.path / "state.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700


def test_a_part_that_is_not_there_is_said(state: StateDir) -> None:
    with pytest.raises(StackError, match="no part 'livekit'"):
        running(ProcessMark.of(os.getpid()), state.path).url("livekit")


def test_what_a_dead_supervisor_left_is_removed(state: StateDir) -> None:
    state.save(running(dead_process(), state.path))
    assert state.load() is None
    assert not (state.path / "state.json").exists()


def test_another_process_with_the_same_id_is_not_taken_for_the_supervisor(state: StateDir) -> None:
    ours = ProcessMark.of(os.getpid())
    state.save(running(ProcessMark(pid=ours.pid, started_s=ours.started_s - 3600), state.path))
    assert state.load() is None


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"version": 9})])
def test_a_state_file_that_makes_no_sense_is_removed(state: StateDir, content: str) -> None:
    (state.path / "state.json").write_text(content)
    assert state.load() is None
    with pytest.raises(StackError, match="no local stack is running here"):
        state.require()


def test_a_folder_holds_one_stack(state: StateDir) -> None:
    with state.claim(), pytest.raises(StackError, match="a stack runs already"), state.claim():
        pass
    with state.claim():
        pass


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="can't make the folder"):
        StateDir(tmp_path / "file" / ".parley").prepare()
