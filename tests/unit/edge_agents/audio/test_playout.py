from __future__ import annotations

import numpy as np
import pytest

from edge_agents.audio.playout import MAX_QUEUED_S, Playout, SentBlock
from edge_agents.audio.speech_edges import Pcm


def numbered(count: int, start: int = 0) -> Pcm:
    return np.arange(start, start + count, dtype=np.int16)


def sent_samples(blocks: list[SentBlock]) -> list[int]:
    return np.concatenate([block.samples for block in blocks]).tolist() if blocks else []


def test_audio_handed_over_at_once_leaves_in_real_time() -> None:
    playout = Playout()
    playout.push(numbered(1000), 1000, 5.0)

    assert sent_samples(playout.advance(5.0)) == []
    assert sent_samples(playout.advance(5.25)) == list(range(250))
    assert playout.waiting_s == pytest.approx(0.75)
    (rest,) = playout.advance(99.0)
    assert rest.start_s == pytest.approx(5.25)
    assert rest.end_s == playout.sent_until_s == pytest.approx(6.0)


def test_a_block_handed_over_after_the_queue_ran_dry_leaves_at_once() -> None:
    playout = Playout()
    playout.push(numbered(100), 1000, 1.0)
    playout.push(numbered(100), 1000, 3.0)

    first, second = playout.advance(10.0)

    assert (first.start_s, second.start_s) == (1.0, 3.0)


def test_blocks_of_different_rates_follow_each_other_without_a_gap() -> None:
    playout = Playout()
    playout.push(numbered(160), 16000, 1.0)
    playout.push(numbered(240), 24000, 1.0)

    first, second = playout.advance(2.0)

    assert second.start_s == first.end_s == pytest.approx(1.01)


def test_clearing_keeps_what_has_left() -> None:
    playout = Playout()
    playout.push(numbered(1000), 1000, 0.0)
    left = playout.advance(0.3)
    playout.clear()

    assert sent_samples(left) == list(range(300))
    assert playout.advance(9.0) == []
    assert playout.sent_until_s == pytest.approx(0.3)


def test_a_pause_stops_the_clock_of_what_waits() -> None:
    playout = Playout()
    playout.push(numbered(1000), 1000, 0.0)
    playout.advance(0.4)
    playout.pause()
    assert playout.advance(2.0) == []
    playout.resume(2.0)

    (rest,) = playout.advance(10.0)
    assert rest.start_s == pytest.approx(2.0)
    assert rest.end_s == pytest.approx(2.6)


def test_resuming_without_a_pause_changes_nothing() -> None:
    playout = Playout()
    playout.push(numbered(100), 1000, 0.0)
    playout.resume(0.05)
    (block,) = playout.advance(1.0)
    assert block.start_s == 0.0


def test_audio_beyond_the_bound_is_not_kept() -> None:
    playout = Playout()
    for _ in range(700):
        playout.push(np.zeros(1000, np.int16), 1000, 0.0)
    assert playout.waiting_s == MAX_QUEUED_S
