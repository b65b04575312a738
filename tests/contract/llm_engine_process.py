"""The local language engine as a real process. Used by test_llm_engine_*."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

FAST = ("--ttft-ms", "1", "--tokens-per-s", "0")
"""No pretended thinking."""


@contextmanager
def running_engine(*arguments: str) -> Iterator[str]:
    """An engine process; yields its base URL (without /v1) and ends it after, which must go well and quietly."""
    command = [sys.executable, "-m", "local_stack.engines.llm", "--port", "0", *arguments]
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints) as process,
    ):
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            assert ready["event"] == "ready"
            yield f"http://127.0.0.1:{ready['port']}"
        finally:
            process.terminate()
        assert process.wait(10) == 0
        complaints.seek(0)
        assert complaints.read() == ""
