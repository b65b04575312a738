from __future__ import annotations

import asyncio
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_agents.audio.speech_edges import first_audible_sample, last_audible_sample
from local_stack.callers.caller import CallerReport, SyntheticCaller
from local_stack.callers.media import CallerMedia
from local_stack.callers.script import Manners, Utterance
from tests.fakes.virtual_time import loop_time, run_virtual
from tests.unit.edge_agents.audio.sounds import silence, voice
from tests.unit.local_stack.callers.scripted_agent import Behaviour, ScriptedAgentMedia

TICK_MS = 25.0
"""The scripted agent acts every 20 ms; edges are placed within a few more."""


def speak(
    utterances: Sequence[Utterance], behaviour: Behaviour, manners: Manners | None = None
) -> tuple[CallerReport, SyntheticCaller, ScriptedAgentMedia]:
    media = ScriptedAgentMedia(behaviour)
    port: CallerMedia = media
    caller = SyntheticCaller(port, utterances, manners=manners, clock=loop_time)
    report = run_virtual(caller.call())
    assert media.closed
    return report, caller, media


def words(seconds: float = 1.0, *, barge_in_at_s: float | None = None) -> Utterance:
    return Utterance(np.concatenate([silence(0.1), voice(seconds), silence(0.1)]), barge_in_at_s)


def test_a_call_of_three_turns_is_measured_at_the_caller_s_end() -> None:
    report, _, media = speak([words(), words(0.5), words(0.7)], Behaviour())

    assert [turn.speak_to_hear_ms for turn in report.turns] == [pytest.approx(600, abs=TICK_MS)] * 3
    assert report.greeting_ms == pytest.approx(500, abs=TICK_MS)
    assert report.unanswered == report.early == report.late_frames == 0
    assert all(turn.barge_in_stop_ms is None for turn in report.turns)
    assert not report.over.ended_by_agent
    assert report.duration_s == pytest.approx(len(media.sent) * 0.02, abs=0.001)


def test_the_caller_waits_until_the_agent_was_silent_for_a_while() -> None:
    report, _, _ = speak([words(), words()], Behaviour(replies_s=[2.0]), Manners(quiet_s=0.8))
    first, second = report.turns
    assert first.began_at_s == pytest.approx(0.5 + 1.0 + 0.8 + 0.1, abs=0.06)
    assert first.answered_at_s is not None
    assert second.began_at_s == pytest.approx(first.answered_at_s + 2.0 + 0.8 + 0.1, abs=0.06)


def test_the_microphone_never_stops() -> None:
    _, _, media = speak([words()], Behaviour())
    assert {len(frame) for frame in media.sent} == {320}
    first, last = first_audible_sample(media.pcm, 16000), last_audible_sample(media.pcm, 16000)
    assert first is not None
    assert last is not None
    assert (last - first) / 16000 == pytest.approx(1.0, abs=0.01)


def test_a_barge_in_starts_on_time_and_its_stop_is_measured() -> None:
    behaviour = Behaviour(replies_s=[5.0, 1.0], stops_after_s=0.5)
    report, _, _ = speak([words(), words(1.0, barge_in_at_s=1.0)], behaviour)
    first, second = report.turns

    assert first.answered_at_s is not None
    assert second.began_at_s == pytest.approx(first.answered_at_s + 1.0 + 0.1, abs=0.06)
    assert second.barge_in_stop_ms == pytest.approx(500, abs=TICK_MS)
    assert second.speak_to_hear_ms == pytest.approx(600, abs=TICK_MS)
    assert not second.early
    assert report.unanswered == 0


def test_a_barge_in_over_the_greeting_counts_too() -> None:
    behaviour = Behaviour(greeting_s=4.0, stops_after_s=0.3)
    report, _, _ = speak([words(1.0, barge_in_at_s=0.5)], behaviour)
    (turn,) = report.turns
    assert turn.barge_in_stop_ms == pytest.approx(300, abs=TICK_MS)
    assert turn.speak_to_hear_ms == pytest.approx(600, abs=TICK_MS)


def test_a_carrier_without_clear_notices_gives_the_same_figures() -> None:
    behaviour = Behaviour(replies_s=[5.0, 1.0], stops_after_s=0.5, sends_clear=False)
    report, _, _ = speak([words(), words(1.0, barge_in_at_s=1.0)], behaviour)
    assert report.turns[1].barge_in_stop_ms == pytest.approx(500, abs=TICK_MS)
    assert report.turns[1].speak_to_hear_ms == pytest.approx(600, abs=TICK_MS)


def test_a_barge_in_after_the_agent_has_finished_is_an_ordinary_turn() -> None:
    report, _, _ = speak([words(), words(barge_in_at_s=3.0)], Behaviour(replies_s=[1.0]))
    assert report.turns[1].barge_in_stop_ms is None
    assert report.turns[1].speak_to_hear_ms == pytest.approx(600, abs=TICK_MS)


