"""The order in which parts start and stop, as a pure machine."""

from __future__ import annotations

import pytest

from local_stack.supervisor.machine import (
    AllReady,
    Begin,
    Failure,
    FailureKind,
    Finished,
    HealthLost,
    PartExited,
    PartReady,
    ReadyTimedOut,
    StackMachine,
    StartPart,
    StopPart,
    StopRequested,
)
from local_stack.supervisor.spec import ProcessSpec
from shared.errors import StackError


def spec(name: str, *needs: str) -> ProcessSpec:
    return ProcessSpec(name=name, argv=("true",), depends_on=frozenset(needs))


def machine() -> StackMachine:
    return StackMachine([spec("agent", "broker", "stt"), spec("broker"), spec("stt")])


def running() -> StackMachine:
    stack = machine()
    for event in (Begin(), PartReady("broker"), PartReady("stt"), PartReady("agent")):
        stack.on(event)
    return stack


def test_parts_without_needs_start_at_once_and_together() -> None:
    assert set(machine().on(Begin())) == {StartPart("broker"), StartPart("stt")}


def test_a_part_starts_when_all_that_it_needs_is_ready() -> None:
    stack = machine()
    stack.on(Begin())
    assert stack.on(PartReady("broker")) == []
    assert stack.on(PartReady("stt")) == [StartPart("agent")]
    assert stack.on(PartReady("agent")) == [AllReady()]


def test_stopping_goes_in_reverse_order() -> None:
    stack = running()
    assert stack.on(StopRequested()) == [StopPart("agent")]
    assert set(stack.on(PartExited("agent", 0))) == {StopPart("broker"), StopPart("stt")}
    assert stack.on(PartExited("stt", 0)) == []
    assert stack.on(PartExited("broker", 0)) == [Finished(None)]


def test_a_crash_of_one_part_stops_all_and_names_it() -> None:
    stack = running()
    assert stack.on(PartExited("stt", 139)) == [StopPart("agent")]
    assert stack.on(PartExited("agent", 1)) == [StopPart("broker")]
    assert stack.on(PartExited("broker", 0)) == [Finished(Failure("stt", FailureKind.ENDED, 139))]


def test_a_part_that_needs_a_failed_one_is_never_started() -> None:
    stack = machine()
    stack.on(Begin())
    assert stack.on(PartExited("broker", 2)) == [StopPart("stt")]
    assert stack.on(PartExited("stt", 0)) == [Finished(Failure("broker", FailureKind.ENDED_EARLY, 2))]


def test_a_missed_deadline_stops_the_silent_part_too() -> None:
    stack = machine()
    stack.on(Begin())
    assert set(stack.on(ReadyTimedOut("stt"))) == {StopPart("broker"), StopPart("stt")}
    assert stack.failure == Failure("stt", FailureKind.NOT_READY)


def test_an_ill_part_brings_the_stack_down() -> None:
    stack = running()
    assert stack.on(HealthLost("broker")) == [StopPart("agent")]
    assert stack.failure == Failure("broker", FailureKind.ILL)


def test_late_news_of_a_part_that_is_stopping_changes_nothing() -> None:
    stack = running()
    stack.on(StopRequested())
    for late in (PartReady("agent"), ReadyTimedOut("agent"), HealthLost("broker"), StopRequested()):
        assert stack.on(late) == []
    assert stack.failure is None


def test_a_stop_while_starting_still_finishes() -> None:
    stack = machine()
    stack.on(Begin())
    assert set(stack.on(StopRequested())) == {StopPart("broker"), StopPart("stt")}
    stack.on(PartExited("broker", 0))
    assert stack.on(PartExited("stt", 0)) == [Finished(None)]


@pytest.mark.parametrize(
    "specs",
    [
        [spec("a"), spec("a")],
        [spec("a", "nobody")],
        [spec("a", "b"), spec("b", "a")],
    ],
    ids=["twice", "unknown", "circle"],
)
def test_specs_that_contradict_each_other_are_refused(specs: list[ProcessSpec]) -> None:
    with pytest.raises(StackError):
        StackMachine(specs)
