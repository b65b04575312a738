"""Utterances are found among frames of which one knows only whether they hold speech."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from local_stack.engines.listen.segmenter import (
    LIMIT_FRAMES,
    Ended,
    Event,
    LongSilence,
    Paused,
    Resumed,
    Segmenter,
    SpeechAudio,
    SpeechStarted,
)

PAUSE_S = 0.24


def events_of(frames: str, segmenter: Segmenter | None = None) -> list[tuple[int, Event]]:
    """Feed one frame per letter (`s` is speech); the events and the numbers of their frames, without the audio."""
    segmenter = segmenter or Segmenter(pause_s=PAUSE_S)
    return [(at, event) for at, event in all_events(frames, segmenter) if not isinstance(event, SpeechAudio)]


def all_events(frames: str, segmenter: Segmenter) -> Iterable[tuple[int, Event]]:
    for at, letter in enumerate(frames, 1):
        for event in segmenter.feed(f"{at:04}".encode(), is_speech=letter == "s"):
            yield at, event


def audio_of(events: Iterable[Event]) -> list[int]:
    """Numbers of the frames that belong to utterances."""
    audio = b"".join(event.audio for event in events if isinstance(event, SpeechStarted | SpeechAudio))
    return [int(audio[start : start + 4]) for start in range(0, len(audio), 4)]


@pytest.mark.parametrize(
    ("frames", "at"), [("ssss", 4), ("ss..ss", 6), ("....s.s.s.s", None), ("sss...sss", None)]
)
def test_speech_starts_when_four_of_six_frames_hold_speech(frames: str, at: int | None) -> None:
    assert [number for number, _ in events_of(frames)] == ([] if at is None else [at])


def test_an_utterance_begins_up_to_300_ms_before_its_speech_was_noticed() -> None:
    [(at, started)] = events_of("." * 20 + "ssss")

    assert isinstance(started, SpeechStarted)
    assert at == 24
    assert started.at_s == pytest.approx(9 * 0.02)
    assert audio_of([started]) == list(range(10, 25))


def test_a_pause_is_told_after_120_ms_and_an_end_after_the_pause_that_was_asked_for() -> None:
    events = events_of("ssss" + "." * 20)

    assert [(at, type(event)) for at, event in events] == [(4, SpeechStarted), (10, Paused), (16, Ended)]
    assert events[-1][1] == Ended("pause", speech_end_s=pytest.approx(0.08))


def test_speech_that_goes_on_after_a_pause_is_told_and_the_next_pause_counts_anew() -> None:
    events = events_of("ssss" + "." * 8 + "sss" + "." * 12)

    kinds = [(at, type(event)) for at, event in events]
    assert kinds == [(4, SpeechStarted), (10, Paused), (15, Resumed), (21, Paused), (27, Ended)]


def test_a_click_in_a_pause_does_not_put_off_the_end() -> None:
    events = events_of("ssss" + "......" + "s" + ".....")

    assert [(at, type(event)) for at, event in events][-1] == (16, Ended)


def test_the_pause_may_be_changed_while_someone_speaks() -> None:
    segmenter = Segmenter(pause_s=1.0)
    events_of("ssss" + "." * 20, segmenter)
    segmenter.pause_s = PAUSE_S

    assert [type(event) for _, event in events_of(".", segmenter)] == [Ended]


def test_a_pause_of_no_whole_number_of_frames_ends_at_the_nearest_frame() -> None:
    assert [at for at, _ in events_of("ssss" + "." * 20, Segmenter(pause_s=0.25))][-1] in {16, 17}


def test_an_utterance_can_be_ended_at_any_time_and_only_once() -> None:
    segmenter = Segmenter(pause_s=PAUSE_S)
    events_of("ssssss", segmenter)

    assert segmenter.finish() == [Ended("finished", speech_end_s=pytest.approx(0.12))]
    assert segmenter.finish() == []
    assert not segmenter.speaking


def test_an_utterance_is_cut_after_20_s_and_goes_on_as_the_next_without_a_gap() -> None:
    events = [event for _, event in all_events("s" * (LIMIT_FRAMES + 10), Segmenter(pause_s=PAUSE_S))]

    assert [event.reason for event in events if isinstance(event, Ended)] == ["limit"]
    assert audio_of(events) == list(range(1, LIMIT_FRAMES + 11))


def test_no_frame_is_heard_in_two_utterances_save_the_end_of_the_pause_between_them() -> None:
    events = [event for _, event in all_events("ssss" + "." * 12 + "ssss", Segmenter(pause_s=PAUSE_S))]
    audio = audio_of(events)

    assert audio == [*range(1, 17), *range(11, 21)]


def test_a_long_silence_is_told_once_after_each_utterance() -> None:
    segmenter = Segmenter(pause_s=PAUSE_S, long_silence_s=1.0)
    events = events_of("." * 100 + "ssss" + "." * 200 + "ssss" + "." * 60, segmenter)

    silences = [at for at, event in events if isinstance(event, LongSilence)]
    assert silences == [104 + 50, 308 + 50]


def test_the_position_counts_every_frame_and_silence_counts_since_the_last_speech() -> None:
    segmenter = Segmenter(pause_s=PAUSE_S)
    events_of("......ssss...", segmenter)

    assert segmenter.position_s == pytest.approx(0.26)
    assert segmenter.silence_s == pytest.approx(0.06)
    assert segmenter.speaking
