from __future__ import annotations

from edge_agents.host.answered_calls import KEPT_S, AnsweredCalls


def test_a_call_that_nobody_has_answered_may_be() -> None:
    assert not AnsweredCalls().had("call_1", "AJ_1", running=(), now_s=0.0)


def test_another_job_finds_the_call_answered_until_no_token_can_be_left() -> None:
    calls = AnsweredCalls()
    calls.add("call_1", "AJ_1", now_s=0.0)
    assert calls.had("call_1", "AJ_2", running=(), now_s=KEPT_S - 1)
    assert not calls.had("call_2", "AJ_2", running=(), now_s=KEPT_S - 1)
    assert not calls.had("call_1", "AJ_2", running=(), now_s=KEPT_S)


def test_the_same_job_may_be_offered_twice() -> None:
    calls = AnsweredCalls()
    calls.add("call_1", "AJ_1", now_s=0.0)
    assert not calls.had("call_1", "AJ_1", running=(), now_s=1.0)


def test_a_long_call_is_remembered_from_its_end_on() -> None:
    calls = AnsweredCalls()
    calls.add("call_1", "AJ_1", now_s=0.0)
    assert not calls.had("call_2", "AJ_2", running={"AJ_1"}, now_s=KEPT_S - 1)
    assert calls.had("call_1", "AJ_3", running=(), now_s=2 * KEPT_S - 2)
