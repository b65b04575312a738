"""Speak-to-hear: from the caller's last voiced sample to the first audible one of the reply."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.audio.latency import LatencyProbe
from tests.unit.edge_agents.audio.paper_call import ERROR_MS, TTS_RATE, Call, ms
from tests.unit.edge_agents.audio.sounds import noise, silence, tone, voice
from tests.unit.edge_agents.audio.test_speech_edges import EDGES_S, recording


def test_speak_to_hear_runs_from_the_last_voiced_sample_to_the_first_audible_one() -> None:
    call = Call()
    call.quiet(0.5)
    call.caller(voice(1.0))
    call.quiet(0.7)
    call.agent(tone(2.0, TTS_RATE))
    call.quiet(3.0)

    reading = call.probe.take_reading(call.now_s)

    assert reading.speak_to_hear_ms == ms(700)
    assert reading.last_voiced_heard_s == pytest.approx(101.5, abs=0.005)
    assert reading.first_audible_sent_s == pytest.approx(102.2, abs=0.005)
    assert reading.sent_s == pytest.approx(2.0)
    assert not reading.cut
    assert not reading.overlapped
    assert reading.barge_in_stop_ms is None


def test_silence_at_the_head_of_synthesized_audio_is_time_the_caller_waits() -> None:
    call = Call()
    call.caller(voice(1.0))
    call.quiet(0.5)
    call.agent(np.concatenate([silence(0.3, TTS_RATE), tone(1.0, TTS_RATE)]))
    call.quiet(2.0)

    assert call.probe.take_reading(call.now_s).speak_to_hear_ms == ms(800)


def test_a_greeting_answers_nobody() -> None:
    call = Call()
    call.quiet(0.4)
    call.agent(tone(1.0, TTS_RATE))
    call.quiet(1.5)

    reading = call.probe.take_reading(call.now_s)

    assert reading.speak_to_hear_ms is None
    assert reading.last_voiced_heard_s is None
    assert reading.first_audible_sent_s == pytest.approx(100.4, abs=0.005)


def test_a_click_of_the_caller_is_not_the_end_of_speech() -> None:
    call = Call()
    call.caller(voice(1.0))
    call.quiet(0.4)
    call.caller(tone(0.010))
    call.quiet(0.39)
    call.agent(tone(1.0, TTS_RATE))
    call.quiet(2.0)

    assert call.probe.take_reading(call.now_s).speak_to_hear_ms == ms(800)


def test_line_noise_does_not_keep_the_caller_speaking() -> None:
    call = Call()
    call.caller(voice(1.0))
    call.caller(noise(0.6, dbfs=-52))
    call.agent(tone(1.0, TTS_RATE))
    call.caller(noise(2.0, dbfs=-52))

    assert call.probe.take_reading(call.now_s).speak_to_hear_ms == ms(600)


def test_audio_handed_over_ahead_of_time_is_sent_when_its_turn_comes() -> None:
    """Two segments are handed over at once; the second one's sound is dated by the playout of the first."""
    call = Call()
    call.caller(voice(0.5))
    call.quiet(0.2)
    call.agent(silence(1.0, TTS_RATE))
    call.agent(tone(0.5, TTS_RATE))
    call.quiet(3.0)

    assert call.probe.take_reading(call.now_s).speak_to_hear_ms == ms(1200)


def test_a_hole_in_synthesis_delays_what_follows() -> None:
    call = Call()
    call.caller(voice(0.5))
    call.quiet(0.2)
    call.agent(silence(0.1, TTS_RATE))
    call.quiet(1.0)  # the synthesizer stalls
    call.agent(tone(0.5, TTS_RATE))
    call.quiet(1.0)

    assert call.probe.take_reading(call.now_s).speak_to_hear_ms == ms(1200)


def test_a_reply_that_comes_before_the_caller_has_finished_reads_negative() -> None:
    call = Call()
    call.caller(voice(0.5))
    call.agent(tone(0.4, TTS_RATE))
    call.caller(voice(0.8))
    call.quiet(1.0)

    reading = call.probe.take_reading(call.now_s)

    assert reading.overlapped
    assert reading.speak_to_hear_ms == ms(-800)


