"""When a call's limits say to wrap up and to end."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.session.limits import LimitAction, LimitDecision, LimitKind, LimitWatch
from shared.domain.agent import CallLimits

NONE = LimitDecision(LimitAction.NONE)


def watch(**limits: object) -> LimitWatch:
    return LimitWatch(CallLimits.model_validate({"minutes": 10, "turns": 20, "spend_usd": "1.00"} | limits))


def observe(
    limits: LimitWatch, *, elapsed_s: float = 0, turns: int = 0, spend_usd: str = "0"
) -> LimitDecision:
    return limits.observe(elapsed_s=elapsed_s, turns=turns, spend_usd=Decimal(spend_usd))


def test_a_fresh_call_is_far_from_every_limit() -> None:
    assert observe(watch()) == NONE


@pytest.mark.parametrize(
    ("just_before", "near", "over", "kind"),
    [
        ({"elapsed_s": 554.9}, {"elapsed_s": 555}, {"elapsed_s": 600}, LimitKind.MINUTES),
        ({"turns": 16}, {"turns": 17}, {"turns": 20}, LimitKind.TURNS),
        ({"spend_usd": "0.8499999999"}, {"spend_usd": "0.85"}, {"spend_usd": "1.00"}, LimitKind.SPEND),
    ],
    ids=["minutes", "turns", "spend"],
)
def test_a_limit_is_announced_once_when_near_and_ends_the_call_once_when_reached(
    just_before: dict[str, object], near: dict[str, object], over: dict[str, object], kind: LimitKind
) -> None:
    limits = watch()

    assert observe(limits, **just_before) == NONE  # type: ignore[arg-type]
    assert observe(limits, **near) == LimitDecision(LimitAction.WRAP_UP, kind)  # type: ignore[arg-type]
    assert observe(limits, **near) == NONE  # type: ignore[arg-type]
    assert observe(limits, **over) == LimitDecision(LimitAction.END, kind)  # type: ignore[arg-type]
    assert observe(limits, **over) == NONE  # type: ignore[arg-type]


def test_a_second_limit_that_comes_near_is_not_announced_again() -> None:
    limits = watch()

    assert observe(limits, turns=17).action is LimitAction.WRAP_UP
    assert observe(limits, turns=17, elapsed_s=560) == NONE


def test_a_limit_that_is_jumped_over_ends_the_call_and_is_known_to_be_unannounced() -> None:
    limits = watch()

    assert observe(limits, elapsed_s=1000) == LimitDecision(
        LimitAction.END, LimitKind.MINUTES, announced=False
    )
    assert observe(limits, turns=17) == NONE


def test_a_short_call_is_not_near_its_end_before_half_of_it_is_over() -> None:
    limits = watch(minutes=1)

    assert observe(limits, elapsed_s=29.9) == NONE
    assert observe(limits, elapsed_s=30).action is LimitAction.WRAP_UP


@pytest.mark.parametrize("turns", [2, 3, 4, 5])
def test_a_limit_of_few_turns_is_not_near_before_the_caller_has_said_anything(turns: int) -> None:
    assert observe(watch(turns=turns), turns=0) == NONE


def test_a_limit_of_one_turn_is_announced_before_it_and_ends_the_call_after_it() -> None:
    limits = watch(turns=1)

    assert observe(limits, turns=0) == LimitDecision(LimitAction.WRAP_UP, LimitKind.TURNS)
    assert observe(limits, turns=1).action is LimitAction.END


@given(st.integers(1, 1000))
def test_a_limit_of_turns_is_announced_at_least_one_turn_before_it(turns: int) -> None:
    limits = watch(turns=turns)

    actions = [observe(limits, turns=turn).action for turn in range(turns + 1)]

    assert LimitAction.WRAP_UP in actions[:-1]
    assert actions.index(LimitAction.WRAP_UP) >= int(turns * 0.85) - (turns == 1)
    assert actions[-1] is LimitAction.END


def test_a_spend_that_the_next_turn_would_use_up_is_near() -> None:
    limits = watch()

    assert observe(limits, turns=1, spend_usd="0.30") == NONE
    assert observe(limits, turns=2, spend_usd="0.60") == NONE
    assert observe(limits, turns=3, spend_usd="0.80") == LimitDecision(LimitAction.WRAP_UP, LimitKind.SPEND)
    assert observe(limits, turns=4, spend_usd="1.05").action is LimitAction.END


def test_the_limit_of_many_turns_is_near_only_for_the_last_three() -> None:
    limits = watch(turns=100)

    assert observe(limits, turns=96) == NONE
    assert observe(limits, turns=97).action is LimitAction.WRAP_UP


def test_the_next_look_at_the_clock_is_when_time_can_change_the_decision() -> None:
    limits = watch()

    assert limits.next_check_s(0) == 555
    assert limits.next_check_s(555) == 45
    assert limits.next_check_s(599.95) == pytest.approx(0.1)
    assert limits.next_check_s(700) == 60


@given(
    st.lists(
        st.tuples(
            st.floats(0, 40_000),
            st.integers(0, 120),
            st.decimals(0, 3, allow_nan=False, allow_infinity=False),
        ),
        max_size=30,
    )
)
def test_however_a_call_goes_it_is_wrapped_up_at_most_once_and_ended_at_most_once_in_that_order(
    course: list[tuple[float, int, Decimal]],
) -> None:
    limits = LimitWatch(CallLimits())

    actions = [limits.observe(elapsed_s=s, turns=n, spend_usd=usd).action for s, n, usd in course]
    said = [action for action in actions if action is not LimitAction.NONE]

    assert said in (
        [],
        [LimitAction.WRAP_UP],
        [LimitAction.END],
        [LimitAction.WRAP_UP, LimitAction.END],
    )


@pytest.mark.parametrize(("tool_calls", "near"), [(1, 1), (2, 1), (3, 2), (10, 8), (20, 17), (200, 197)])
def test_tool_calls_are_told_of_once_when_they_are_near_their_limit_and_end_no_call(
    tool_calls: int, near: int
) -> None:
    limits = LimitWatch(CallLimits(tool_calls=tool_calls))

    decisions = [
        limits.observe(elapsed_s=0, turns=1, spend_usd=Decimal(0), tool_calls=used)
        for used in range(tool_calls + 2)
    ]

    assert decisions[near] == LimitDecision(LimitAction.WRAP_UP, LimitKind.TOOL_CALLS)
    assert decisions[:near] + decisions[near + 1 :] == [NONE] * (tool_calls + 1)


def test_where_no_tool_calls_are_allowed_nothing_is_said_about_them() -> None:
    limits = LimitWatch(CallLimits(tool_calls=0))

    assert limits.observe(elapsed_s=0, turns=1, spend_usd=Decimal(0), tool_calls=1) == NONE


def test_used_up_tool_calls_do_not_use_up_the_warning_that_the_time_is_nearly_over() -> None:
    limits = LimitWatch(CallLimits(tool_calls=1, minutes=10))

    def decide(elapsed_s: float) -> LimitDecision:
        return limits.observe(elapsed_s=elapsed_s, turns=1, spend_usd=Decimal(0), tool_calls=1)

    assert decide(30) == LimitDecision(LimitAction.WRAP_UP, LimitKind.TOOL_CALLS)
    assert decide(570) == LimitDecision(LimitAction.WRAP_UP, LimitKind.MINUTES)
    assert decide(600) == LimitDecision(LimitAction.END, LimitKind.MINUTES)
