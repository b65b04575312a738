"""When the agent was cut off, and how long that took; what only looks like a barge-in."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.edge_agents.audio.paper_call import TTS_RATE, Call, ms
from tests.unit.edge_agents.audio.sounds import silence, tone, voice


def test_audio_that_is_cleared_before_it_was_sent_was_never_heard() -> None:
    call = Call()
    call.caller(voice(0.5))
    call.quiet(0.3)
    call.agent(np.concatenate([silence(0.5, TTS_RATE), tone(1.0, TTS_RATE)]))
    call.quiet(0.2)
    call.probe.cleared(call.now_s)
    call.probe.segment_finished(call.now_s)
    call.quiet(2.0)

    reading = call.probe.take_reading(call.now_s)

    assert reading.first_audible_sent_s is None
    assert reading.speak_to_hear_ms is None
    assert reading.sent_s == pytest.approx(0.2)
    assert reading.cut


def test_a_barge_in_is_measured_to_the_last_sample_sent() -> None:
    call = Call()
    call.caller(voice(0.5))
    call.quiet(0.5)
    call.agent(tone(5.0, TTS_RATE))
    call.quiet(1.0)
    call.caller(voice(0.6))
    call.probe.cleared(call.now_s)
    call.probe.segment_finished(call.now_s)
    call.caller(voice(0.4))
    call.quiet(0.5)

    reading = call.probe.take_reading(call.now_s)

    assert reading.cut
    assert reading.barge_in_stop_ms == ms(600)
    assert reading.speak_to_hear_ms == ms(500)
    assert reading.sent_s == pytest.approx(1.6)


def test_the_reply_after_a_barge_in_is_timed_from_the_end_of_the_interruption() -> None:
    call = Call()
    call.caller(voice(0.5))
    call.quiet(0.5)
    call.agent(tone(5.0, TTS_RATE))
    call.quiet(1.0)
    call.caller(voice(0.6))
    call.probe.cleared(call.now_s)
    call.probe.segment_finished(call.now_s)
    call.probe.take_reading(call.now_s)
    call.caller(voice(0.4))
    call.quiet(0.9)
    call.agent(tone(1.0, TTS_RATE))
    call.quiet(2.0)

    reading = call.probe.take_reading(call.now_s)

    assert reading.speak_to_hear_ms == ms(900)
    assert reading.barge_in_stop_ms is None


def test_a_barge_in_that_pauses_first_stops_at_the_pause() -> None:
    call = Call()
    call.caller(voice(0.5))
    call.quiet(0.5)
    call.agent(tone(5.0, TTS_RATE))
    call.quiet(1.0)
    call.caller(voice(0.3))
    call.probe.paused(call.now_s)
    call.caller(voice(0.7))
    call.probe.cleared(call.now_s)
    call.probe.segment_finished(call.now_s)
    call.quiet(0.1)

    assert call.probe.take_reading(call.now_s).barge_in_stop_ms == ms(300)


def test_a_false_interruption_resumes_and_is_no_barge_in() -> None:
    call = Call()
    call.caller(voice(0.5))
    call.quiet(0.5)
    call.agent(tone(2.0, TTS_RATE))
    call.quiet(0.5)
    call.caller(voice(0.3))
    call.probe.paused(call.now_s)
    call.quiet(1.0)
    call.probe.resumed(call.now_s)
    call.quiet(1.3)
    call.probe.segment_finished(call.now_s)

    reading = call.probe.take_reading(call.now_s)

    assert not reading.cut
    assert reading.barge_in_stop_ms is None
    assert reading.sent_s == pytest.approx(2.0)


def test_an_earlier_murmur_is_not_the_beginning_of_a_barge_in() -> None:
    call = Call()
    call.caller(voice(0.5))
    call.quiet(0.5)
    call.agent(tone(9.0, TTS_RATE))
    call.quiet(1.0)
    call.caller(voice(0.25))  # "mm-hm"
    call.quiet(4.0)
    call.caller(voice(0.2))
    call.quiet(0.3)
    call.caller(voice(0.2))
    call.probe.cleared(call.now_s)

    assert call.probe.take_reading(call.now_s).barge_in_stop_ms == ms(700)


def test_a_reply_cut_for_another_reason_has_no_barge_in() -> None:
    call = Call()
    call.caller(voice(0.5))
    call.quiet(0.5)
    call.agent(tone(9.0, TTS_RATE))
    call.quiet(2.0)
    call.probe.cleared(call.now_s)

    reading = call.probe.take_reading(call.now_s)

    assert reading.cut
    assert reading.barge_in_stop_ms is None


def test_a_caller_too_quiet_for_us_stopped_the_agent_by_the_word_of_whoever_cut_the_reply() -> None:
    call = Call()
    call.agent(tone(9.0, TTS_RATE))
    call.quiet(2.0)
    spoke_at_s = call.now_s
    call.quiet(0.3)
    call.probe.cleared(call.now_s)

    reading = call.probe.take_reading(call.now_s, interrupted_from_s=spoke_at_s)

    assert reading.barge_in_stop_ms == ms(300)


def test_a_reply_that_was_cut_before_any_of_it_was_sent_stopped_at_once() -> None:
    call = Call()
    call.quiet(1.0)
    reading = call.probe.take_reading(call.now_s, interrupted_from_s=call.now_s - 0.3)
    assert (reading.barge_in_stop_ms, reading.sent_s) == (0.0, 0.0)


def test_what_we_measured_of_a_barge_in_goes_before_anybody_s_word() -> None:
    call = Call()
    call.agent(tone(9.0, TTS_RATE))
    call.quiet(1.0)
    call.caller(voice(0.4))
    call.probe.cleared(call.now_s)

    reading = call.probe.take_reading(call.now_s, interrupted_from_s=call.now_s - 0.1)

    assert reading.barge_in_stop_ms == ms(400)
