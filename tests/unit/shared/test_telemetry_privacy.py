"""Logging: what never reaches a log, whoever writes it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.sealing import AesGcmSealer
from shared.contracts.sealed import SealedPlace
from shared.domain.call import EndReason
from shared.domain.model import FrozenModel
from shared.errors import RemoteTimeoutError, SealError
from shared.telemetry import (
    bind_call,
)
from tests.fakes.examples import CANARY
from tests.unit.shared.captured_log import CALL, Log, thrown


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
    assert shown["frames"][-1].startswith("shared/captured_log.py:")
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


def test_a_terminal_without_that_wish_shows_no_more_than_json() -> None:
    log = Log(json=False)
    with bind_call(**CALL):
        log.ours.error("failed", exc_info=thrown(ValueError(CANARY)), pii=CANARY, turns=3)
    assert CANARY not in log.text
    assert "turns" in log.text


def test_a_seal_error_shows_nothing_of_what_was_sealed() -> None:
    log, sealer = Log(), AesGcmSealer(bytes(32))
    place = SealedPlace("ten_1", "call_1", "turn_1/pii.caller_text")
    sealed = sealer.seal(CANARY, place)
    try:
        AesGcmSealer(bytes(31) + b"x").unseal(sealed, place)
    except SealError:
        log.ours.exception("could not open", sealed=sealed)
    assert CANARY not in log.text
    assert log.one["exception"]["code"] == "seal_broken"
