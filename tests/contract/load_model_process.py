"""The load-model engine as a real process, its `/local` interface, and audio for it. Used by test_load_model_*."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

QUICK_PROFILE: dict[str, Any] = {
    "stt": {
        "final_ms": [20, 20],
        "eager_ms": [10, 10],
        "pause_ms": 200,
        "transcripts": ["book a room", "yes please"],
    },
    "llm": {"ttft_ms": [10, 10], "tokens_per_s": [1000, 1000], "replies": ["One two three.", "Four five."]},
    "tts": {"ttfb_ms": [10, 10], "speedup": 1000, "ms_per_char": 20},
}
"""Every latency fixed and small."""

RATE_HZ = 16_000
SPEECH = array(
    "h", (round(8_000 * math.cos(2 * math.pi * 200 * n / RATE_HZ)) for n in range(RATE_HZ))
).tobytes()
"""One second that the gate hears as speech."""

SILENCE = bytes(RATE_HZ)
"""Half a second of exact zeros: more than the pause that ends an utterance."""


@dataclass(frozen=True)
class Engine:
    """A running engine."""

    url: str
    session: aiohttp.ClientSession

    async def use_profile(self, **changes: dict[str, Any]) -> None:
        """The quick profile with `changes` to its sections."""
        profile = {stage: {**QUICK_PROFILE[stage], **changes.get(stage, {})} for stage in QUICK_PROFILE}
        await self._call("PUT", "profile", profile)

    async def inject(self, *rules: dict[str, Any]) -> None:
        await self._call("PUT", "faults", list(rules))

    async def heal(self) -> None:
        await self._call("DELETE", "faults")

    async def struck(self) -> int:
        """How often the rules in force struck."""
        return sum(state["struck"] for state in (await self._call("GET", "faults"))["faults"])

    async def draws(self, stage: str, key: str) -> list[dict[str, Any]]:
        return list((await self._call("GET", f"draws?stage={stage}&key={key}"))["draws"])

    async def count(self, stage: str, key: str) -> dict[str, int]:
        """What was counted for one key."""
        counters = (await self._call("GET", "counters"))["counters"]
        return next((c for c in counters if (c["stage"], c["key"]) == (stage, key)), {})

    async def abort(self, **selector: str) -> int:
        return int((await self._call("POST", "abort", selector))["aborted"])

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        async with self.session.request(method, f"{self.url}/local/{path}", json=body) as response:
            assert response.status in {200, 204}, await response.text()
            return await response.json() if response.status == 200 else None


@contextmanager
def running_engine(*arguments: str) -> Iterator[str]:
    """An engine process; yields its base URL and ends it after, which must go well and without complaints."""
    command = [sys.executable, "-m", "local_stack.engines.load_model", *arguments]
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints) as process,
    ):
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            yield f"http://127.0.0.1:{ready['port']}"
        finally:
            process.terminate()
        assert process.wait(10) == 0
        complaints.seek(0)
        assert complaints.read() == ""
