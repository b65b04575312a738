"""Which turn detection answers human speech soonest without cutting in? Measured on the recordings, local engines.

`python -m tests.bench.turn_detection` writes bench-out/turn_detection.json. Every clip is one turn of a call with the
tenant `rooms`; a clip counts as cut into when the agent began before it ended, or took it as several turns.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

from local_stack.callers.script import Utterance
from local_stack.callers.wav import load_utterance
from local_stack.calls import CallDirectory, CallOrder
from local_stack.paths import TENANTS
from local_stack.stack import EmbeddedStack, StackOptions
from local_stack.state import StateDir
from tests.parts import data_folder

OUT = Path("bench-out/turn_detection.json")
CLIPS = (
    "weather",
    "brooklyn_bridge",
    "go_forward",
    "cards_005",
    "austen_0870",
    "austen_0890",
    "turn1_book_a_room",
    "turn2_mountain_view",
    "turn3_today",
    "turn4_230pm",
    "turn5_half_an_hour",
)
SETTINGS: dict[str, dict[str, Any]] = {
    "vad, 0.25 s": {"detection": "vad", "min_delay_s": 0.25},
    "vad, 0.5 s (LiveKit's default delay)": {"detection": "vad", "min_delay_s": 0.5},
    "stt, 0.1 s": {"detection": "stt", "min_delay_s": 0.1},
    "stt, 0.25 s": {"detection": "stt", "min_delay_s": 0.25},
    "model, 0.3 s": {"detection": "model", "min_delay_s": 0.3},
}


async def measure(name: str, turn: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """One call with all clips under one setting."""
    agents = scratch / "agents"
    shutil.rmtree(agents, ignore_errors=True)
    shutil.copytree(TENANTS / "rooms", agents / "rooms")
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in turn.items())
    with (agents / "rooms" / "agent.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[turn]\n{lines}\n")
    folder = data_folder() / "speech"
    clips = [Utterance(load_utterance(folder / f"{clip}.wav")) for clip in CLIPS]
    async with (
        EmbeddedStack(StateDir(scratch / "state"), StackOptions(agents=agents)) as stack,
        aiohttp.ClientSession() as http,
    ):
        directory = CallDirectory(stack.running, http=http)
        placed = await stack.guard(directory.place(CallOrder("rooms", clips), scratch / "call"))
    heard = {
        clip: turn.speak_to_hear_ms
        for clip, turn in zip(CLIPS, placed.caller.turns, strict=False)
        if turn.speak_to_hear_ms is not None
    }
    result = {
        "median_ms": round(statistics.median(heard.values()), 1),
        "slowest_ms": round(max(heard.values()), 1),
        "cut_into": placed.caller.early,
        "turns_taken": len(placed.report.turns),
        "clips": len(CLIPS),
        "unanswered": placed.caller.unanswered,
        "by_clip_ms": {clip: round(value, 1) for clip, value in heard.items()},
    }
    print(f"{name}: {result}", flush=True)
    return result


async def _all(scratch: Path) -> dict[str, Any]:
    return {name: await measure(name, turn, scratch) for name, turn in SETTINGS.items()}


def main() -> None:
    """Run all settings, one after the other."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as scratch:
        results = asyncio.run(_all(Path(scratch)))
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    print(f"written: {OUT}")


if __name__ == "__main__":
    main()
