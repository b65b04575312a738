"""Estimated character times cover exactly the audio they belong to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local_stack.engines.tts.alignment import share_out


@given(st.text(min_size=1, max_size=60), st.floats(0, 600), st.floats(0, 60))
def test_times_leave_no_gap_and_end_with_the_audio(text: str, start_s: float, duration_s: float) -> None:
    times = share_out(text, start_s=start_s, duration_s=duration_s)
    assert "".join(times.characters) == text
    ends = [start + length for start, length in zip(times.starts_ms, times.durations_ms, strict=True)]
    assert times.starts_ms[0] == round(start_s * 1000)
    assert times.starts_ms[1:] == ends[:-1]
    assert ends[-1] == round((start_s + duration_s) * 1000)
    assert min(times.durations_ms) >= 0


def test_a_digit_takes_longer_than_a_letter_and_a_comma_longer_than_a_space() -> None:
    times = share_out("a1, b", start_s=0.0, duration_s=10.0)
    letter, digit, comma, space, _ = times.durations_ms
    assert digit > letter > space
    assert comma > space


def test_empty_text_has_no_times() -> None:
    assert share_out("", start_s=1.0, duration_s=0.0).starts_ms == []
