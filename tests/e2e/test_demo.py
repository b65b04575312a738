"""`parley demo` as a newcomer runs it: twice, with different callers, once with no network at all."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.without_network import NOT_ALLOWED
from tests.parts import required

_WITHOUT_NETWORK = (sys.executable, str(Path(__file__).with_name("without_network.py")))


def _network_can_be_cut() -> bool:
    return subprocess.run([*_WITHOUT_NETWORK, "true"], check=False).returncode != NOT_ALLOWED


def _check_folder(folder: Path) -> None:
    calls = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*/call.json"))]
    assert len(calls) == 3
    assert {call["tenant"] for call in calls} == {"dental", "pizza"}
    assert any(
        tool["name"].startswith(("book", "place")) and tool["ok"] for c in calls for tool in c["tools"]
    )
    for call in calls:
        total = sum(Decimal(line["amount_usd"]) for line in call["usage"])
        assert total == Decimal(call["cost_usd"])
        for line in call["usage"]:
            assert Decimal(line["quantity"]) * Decimal(line["unit_price_usd"]) == Decimal(line["amount_usd"])
            assert "e" not in (line["quantity"] + line["unit_price_usd"] + line["amount_usd"]).lower()
        assert call["events"]["parley.usage.v1"] >= 1
        assert call["turns"]
    stops = [turn["barge_in_stop_ms"] for call in calls for turn in call["turns"] if turn["interrupted"]]
    assert stops, "the barge-in did not interrupt the agent"
    assert all(stop is not None and stop <= 500 for stop in stops)
    assert (folder / "index.html").stat().st_size > 1000


def test_the_demo_works_without_any_network(cli: Cli) -> None:
    if not _network_can_be_cut():
        if required():
            pytest.fail("this machine does not allow network namespaces")
        pytest.skip("this machine does not allow network namespaces")

    done = cli.run("demo", "--seed", "3", through=_WITHOUT_NETWORK)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    _check_folder(cli.folder / "demo-out")
    assert cli.processes_left() == []


def test_a_second_seed_has_other_names_and_other_words_and_works_too(cli: Cli) -> None:
    done = cli.run("demo", "--seed", "21")

    assert done.returncode == 0, done.stdout + done.stderr
    _check_folder(cli.folder / "demo-out")
    shown = cli.run("report", "demo-out")
    assert shown.returncode == 0
    assert "caller:" in shown.stdout
