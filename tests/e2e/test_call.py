"""`parley call` as a user types it: recordings in, a report out, over both media; no stack runs beforehand."""

from __future__ import annotations

import json
import wave
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Cli
from tests.parts import data_folder

pytestmark = [pytest.mark.needs("recordings"), pytest.mark.timeout(300)]

KEYS = {
    "call_id", "tenant_id", "agent_version", "end_reason", "turns", "tools", "usage", "cost_usd", "events",
}  # fmt: skip
STAGES = {"endpointing", "stt_final", "llm_first_token", "tts_first_byte"}


def _recording(name: str) -> str:
    return str(data_folder() / "speech" / f"{name}.wav")


def _place(cli: Cli, *arguments: str) -> dict[str, Any]:
    done = cli.run("call", "--tenant", "rooms", "--out", "out", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Report: out/index.html" in done.stdout
    assert cli.processes_left() == []
    call: dict[str, Any] = json.loads((cli.folder / "out" / "call.json").read_text("utf-8"))
    return call


def _assert_complete(call: dict[str, Any], folder: Path) -> None:
    assert call.keys() >= KEYS
    for turn in call["turns"]:
        assert turn["stages_ms"].keys() >= STAGES
    for line in call["usage"]:
        # decimal strings, and the amount is the product unrounded
        assert Decimal(line["amount_usd"]) == Decimal(line["quantity"]) * Decimal(line["unit_price_usd"])
    assert Decimal(call["cost_usd"]) == sum(Decimal(line["amount_usd"]) for line in call["usage"])
    with wave.open(str(folder / "recording.wav")) as recording:
        assert recording.getnchannels() == 2
        assert recording.getnframes() > 5 * recording.getframerate()
    assert "<svg" in (folder / "index.html").read_text("utf-8")


def test_recordings_are_answered_over_websocket_and_reported(cli: Cli) -> None:
    call = _place(cli, "--wav", _recording("turn1_book_a_room"), "--wav", _recording("turn2_mountain_view"))

    _assert_complete(call, cli.folder / "out")
    assert len(call["turns"]) == 2
    assert all(turn["agent_text"] and turn["speak_to_hear_ms"] > 0 for turn in call["turns"])
    (log,) = (cli.folder / ".parley" / "call").glob("*/logs/agent.log")
    assert "call_ended" in log.read_text("utf-8")


@pytest.mark.needs("livekit")
def test_a_recording_can_cut_in_over_livekit(cli: Cli) -> None:
    call = _place(
        cli, "--media", "livekit", "--barge-in-at", "1.0",
        "--wav", _recording("turn1_book_a_room"), "--wav", _recording("turn2_mountain_view"),
    )  # fmt: skip

    _assert_complete(call, cli.folder / "out")
    (cut,) = [turn for turn in call["turns"] if turn["interrupted"]]
    assert 0 <= cut["barge_in_stop_ms"] <= 500