def test_an_agent_that_never_answers_is_noted_and_the_call_goes_on() -> None:
    report, _, _ = speak([words(), words()], Behaviour(thinks_s=None), Manners(answer_timeout_s=3.0))
    assert report.unanswered == 2
    assert [turn.speak_to_hear_ms for turn in report.turns] == [None, None]
    assert report.turns[1].began_at_s == pytest.approx(report.turns[0].ended_at_s + 3.0 + 0.1, abs=0.1)


def test_an_answer_before_the_caller_has_finished_is_early_and_negative() -> None:
    behaviour = Behaviour(jumps_in_after_s=1.0, thinks_s=None, replies_s=[0.4])
    report, _, _ = speak([words(2.0)], behaviour)
    (turn,) = report.turns
    assert turn.early
    assert report.early == 1
    assert turn.speak_to_hear_ms == pytest.approx(-1000, abs=TICK_MS)


def test_an_agent_that_does_not_greet_is_spoken_to_after_a_while() -> None:
    report, _, _ = speak([words()], Behaviour(greets_after_s=None), Manners(greeting_timeout_s=2.0))
    assert report.greeting_ms is None
    assert report.turns[0].began_at_s == pytest.approx(2.1, abs=0.05)
    assert report.turns[0].speak_to_hear_ms == pytest.approx(600, abs=TICK_MS)


def test_an_agent_that_hangs_up_ends_the_call() -> None:
    behaviour = Behaviour(ends_after_replies=2)
    report, _, _ = speak([words()] * 5, behaviour)
    assert report.over.ended_by_agent
    assert report.over.reason == "agent_ended"
    assert len(report.turns) == 2


def test_a_caller_who_waits_for_the_end_leaves_it_to_the_agent() -> None:
    report, _, _ = speak([words()], Behaviour(ends_after_replies=1), Manners(waits_for_end=True))
    assert report.over.ended_by_agent
    report, _, _ = speak([words()], Behaviour(), Manners(waits_for_end=True, end_timeout_s=2.0))
    assert not report.over.ended_by_agent


def test_a_call_without_utterances_listens_to_the_greeting_and_hangs_up() -> None:
    report, _, _ = speak([], Behaviour(greeting_s=2.0))
    assert report.turns == ()
    assert report.duration_s == pytest.approx(0.5 + 2.0 + 0.8, abs=0.06)


def test_an_utterance_without_sound_is_unanswered_and_ends() -> None:
    report, _, _ = speak([Utterance(silence(0.5))], Behaviour(), Manners(answer_timeout_s=1.0))
    assert report.unanswered == 1


def test_cancelling_hangs_up() -> None:
    media = ScriptedAgentMedia(Behaviour())

    async def main() -> None:
        task = asyncio.create_task(SyntheticCaller(media, [words()], clock=loop_time).call())
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())
    assert media.closed


def test_the_recording_holds_both_sides_on_one_timeline(tmp_path: Path) -> None:
    report, caller, _ = speak(
        [words(), words(1.0, barge_in_at_s=1.0)], Behaviour(replies_s=[5.0, 1.0], stops_after_s=0.5)
    )
    path = tmp_path / "call.wav"
    caller.timeline.write_recording(path)

    with wave.open(str(path)) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getsampwidth()) == (2, 16000, 2)
        both = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
    left, right = both[:, 0].astype(np.int16), both[:, 1].astype(np.int16)

    assert len(left) / 16000 == pytest.approx(report.duration_s, abs=0.05)
    assert report.greeting_ms is not None
    greeting = first_audible_sample(right, 16000)
    assert greeting is not None
    assert greeting / 16 == pytest.approx(report.greeting_ms, abs=1)
    for turn in report.turns:
        began, ended = round(turn.began_at_s * 16000), round(turn.ended_at_s * 16000)
        assert turn.answered_at_s is not None
        answered = round(turn.answered_at_s * 16000)
        around = slice(began - 1600, ended + 1600)
        first = first_audible_sample(left[around], 16000)
        last = last_audible_sample(left[around], 16000)
        assert first == pytest.approx(1600, abs=50)
        assert last == pytest.approx(1600 + ended - began, abs=50)
        assert first_audible_sample(right[answered - 800 : answered + 4000], 16000) == pytest.approx(
            800, abs=50
        )


def test_a_caller_that_does_not_record_measures_all_the_same() -> None:
    media = ScriptedAgentMedia(Behaviour())
    caller = SyntheticCaller(media, [words()], record=False, clock=loop_time)
    report = run_virtual(caller.call())
    assert report.turns[0].speak_to_hear_ms == pytest.approx(600, abs=TICK_MS)
    assert caller.timeline._left == []
    assert caller.timeline._right == []
