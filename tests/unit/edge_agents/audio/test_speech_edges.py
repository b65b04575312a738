from __future__ import annotations

import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.audio.speech_edges import (
    AUDIBLE,
    EdgeTracker,
    Pcm,
    first_audible_sample,
    last_audible_sample,
)
from tests import parts
from tests.unit.edge_agents.audio.sounds import noise, pasted, ramped, silence, tone, voice

ERROR_S = 0.020
"""The bound that the definition promises for fades of up to 50 ms."""

EDGES_S = {
    "austen_0870": (0.25, 6.75),
    "austen_0890": (0.29, 4.98),
    "brooklyn_bridge": (0.12, 1.69),
    "cards_005": (0.21, 3.23),
    "digits": (0.91, 7.72),
    "go_forward": (0.51, 2.24),
    "jfk": (0.32, 11.0),  # applause to the end
    "phone_order_8k": (2.41, 42.69),
    "turn1_book_a_room": (0.0, 0.84),
    "turn2_mountain_view": (0.0, 0.92),
    "turn3_today": (0.04, 0.58),
    "turn4_230pm": (0.02, 1.59),
    "turn5_half_an_hour": (0.01, 1.00),
    "turn6_two_people": (0.02, 0.84),
    "two_speakers": (0.11, 28.54),
    "weather": (0.12, 1.17),
}
"""Where a person places the speech in each recording, from its waveform."""


def recording(name: str) -> Pcm:
    with wave.open(str(parts.data_folder() / "speech" / f"{name}.wav")) as wav:
        return np.frombuffer(wav.readframes(wav.getnframes()), np.int16)


def edges(pcm: Pcm, rate_hz: int = 16000) -> tuple[int, int]:
    first, last = first_audible_sample(pcm, rate_hz), last_audible_sample(pcm, rate_hz)
    assert first is not None
    assert last is not None
    return first, last


@given(
    rate_hz=st.sampled_from([8000, 11025, 16000, 24000, 44100, 48000]),
    kind=st.sampled_from(["tone", "noise", "voice"]),
    dbfs=st.integers(-30, -10),
    ramp_ms=st.integers(0, 50),
    length_ms=st.integers(150, 900),
    offset=st.integers(0, 24000),
    background_dbfs=st.sampled_from([None, -75, -55, -50]),
)
def test_edges_of_a_sound_at_a_known_position_are_found_within_20_ms(
    *,
    rate_hz: int,
    kind: str,
    dbfs: int,
    ramp_ms: int,
    length_ms: int,
    offset: int,
    background_dbfs: int | None,
) -> None:
    make = {"tone": tone, "noise": noise, "voice": voice}[kind]
    sound = ramped(make(length_ms / 1000, rate_hz, dbfs=dbfs), ramp_ms / 1000, rate_hz)
    length_s = (offset + len(sound)) / rate_hz + 0.5
    background = (
        silence(length_s, rate_hz)
        if background_dbfs is None
        else noise(length_s, rate_hz, dbfs=background_dbfs)
    )

    first, last = edges(pasted(sound, background, offset), rate_hz)

    assert abs(first - offset) <= ERROR_S * rate_hz
    assert abs(last - (offset + len(sound) - 1)) <= ERROR_S * rate_hz


@pytest.mark.needs("recordings")
@pytest.mark.parametrize("name", EDGES_S)
def test_recordings_begin_and_end_where_a_listener_says(name: str) -> None:
    first, last = edges(recording(name))
    assert first / 16000 == pytest.approx(EDGES_S[name][0], abs=ERROR_S)
    assert last / 16000 == pytest.approx(EDGES_S[name][1], abs=ERROR_S)


@pytest.mark.needs("recordings")
@pytest.mark.parametrize("name", EDGES_S)
@pytest.mark.parametrize("offset", [16000, 23456, 31237])
@pytest.mark.parametrize("background_dbfs", [None, -60])
def test_a_recording_pasted_elsewhere_keeps_its_edges(
    name: str, offset: int, background_dbfs: int | None
) -> None:
    clip = recording(name)
    length_s = (offset + len(clip)) / 16000 + 0.5
    background = silence(length_s) if background_dbfs is None else noise(length_s, dbfs=background_dbfs)

    alone, there = edges(clip), edges(pasted(clip, background, offset))

    assert there[0] - offset == pytest.approx(alone[0], abs=ERROR_S * 16000)
    assert there[1] - offset == pytest.approx(alone[1], abs=ERROR_S * 16000)


