"""Failures are said in words, with what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_stack.supervisor.failures import failure_error
from local_stack.supervisor.machine import Failure, FailureKind

TAKEN = "[Errno 98] error while attempting to bind on address ('127.0.0.1', 8080): address already in use"


def error_of(tmp_path: Path, said: str, failure: Failure) -> tuple[str, str]:
    log = tmp_path / "agent.log"
    log.write_text(said)
    error = failure_error(failure, log=log, ready_timeout_s=60)
    return error.message, error.hint


def test_a_structured_log_line_is_quoted_in_its_own_words(tmp_path: Path) -> None:
    line = json.dumps({"event": "uncaught", "exception": {"type": "OSError", "message": TAKEN}})
    message, hint = error_of(tmp_path, f"{line}\n", Failure("agent", FailureKind.ENDED_EARLY, 1))
    assert message == f"agent ended while starting (exit status 1): {TAKEN}"
    assert hint == "Stop the program that uses this port, or leave the port out: a free one is taken then."


@pytest.mark.parametrize(
    ("line", "quoted"),
    [
        ('{"event": "agent_failed", "message": "no such folder"}', "no such folder"),
        ('{"event": "draining"}', "draining"),
        ("[1, 2]", "[1, 2]"),
        ("{broken", "{broken"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_other_last_lines_are_quoted_too(tmp_path: Path, line: str, quoted: str) -> None:
    message, hint = error_of(tmp_path, line, Failure("agent", FailureKind.ENDED, 137))
    assert message == f"agent ended unexpectedly (killed by signal 9): {quoted}"
    assert str(tmp_path / "agent.log") in hint


def test_a_silent_part_is_named_with_its_deadline(tmp_path: Path) -> None:
    message, _ = error_of(tmp_path, "loading\n", Failure("stt", FailureKind.NOT_READY))
    assert message == "stt was not ready within 60 s"