def test_a_second_reply_to_the_same_words_has_no_latency() -> None:
    call = Call()
    call.caller(voice(0.5))
    call.quiet(0.5)
    call.agent(tone(0.5, TTS_RATE))  # "one moment"
    call.quiet(1.0)
    first = call.probe.take_reading(call.now_s)
    call.quiet(3.0)
    call.agent(tone(0.5, TTS_RATE))
    call.quiet(1.0)
    second = call.probe.take_reading(call.now_s)

    assert first.speak_to_hear_ms == ms(500)
    assert second.first_audible_sent_s is not None
    assert second.speak_to_hear_ms is None


def test_a_reading_without_any_audio_is_empty() -> None:
    reading = LatencyProbe().take_reading(1.0)
    assert reading.speak_to_hear_ms is None
    assert reading.first_audible_sent_s is None
    assert reading.sent_s == 0.0
    assert not reading.cut


def test_the_end_of_a_segment_frees_the_output_for_the_next() -> None:
    """The real output may be done before the model of it; the next segment must not queue behind the model."""
    call = Call()
    call.agent(tone(1.0, TTS_RATE))
    call.quiet(0.9)
    call.probe.segment_finished(call.now_s)
    call.caller(voice(0.5))
    call.quiet(0.3)
    call.probe.take_reading(call.now_s)
    call.agent(tone(0.5, TTS_RATE))
    call.quiet(1.0)

    assert call.probe.take_reading(call.now_s).speak_to_hear_ms == ms(300)


def test_rates_may_change_between_replies() -> None:
    call = Call()
    for rate_hz in (24000, 16000, 22050):
        call.caller(voice(0.5))
        call.quiet(0.6)
        call.agent(tone(0.5, rate_hz), rate_hz)
        call.quiet(1.0)
        assert call.probe.take_reading(call.now_s).speak_to_hear_ms == ms(600)


def test_a_stall_of_the_network_counts_for_the_blocks_that_it_held_back() -> None:
    """The last words arrive 150 ms late, in one burst: that is when they were heard."""
    call = Call()
    call.caller(voice(1.0))
    call.caller(voice(0.2), late_s=0.150)
    call.now_s += 0.150
    call.quiet(0.5)
    call.agent(tone(0.5, TTS_RATE))
    call.quiet(1.0)

    assert call.probe.take_reading(call.now_s).speak_to_hear_ms == ms(500)


def test_a_caller_whose_client_sends_nothing_while_silent_is_timed_too() -> None:
    call = Call()
    call.quiet(0.5)
    call.caller(voice(1.0))
    call.quiet(0.1)
    call.now_s += 0.6  # no audio at all
    call.agent(tone(0.5, TTS_RATE))
    call.now_s += 2.0
    call.quiet(0.1)

    reading = call.probe.take_reading(call.now_s)

    assert reading.speak_to_hear_ms == ms(700)
    assert reading.sent_s == pytest.approx(0.5)


@given(
    waits_s=st.lists(st.floats(0.25, 2.0), min_size=1, max_size=4),
    block_s=st.sampled_from([0.010, 0.020, 0.050, 0.1]),
)
def test_readings_do_not_depend_on_the_sizes_of_blocks(waits_s: list[float], block_s: float) -> None:
    call = Call(block_s=block_s)
    for wait_s in waits_s:
        call.caller(voice(0.4))
        call.quiet(wait_s)
        call.agent(tone(0.3, TTS_RATE))
        call.quiet(0.6)
        reading = call.probe.take_reading(call.now_s)
        assert reading.speak_to_hear_ms == pytest.approx(wait_s * 1000, abs=ERROR_MS)


def test_memory_is_bounded_over_a_long_call() -> None:
    call = Call(block_s=0.1)
    for _ in range(700):
        call.caller(voice(0.1))
        call.quiet(0.4)
    probe = call.probe
    assert len(probe._caller.spans) == 256
    assert len(probe._caller._marks) <= 10


@pytest.mark.needs("recordings")
@pytest.mark.parametrize(
    "name", ["weather", "cards_005", "go_forward", "digits", "austen_0890", "turn4_230pm"]
)
def test_recorded_callers_are_timed_from_where_a_listener_says_they_end(name: str) -> None:
    clip = recording(name)
    call = Call()
    call.quiet(0.313)
    began_s = call.now_s
    call.caller(clip)
    call.quiet(0.8)
    call.agent(tone(1.0, TTS_RATE))
    sent_s = call.now_s
    call.quiet(2.0)

    reading = call.probe.take_reading(call.now_s)

    expected_ms = (sent_s - began_s - EDGES_S[name][1]) * 1000
    assert reading.speak_to_hear_ms == pytest.approx(expected_ms, abs=20)
