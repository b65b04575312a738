from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from local_stack.engines.load_model.faults import ActiveFault, FaultRule, FaultTable, Moment, Target

CALL = Target(stage="tts", vendor="deepgram", key="primary", model="aura-2", voice="andromeda")


def table(*rules: dict[str, Any], seed: int = 7) -> FaultTable:
    faults = FaultTable(seed)
    faults.replace([FaultRule.model_validate(rule) for rule in rules])
    return faults


def test_without_rules_nothing_fails() -> None:
    assert FaultTable(7).strike(CALL) is None


@pytest.mark.parametrize(
    ("selector", "hit"),
    [
        ({}, True),
        ({"vendor": "deepgram"}, True),
        ({"vendor": "azure"}, False),
        ({"key": "primary"}, True),
        ({"key": "aura-2"}, True),
        ({"key": "andromeda"}, True),
        ({"key": "fallback"}, False),
        ({"vendor": "deepgram", "key": "fallback"}, False),
    ],
)
def test_a_rule_hits_what_its_selectors_name(selector: dict[str, str], hit: bool) -> None:
    assert (table({"stage": "tts", "kind": "close", **selector}).strike(CALL) is not None) is hit


def test_a_rule_of_another_stage_never_hits() -> None:
    assert table({"stage": "llm", "kind": "close"}).strike(CALL) is None


@pytest.mark.parametrize(
    ("rule", "moment", "hit"),
    [
        ({"kind": "status"}, "handshake", True),
        ({"kind": "status"}, "work", False),
        ({"kind": "refuse_handshake"}, "work", False),
        ({"kind": "stall"}, "handshake", False),
        ({"kind": "stall"}, "work", True),
        ({"kind": "stall", "at": "handshake"}, "handshake", True),
        ({"kind": "stall", "at": "handshake"}, "work", False),
        ({"kind": "stall"}, None, True),
        ({"kind": "status"}, None, True),
    ],
)
def test_a_rule_strikes_at_its_moment_and_a_plain_request_is_both_moments(
    rule: dict[str, str], moment: Moment | None, hit: bool
) -> None:
    assert (table({"stage": "tts", **rule}).strike(CALL, moment) is not None) is hit


def test_a_rule_is_spent_after_its_times_and_the_next_one_follows() -> None:
    faults = table(
        {"stage": "tts", "kind": "status", "times": 2}, {"stage": "tts", "kind": "stall", "times": 1}
    )

    kinds = [fault.kind if (fault := faults.strike(CALL)) else None for _ in range(4)]

    assert kinds == ["status", "status", "stall", None]
    assert [(state.matched, state.struck) for state in faults.states] == [(2, 2), (1, 1)]


def test_a_rule_that_another_key_misses_is_not_spent() -> None:
    faults = table({"stage": "tts", "kind": "close", "key": "primary", "times": 1})

    assert faults.strike(replace(CALL, key="fallback")) is None
    assert faults.strike(CALL) is not None


def strikes(seed: int, probability: float, count: int) -> list[bool]:
    faults = table({"stage": "tts", "kind": "close", "probability": probability}, seed=seed)
    return [faults.strike(CALL) is not None for _ in range(count)]


def test_chance_is_seeded_and_near_its_probability() -> None:
    hits = strikes(7, 0.2, 5_000)

    assert hits == strikes(7, 0.2, 5_000)
    assert hits != strikes(8, 0.2, 5_000)
    assert sum(hits) / len(hits) == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(("probability", "expected"), [(0.0, False), (1.0, True)])
def test_probabilities_of_zero_and_one_are_certain(probability: float, expected: bool) -> None:
    assert set(strikes(7, probability, 200)) == {expected}


def test_replacing_the_rules_starts_counts_and_chances_again_and_lets_stalls_go() -> None:
    faults = table({"stage": "tts", "kind": "close", "probability": 0.5})
    before = [faults.strike(CALL) is not None for _ in range(50)]
    held: asyncio.Event = faults.replaced

    faults.replace([state.rule for state in faults.states])

    assert held.is_set()
    assert not faults.replaced.is_set()
    assert [faults.strike(CALL) is not None for _ in range(50)] == before


def active(**rule: Any) -> ActiveFault:
    return ActiveFault(FaultRule.model_validate({"stage": "tts", "kind": "close", **rule}))


def test_a_fault_without_a_threshold_is_due_at_once() -> None:
    assert active().immediate
    assert active().due


def test_a_fault_is_due_after_its_chunks() -> None:
    fault = active(after_chunks=2)
    assert not fault.immediate

    due = []
    for _ in range(3):
        due.append(fault.due)
        fault.passed(chunks=1, payload_bytes=1_000)

    assert due == [False, False, True]


def test_a_fault_is_due_after_its_bytes() -> None:
    fault = active(after_bytes=1_500)
    fault.passed(chunks=1, payload_bytes=1_000)
    assert not fault.due

    fault.passed(chunks=1, payload_bytes=500)
    assert fault.due


def test_only_slowness_delays() -> None:
    assert active(kind="slow", delay_ms=300).delay_s == 0.3
    assert active(kind="stall", delay_ms=300).delay_s == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "explode"},
        {"kind": "status", "status": 200},
        {"kind": "status", "at": "work"},
        {"kind": "refuse_handshake", "at": "work"},
        {"kind": "close", "after_bytes": 1, "after_chunks": 1},
        {"kind": "close", "probability": 1.1},
        {"kind": "close", "times": 0},
        {"kind": "close", "stage": "vad"},
        {"kind": "close", "vendor": "acme"},
        {"kind": "close", "typo": 1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FaultRule.model_validate({"stage": "tts", **wrong})
