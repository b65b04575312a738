"""Logging: what reaches a log, and above all what does not."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.sealing import AesGcmSealer
from shared.domain.call import EndReason
from shared.domain.model import FrozenModel
from shared.errors import RemoteTimeoutError, SealError
from shared.telemetry import (
    OUR_PROCESSORS,
    Counters,
    SafeHandler,
    bind_call,
    describe_exception,
    make_formatter,
)
from tests.fakes.examples import CANARY

CALL = {"tenant_id": "ten_1", "call_id": "call_1"}


class Log:
    """A logger with the chain of the product, and what it wrote."""

    def __init__(self, *, name: str = "test_telemetry", **options: Any) -> None:
        self._stream = io.StringIO()
        handler = SafeHandler(self._stream)
        handler.setFormatter(make_formatter("test", **options))
        self.stdlib = logging.Logger(name, logging.DEBUG)  # noqa: LOG001 - in nobody's tree
        self.stdlib.addHandler(handler)
        self.ours = structlog.wrap_logger(
            self.stdlib, processors=OUR_PROCESSORS, wrapper_class=structlog.stdlib.BoundLogger
        )

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def one(self) -> dict[str, Any]:
        (record,) = self.records
        return record


def thrown(error: Exception) -> Exception:
    """The exception with a traceback, as a handler meets it."""
    try:
        raise error
    except type(error) as caught:
        return caught


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
        with bind_call(**CALL, turn_id="turn_1"):
            log.stdlib.warning("b")
        log.ours.info("c")
    log.ours.info("d")
    ids = [(record.get("call_id"), record.get("turn_id")) for record in log.records]
    assert ids == [("call_1", None), ("call_1", "turn_1"), ("call_1", None), (None, None)]


async def test_calls_that_run_at_once_do_not_mix_their_ids() -> None:
    log = Log()
    meet = asyncio.Barrier(5)

    async def call(number: int) -> None:
        with bind_call(tenant_id=f"ten_{number}", call_id=f"call_{number}"):
            await meet.wait()
            await asyncio.create_task(turn(number))

    async def turn(number: int) -> None:
        await meet.wait()
        log.ours.info("turn", number=number)

    await asyncio.gather(*(call(number) for number in range(5)))
    assert all(record["call_id"] == f"call_{record['number']}" for record in log.records)
    assert len(log.records) == 5


@pytest.mark.parametrize(
    "name",
    ["pii", "PII", "pii.text", "lk.pii.transcript", "transcript_pii", "pii_text", "a.b.pii", "x-pii-y"],
)
def test_a_field_with_a_pii_segment_is_dropped(name: str) -> None:
    log = Log()
    log.ours.info("said", **{name: CANARY}, length_chars=len(CANARY))
    assert CANARY not in log.text
    assert name not in log.one
    assert log.one["length_chars"] == len(CANARY)


@pytest.mark.parametrize("name", ["piipe", "hippii", "opinions", "piiano_x"])
def test_a_name_that_only_contains_the_letters_is_kept(name: str) -> None:
    log = Log()
    log.ours.info("x", **{name: 1})
    assert log.one[name] == 1


NESTED = st.recursive(
    st.just(CANARY),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(["pii", "x.pii", "a"]), inner, max_size=3),
        st.lists(inner, max_size=3),
        st.tuples(inner),
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["pii", "pii_x", "lk.pii"]), NESTED, min_size=1), NESTED)
def test_pii_is_dropped_at_any_depth(fields: dict[str, Any], below: Any) -> None:
    log = Log()
    log.ours.info("x", **fields, turn={"tools": [{"name": "book", "pii": below}], **fields})
    assert CANARY not in log.text
    assert log.one["turn"]["tools"] == [{"name": "book"}]


def test_what_is_deeper_than_one_looks_is_not_shown() -> None:
    value: object = CANARY
    for _ in range(10):
        value = [value]
    log = Log()
    log.ours.info("x", value=value)
    assert CANARY not in log.text


class _Said(FrozenModel):
    length: int
    pii: str


class _Talkative:
    def __repr__(self) -> str:
        return CANARY


def test_values_that_are_no_json_show_what_is_safe_of_them() -> None:
    log = Log()
    log.ours.info(
        "x",
        model=_Said(length=3, pii=CANARY),
        thing=_Talkative(),
        amount=Decimal("1.10"),
        reason=EndReason.AGENT_ENDED,
        path=Path("a/b"),
        error=ValueError(CANARY),
        raw=CANARY.encode(),
        tags={"b"},
    )
    assert CANARY not in log.text
    shown = log.one
    assert shown["model"] == {"length": 3}
    assert shown["thing"] == "<_Talkative>"
    assert (shown["amount"], shown["reason"], shown["path"]) == ("1.10", "agent_ended", "a/b")
    assert shown["error"]["type"] == "ValueError"
    assert shown["raw"] == "<bytes>"
    assert shown["tags"] == ["b"]


def test_during_a_call_an_exception_keeps_its_type_its_code_and_its_frames_only() -> None:
    log = Log()
    with bind_call(**CALL):
        log.ours.error("tool failed", exc_info=thrown(RemoteTimeoutError(CANARY, hint=CANARY)))
    assert CANARY not in log.text
    shown = log.one["exception"]
    assert (shown["type"], shown["code"]) == ("RemoteTimeoutError", "remote_timeout")
    assert shown["frames"][-1].startswith("shared/test_telemetry.py:")
    assert shown["frames"][-1].endswith(":thrown")
    assert "message" not in shown


def test_causes_groups_and_locals_do_not_show_either() -> None:
    def fail(said: str) -> None:
        words = said.split()
        try:
            int(said)
        except ValueError as error:
            raise ExceptionGroup(said, [KeyError(words[0]), OSError(said)]) from error

    log = Log()
    with bind_call(**CALL):
        try:
            fail(CANARY)
        except* (KeyError, OSError):
            log.ours.exception("failed", stack_info=True)
    assert CANARY not in log.text
    assert log.one["exception"]["caused_by"] == ["KeyError", "OSError", "ValueError"]


def test_outside_a_call_our_own_records_say_what_went_wrong() -> None:
    log = Log()
    log.ours.error("could not listen", exc_info=thrown(OSError("address in use")))
    assert log.one["exception"]["message"] == "address in use"


@pytest.mark.parametrize(
    "write",
    [
        lambda log: log.warning("user said: %s", CANARY),
        lambda log: log.warning("user said: %(text)s", {"text": CANARY}),
        lambda log: log.warning("said", extra={"lk.pii.user_input": CANARY}),
        lambda log: log.warning("said", extra={"user_transcript": CANARY, "plugin": {"x": CANARY}}),
        lambda log: log.warning("failed", exc_info=ValueError(CANARY)),
        lambda log: log.warning("first line\nfuture: " + CANARY),  # noqa: G003 - as asyncio does
        lambda log: log.error("failed: %s", ValueError(CANARY), stack_info=True),
    ],
)
@pytest.mark.parametrize("name", ["livekit.agents", "asyncio", "aiohttp.server"])
def test_a_librarys_record_during_a_call_shows_nothing_that_was_said(
    write: Callable[[logging.Logger], None], name: str
) -> None:
    log = Log(name=name)
    with bind_call(**CALL):
        write(log.stdlib)
    assert CANARY not in log.text
    assert log.one["event"]
    assert log.one["call_id"] == "call_1"


def test_livekit_shows_nothing_formatted_outside_a_call_either() -> None:
    log = Log(name="livekit.agents")
    log.stdlib.warning("user said: %s", CANARY)
    assert log.one["event"] == "user said: %s"


async def test_a_task_that_died_unheard_does_not_show_its_exception() -> None:
    log = Log(name="asyncio")
    error = ValueError(CANARY)
    log.stdlib.error("Task exception was never retrieved\nfuture: <Task exception=%r>", error, exc_info=error)
    assert CANARY not in log.text
    assert log.one["event"] == "Task exception was never retrieved"
    assert log.one["exception"]["type"] == "ValueError"


def test_a_librarys_numbers_and_names_of_parts_are_kept() -> None:
    log = Log(name="livekit.agents")
    log.stdlib.warning("slow", extra={"plugin": "deepgram", "attempt": 2, "streamed": True, "text": CANARY})
    assert log.one.items() >= {"plugin": "deepgram", "attempt": 2, "streamed": True}.items()
    assert "text" not in log.one


def test_outside_a_call_a_librarys_record_is_formatted() -> None:
    log = Log(name="aiohttp")
    log.stdlib.warning("cannot bind %s", "127.0.0.1")
    assert log.one["event"] == "cannot bind 127.0.0.1"


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError(CANARY)


def test_a_record_that_can_not_be_written_is_replaced_by_a_line_without_its_content(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = Log(name="livekit")
    log.stdlib.warning(_Unprintable(), extra={"text": CANARY})
    assert log.one == {
        "event": "a log record could not be written",
        "level": "error",
        "logger": "livekit",
        "error": "RuntimeError",
    }
    assert capsys.readouterr().err == ""


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


def test_a_terminal_without_that_wish_shows_no_more_than_json() -> None:
    log = Log(json=False)
    with bind_call(**CALL):
        log.ours.error("failed", exc_info=thrown(ValueError(CANARY)), pii=CANARY, turns=3)
    assert CANARY not in log.text
    assert "turns" in log.text


def test_a_seal_error_shows_nothing_of_what_was_sealed() -> None:
    log, sealer = Log(), AesGcmSealer(bytes(32))
    sealed = sealer.seal(CANARY, tenant_id="ten_1")
    try:
        AesGcmSealer(bytes(31) + b"x").unseal(sealed)
    except SealError:
        log.ours.exception("could not open", sealed=sealed)
    assert CANARY not in log.text
    assert log.one["exception"]["code"] == "seal_broken"


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


def test_counters_count_by_name_and_label() -> None:
    counters = Counters()
    counters.add("events")
    counters.add("events", 2, reason="b", kind="a")
    counters.add("events", kind="a", reason="b")
    assert counters.value("events") == 1
    assert counters.value("events", kind="a", reason="b") == 3
    assert counters.value("nothing") == 0
    assert counters.snapshot() == {"events": 1, "events{kind=a,reason=b}": 3}


def test_counters_are_bounded_and_lose_no_count() -> None:
    counters = Counters(max_series=3)
    for number in range(10):
        counters.add("events", reason=str(number))
    assert counters.value("events", overflow="true") == 7
    assert sum(counters.snapshot().values()) == 10
    assert len(counters.snapshot()) == 4


def test_counters_count_right_from_many_threads() -> None:
    counters = Counters()

    def count() -> None:
        for _ in range(1000):
            counters.add("events")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.value("events") == 8000
