from __future__ import annotations

import pytest

from edge_agents.transport.live_clock import WINDOW_S, LiveClock

FRAME_S = 0.02
SAMPLES = 320


def clock() -> LiveClock:
    return LiveClock(16_000, frame_s=FRAME_S)


def test_a_frame_that_comes_in_time_counts_when_it_comes() -> None:
    track = clock()
    assert [track.came(SAMPLES, 5 + n * FRAME_S) for n in range(3)] == pytest.approx([5.0, 5.02, 5.04])


def test_frames_that_wait_for_a_busy_loop_count_when_they_came() -> None:
    track = clock()
    track.came(SAMPLES, 5.0)
    late = [track.came(SAMPLES, 5.1) for _ in range(5)]
    assert late == pytest.approx([5.02, 5.04, 5.06, 5.08, 5.1])


def test_a_stream_that_stood_still_is_believed_once_the_window_has_passed() -> None:
    track = clock()
    times = [n * FRAME_S + (0.3 if n > 100 else 0.0) for n in range(200)]
    came = [track.came(SAMPLES, now_s) for now_s in times]
    assert came[101] == pytest.approx(times[101] - 0.3)
    assert came[101 + round(WINDOW_S / FRAME_S)] == pytest.approx(times[101 + round(WINDOW_S / FRAME_S)])


def test_time_never_goes_back() -> None:
    track = clock()
    first = track.came(SAMPLES, 5.5)  # the first frames came in a burst, all but the last of them late
    came = [first, *(track.came(SAMPLES, 5.501) for _ in range(10))]
    assert came == sorted(came)
    assert came[-1] == pytest.approx(5.501)
