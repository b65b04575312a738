"""Logging: what a record holds, and where a process writes it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from shared.telemetry import (
    bind_call,
    bind_turn,
    describe_exception,
)
from tests.fakes.examples import CANARY
from tests.unit.shared.captured_log import CALL, Log, thrown


def test_a_record_is_one_json_object_with_its_fields() -> None:
    log = Log()
    log.ours.info("call started", media="ws", turns=3)
    assert (
        log.one.items()
        >= {
            "event": "call started",
            "level": "info",
            "process": "test",
            "media": "ws",
            "turns": 3,
        }.items()
    )
    assert log.one["at"].endswith("Z")


def test_a_call_puts_its_ids_on_every_record_and_only_inside() -> None:
    log = Log()
    with bind_call(**CALL):
        log.ours.info("a")
        bind_turn("turn_1")
        log.stdlib.warning("b")
        bind_turn(None)
        log.ours.info("c")
    bind_turn("turn_2")
    log.ours.info("d")
    ids = [(record.get("call_id"), record.get("turn_id")) for record in log.records]
    assert ids == [("call_1", None), ("call_1", "turn_1"), ("call_1", None), (None, None)]


async def test_a_turn_that_one_task_of_a_call_begins_is_on_the_records_of_all_its_tasks() -> None:
    log = Log()
    begun = asyncio.Event()

    async def another_task() -> None:
        await begun.wait()
        log.ours.info("a provider reports")

    async def listener() -> None:
        bind_turn("turn_1")
        begun.set()

    with bind_call(**CALL):
        await asyncio.gather(another_task(), listener())
    assert log.one["turn_id"] == "turn_1"


async def test_calls_that_run_at_once_do_not_mix_their_ids() -> None:
    log = Log()
    meet = asyncio.Barrier(5)

    async def call(number: int) -> None:
        with bind_call(tenant_id=f"ten_{number}", call_id=f"call_{number}"):
            await meet.wait()
            bind_turn(f"turn_{number}")
            await asyncio.create_task(turn(number))

    async def turn(number: int) -> None:
        await meet.wait()
        log.ours.info("turn", number=number)

    await asyncio.gather(*(call(number) for number in range(5)))
    assert all(record["call_id"] == f"call_{record['number']}" for record in log.records)
    assert all(record["turn_id"] == f"turn_{record['number']}" for record in log.records)
    assert len(log.records) == 5


def test_outside_a_call_our_own_records_say_what_went_wrong() -> None:
    log = Log()
    log.ours.error("could not listen", exc_info=thrown(OSError("address in use")))
    assert log.one["exception"]["message"] == "address in use"


def test_a_librarys_numbers_and_names_of_parts_are_kept() -> None:
    log = Log(name="livekit.agents")
    log.stdlib.warning("slow", extra={"plugin": "deepgram", "attempt": 2, "streamed": True, "text": CANARY})
    assert log.one.items() >= {"plugin": "deepgram", "attempt": 2, "streamed": True}.items()
    assert "text" not in log.one


def test_outside_a_call_a_librarys_record_is_formatted() -> None:
    log = Log(name="aiohttp")
    log.stdlib.warning("cannot bind %s", "127.0.0.1")
    assert log.one["event"] == "cannot bind 127.0.0.1"


def test_text_that_is_no_unicode_is_written_all_the_same() -> None:
    log = Log()
    log.ours.info("x", text="\ud800 \n \x00 é")
    assert log.one["text"] == "\ud800 \n \x00 é"


def test_a_long_text_is_cut() -> None:
    log = Log(name="other")
    log.ours.info("x", text="y" * 10_000)
    log.stdlib.warning("z" * 10_000)
    assert [len(log.records[0]["text"]), len(log.records[1]["event"])] == [2000, 2000]


def test_a_developers_terminal_may_ask_for_everything() -> None:
    log = Log(json=False, allow_pii=True)
    with bind_call(**CALL):
        log.ours.error("failed", exc_info=thrown(ValueError("the reason")), pii="what was said")
    assert "what was said" in log.text
    assert "the reason" in log.text


def test_an_endless_chain_of_causes_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert describe_exception(first)["caused_by"] == ["ValueError"] * 5


SCRIPT = """
import logging, sys, threading, warnings
import structlog
logger = structlog.get_logger("shared.early")
from shared.telemetry import bind_call, configure_logging
configure_logging("first")
configure_logging("agent", level="INFO")
logger.debug("too low")
logger.info("ours")
logging.getLogger("livekit").info("too low")
logging.getLogger("livekit").warning("theirs")
warnings.warn("old", stacklevel=1)
def fail():
    with bind_call(tenant_id="ten_1", call_id="call_1"):
        raise ValueError(sys.argv[1])
thread = threading.Thread(target=fail)
thread.start()
thread.join()
raise ValueError("the end")
"""


def test_a_process_writes_json_lines_to_standard_error_and_nothing_else() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, CANARY], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(record["level"], record["process"]) for record in records] == [
        ("info", "agent"),
        ("warning", "agent"),
        ("warning", "agent"),
        ("critical", "agent"),
        ("critical", "agent"),
    ]
    assert [record["event"] for record in records[:2]] == ["ours", "theirs"]
    assert records[-1]["exception"]["message"] == "the end"
