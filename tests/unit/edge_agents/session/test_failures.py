"""What a failure of a provider leads to."""

from __future__ import annotations

import pytest

from edge_agents.session.failures import FailureAction, FailureWatch, Stage

APOLOGISE, GIVE_UP, NONE = (
    FailureAction.APOLOGISE_AND_RETRY,
    FailureAction.GIVE_UP,
    FailureAction.NONE,
)
SPEAKING = [Stage.LLM, Stage.TTS]


@pytest.mark.parametrize("stage", Stage)
def test_a_first_failure_is_covered_and_a_second_in_a_row_ends_the_call(stage: Stage) -> None:
    watch = FailureWatch()

    assert watch.failed(stage, recoverable=False) is APOLOGISE
    assert watch.failed(stage, recoverable=False) is GIVE_UP


@pytest.mark.parametrize("stage", Stage)
def test_a_success_in_between_starts_the_count_anew(stage: Stage) -> None:
    watch = FailureWatch()

    watch.failed(stage, recoverable=False)
    watch.worked(stage)

    assert watch.failed(stage, recoverable=False) is APOLOGISE


def test_failures_of_different_stages_are_not_added_up() -> None:
    watch = FailureWatch()

    assert watch.failed(Stage.LLM, recoverable=False) is APOLOGISE
    assert watch.failed(Stage.TTS, recoverable=False) is APOLOGISE
    assert watch.failed(Stage.LLM, recoverable=False) is GIVE_UP


def test_a_stage_that_works_does_not_excuse_another() -> None:
    watch = FailureWatch()

    watch.failed(Stage.TTS, recoverable=False)
    watch.worked(Stage.STT, Stage.LLM)

    assert watch.failed(Stage.TTS, recoverable=False) is GIVE_UP


@pytest.mark.parametrize("stage", SPEAKING)
def test_a_failure_that_is_being_retried_needs_nothing(stage: Stage) -> None:
    watch = FailureWatch()

    assert [watch.failed(stage, recoverable=True) for _ in range(10)] == [NONE] * 10
    assert watch.failed(stage, recoverable=False) is APOLOGISE


def test_a_recogniser_that_was_never_there_ends_the_call_when_it_is_not_there_the_next_time_either() -> None:
    watch = FailureWatch()

    tries = [
        watch.failed(Stage.STT, recoverable=recoverable) for recoverable in (True, True, True, False, True)
    ]

    assert tries == [NONE, NONE, NONE, APOLOGISE, GIVE_UP]


def test_a_recogniser_that_is_retried_in_vain_again_and_again_ends_the_call() -> None:
    watch = FailureWatch()

    assert [watch.failed(Stage.STT, recoverable=True) for _ in range(4)] == [NONE, NONE, NONE, GIVE_UP]


def test_a_recogniser_that_heard_something_in_between_is_not_given_up() -> None:
    watch = FailureWatch()

    for _ in range(5):
        assert [watch.failed(Stage.STT, recoverable=True) for _ in range(3)] == [NONE] * 3
        watch.worked(Stage.STT)


@pytest.mark.parametrize("recoverable", [True, False])
def test_after_giving_up_nothing_more_is_decided(recoverable: bool) -> None:
    watch = FailureWatch()
    for _ in range(2):
        watch.failed(Stage.STT, recoverable=False)
    watch.worked(*Stage)

    assert [watch.failed(stage, recoverable=recoverable) for stage in Stage] == [NONE] * 3
