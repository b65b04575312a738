"""The local language engine as a process: its command line."""

from __future__ import annotations

import subprocess
import sys

import aiohttp
import pytest

from tests.contract.llm_engine_process import running_engine


async def test_the_pace_can_be_set() -> None:
    body = {"model": "local-slow", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"Authorization": "Bearer local"}
    with running_engine("--ttft-ms", "0", "--tokens-per-s", "1000", "--slow-ttft-ms", "1") as url:
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{url}/v1/chat/completions", json=body) as response,
        ):
            answer = await response.json()
    assert answer["choices"][0]["message"]["content"] == "Hello! How can I help you?"


@pytest.mark.parametrize("arguments", [["--ttft-ms", "-1"], ["--tokens-per-s", "fast"], ["--nonsense"]])
def test_a_bad_command_line_ends_with_usage(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "local_stack.engines.llm", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "usage:" in ended.stderr
    assert "Traceback" not in ended.stderr
