"""Which utterance an exchange answers, when both ends count turns for themselves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local_stack.reporting.join import AgentExchange, CallerUtterance, join_turns


def exchange(over_s: float, after_s: float | None = None, heard_ms: float | None = 1000.0) -> AgentExchange:
    return AgentExchange(over_s=over_s, previous_over_s=after_s, speak_to_hear_ms=heard_ms)


def utterance(start_s: float, end_s: float, heard_ms: float | None = 1020.0) -> CallerUtterance:
    return CallerUtterance(start_s=start_s, end_s=end_s, speak_to_hear_ms=heard_ms)


def test_equal_counts_pair_in_order() -> None:
    exchanges = [exchange(8, 2), exchange(14, 8), exchange(20, 14)]
    utterances = [utterance(3, 4), utterance(9, 10), utterance(15, 16)]
    assert join_turns(exchanges, utterances) == [0, 1, 2]


def test_an_utterance_that_was_not_understood_is_left_out() -> None:
    # the agent said "pardon?" between them, which is no exchange and was over at 13
    exchanges = [exchange(8, 2), exchange(20, 13)]
    utterances = [utterance(3, 4), utterance(9, 10), utterance(14, 15)]
    assert join_turns(exchanges, utterances) == [0, 2]


def test_last_words_that_nobody_answered_are_left_out() -> None:
    exchanges = [exchange(8, 2), exchange(14, 8)]
    utterances = [utterance(3, 4), utterance(9, 10), utterance(15, 16, None)]
    assert join_turns(exchanges, utterances) == [0, 1]


def test_an_utterance_taken_as_two_turns_goes_with_the_one_that_was_measured_alike() -> None:
    # the caller paused at 4; the agent began to answer, was talked over, and answered again
    exchanges = [exchange(5, 2, 400.0), exchange(12, 5, 1000.0), exchange(18, 12, 990.0)]
    utterances = [utterance(3, 7, 1015.0), utterance(13, 14, 1001.0)]
    assert join_turns(exchanges, utterances) == [None, 0, 1]


def test_a_barge_in_belongs_to_the_turn_after_the_one_it_cut() -> None:
    # the second utterance begins before the first exchange is over, and ends before it is noted as over
    exchanges = [exchange(8.0, 2), exchange(12, 8.0)]
    utterances = [utterance(3, 4), utterance(7.0, 7.6)]
    assert join_turns(exchanges, utterances) == [0, 1]


def test_a_barge_in_that_was_not_understood_leaves_the_turn_it_cut_alone() -> None:
    exchanges = [exchange(7.3, 2, 1000.0), exchange(18, 12, 1200.0)]
    utterances = [utterance(3, 4, 1015.0), utterance(7.0, 8.5, 1400.0), utterance(13, 14, 1210.0)]
    assert join_turns(exchanges, utterances) == [0, 2]


def test_what_fell_into_different_times_is_never_paired() -> None:
    assert join_turns([exchange(30, 20)], [utterance(3, 4)]) == [None]
    assert join_turns([exchange(8)], [utterance(20, 21)]) == [None]


def test_nothing_pairs_with_nothing() -> None:
    assert join_turns([], [utterance(3, 4)]) == []
    assert join_turns([exchange(8)], []) == [None]


def test_replies_that_nobody_measured_pair_by_time_alone() -> None:
    exchanges = [exchange(8, 2, None), exchange(14, 8, None)]
    utterances = [utterance(3, 4, None), utterance(9, 10, None)]
    assert join_turns(exchanges, utterances) == [0, 1]


@given(
    calls=st.lists(st.tuples(st.floats(0.3, 4), st.floats(0.2, 3), st.floats(0.5, 5)), max_size=20),
    lost=st.sets(st.integers(0, 19)),
    offset_s=st.floats(-0.3, 0.3),
)
def test_polite_callers_are_joined_whatever_the_agent_did_not_understand(
    calls: list[tuple[float, float, float]], lost: set[int], offset_s: float
) -> None:
    """Each turn: so long spoken, so long waited, so long answered; 0.8 s of quiet before the caller speaks."""
    utterances, exchanges, expected = [], [], []
    now_s, over_s = 2.0, None
    for index, (spoken_s, waited_s, answered_s) in enumerate(calls):
        start_s, end_s = now_s + 0.8, now_s + 0.8 + spoken_s
        now_s = end_s + waited_s + answered_s + 1.0
        utterances.append(utterance(start_s, end_s, waited_s * 1000 + 15))
        if index not in lost:
            exchanges.append(exchange(now_s + offset_s, over_s, waited_s * 1000))
            expected.append(index)
        # what was not understood is answered with "pardon?", a turn too
        over_s = now_s + offset_s
    assert join_turns(exchanges, utterances) == expected


@given(
    over=st.lists(st.floats(0, 100), max_size=12),
    starts=st.lists(st.floats(0, 100), max_size=12),
)
def test_whatever_the_times_no_utterance_is_used_twice_and_the_order_holds(
    over: list[float], starts: list[float]
) -> None:
    ends = sorted(over)
    exchanges = [exchange(at, before) for at, before in zip(ends, [None, *ends], strict=False)]
    joined = join_turns(exchanges, [utterance(at, at + 1) for at in sorted(starts)])
    used = [index for index in joined if index is not None]
    assert len(joined) == len(exchanges)
    assert used == sorted(set(used))