@pytest.mark.parametrize("pcm", [silence(1), noise(3, dbfs=-50), np.full(16000, 3000, np.int16)])
def test_silence_line_noise_and_a_constant_offset_are_not_audible(pcm: Pcm) -> None:
    assert first_audible_sample(pcm, 16000) is None
    assert last_audible_sample(pcm, 16000) is None


def test_an_empty_clip_has_no_edges() -> None:
    assert first_audible_sample(silence(0), 16000) is None
    assert last_audible_sample(silence(0), 16000) is None


def test_a_click_of_10_ms_is_not_speech_and_a_sound_of_40_ms_is() -> None:
    click = pasted(tone(0.010, dbfs=-10), silence(1), 8000)
    sound = pasted(tone(0.040, dbfs=-10), silence(1), 8000)
    assert first_audible_sample(click, 16000) is None
    assert first_audible_sample(sound, 16000) is not None


@given(
    sounds=st.lists(
        st.tuples(st.sampled_from(["quiet", "loud", "edge"]), st.integers(1, 400)), min_size=1, max_size=8
    ),
    cuts=st.lists(st.integers(1, 5000), min_size=1, max_size=20),
)
def test_block_sizes_do_not_change_the_answer(sounds: list[tuple[str, int]], cuts: list[int]) -> None:
    levels = {"quiet": -70.0, "loud": -20.0, "edge": AUDIBLE.level_dbfs}
    pcm = np.concatenate(
        [noise(ms / 1000, dbfs=levels[kind], seed=index) for index, (kind, ms) in enumerate(sounds)]
    )
    whole, pieces = EdgeTracker(16000), EdgeTracker(16000)
    whole.feed(pcm)
    position = 0
    while position < len(pcm):
        for cut in cuts:
            pieces.feed(pcm[position : position + cut])
            position += cut
            pieces.first_voiced_since(0)  # asking in between must not matter either

    assert pieces.stretches == whole.stretches
    assert pieces.last_voiced_end == whole.last_voiced_end
    assert pieces.position == whole.position == len(pcm)
    if whole.stretches:
        assert first_audible_sample(pcm, 16000) == whole.stretches[0].start


@given(hole=st.integers(0, 50_000), before=st.integers(1, 3000))
def test_a_hole_skipped_equals_silence_fed(hole: int, before: int) -> None:
    skipped, fed = EdgeTracker(16000), EdgeTracker(16000)
    for tracker in (skipped, fed):
        tracker.feed(tone(before / 16000))
    skipped.skip(hole)
    fed.feed(np.zeros(hole, np.int16))
    for tracker in (skipped, fed):
        tracker.feed(tone(0.3))

    assert skipped.stretches == fed.stretches
    assert skipped.position == fed.position


def test_sounds_less_than_the_hangover_apart_are_one_stretch() -> None:
    tracker = EdgeTracker(16000)
    for pause_s in (0.15, 0.15, 0.5):
        tracker.feed(tone(0.2))
        tracker.feed(silence(pause_s))
    tracker.feed(tone(0.2))
    tracker.feed(silence(0.1))

    assert [round((end - start) / 16000, 2) for start, end in tracker.stretches] == [0.9, 0.2]


def test_first_voiced_since_a_position_inside_a_stretch_is_that_position() -> None:
    tracker = EdgeTracker(16000)
    tracker.feed(np.concatenate([silence(1), tone(1), silence(1), tone(1)]))

    assert tracker.first_voiced_since(0) == pytest.approx(16000, abs=50)
    assert tracker.first_voiced_since(24000) == 24000
    assert tracker.first_voiced_since(36000) == pytest.approx(48000, abs=50)
    assert tracker.first_voiced_since(64000) is None


def test_the_tracker_forgets_the_oldest_stretches_and_never_the_newest() -> None:
    tracker = EdgeTracker(16000, keep=3)
    for _ in range(10):
        tracker.feed(np.concatenate([tone(0.1), silence(0.4)]))

    assert len(tracker.stretches) == 3
    assert tracker.last_voiced_end == pytest.approx(round(9 * 0.5 * 16000 + 1600), abs=50)


@pytest.mark.parametrize("samples", [np.zeros(10, np.float32), np.zeros((10, 2), np.int16)])
def test_samples_of_another_shape_or_type_are_refused(samples: Pcm) -> None:
    with pytest.raises(ValueError, match="int16"):
        EdgeTracker(16000).feed(samples)
