from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from livekit import rtc

from edge_agents.audio.phrases import PhraseStore, fallback_apology, fallback_farewell, frames
from edge_agents.audio.speech_edges import Pcm, first_audible_sample, last_audible_sample
from edge_agents.audio.taps import mono_samples
from tests.unit.edge_agents.audio.sounds import tone


def joined(pieces: list[rtc.AudioFrame]) -> Pcm:
    return np.concatenate([mono_samples(piece) for piece in pieces])


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_frames_last_20_ms_and_the_last_one_holds_the_rest() -> None:
    pcm = tone(0.05, 24000)
    pieces = frames(pcm, 24000)
    assert [piece.samples_per_channel for piece in pieces] == [480, 480, 240]
    assert {piece.sample_rate for piece in pieces} == {24000}
    assert np.array_equal(joined(pieces), pcm)


def test_a_kept_phrase_comes_back_sample_for_sample(tmp_path: Path) -> None:
    pcm = tone(0.33, 24000)
    assert PhraseStore(tmp_path).put("Hello.", "voice-1", frames(pcm, 24000))

    kept = PhraseStore(tmp_path).get("Hello.", "voice-1")

    assert kept is not None
    assert np.array_equal(joined(kept), pcm)
    assert kept[0].sample_rate == 24000


@pytest.mark.parametrize(
    ("text", "voice_key"), [("Hello!", "voice-1"), ("Hello.", "voice-2"), ("lo.", "voice-1Hel")]
)
def test_other_words_or_another_voice_are_another_phrase(tmp_path: Path, text: str, voice_key: str) -> None:
    store = PhraseStore(tmp_path)
    store.put("Hello.", "voice-1", frames(tone(0.1), 16000))
    assert store.get(text, voice_key) is None


def test_no_words_stand_on_the_disk(tmp_path: Path) -> None:
    PhraseStore(tmp_path).put("Your account is 4711.", "voice-1", frames(tone(0.1), 16000))
    (path,) = files(tmp_path)
    assert "4711" not in path.name
    assert b"4711" not in path.read_bytes()


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "stereo"])
def test_a_file_that_can_t_be_read_is_ignored_and_removed(tmp_path: Path, damage: str) -> None:
    store = PhraseStore(tmp_path)
    store.put("Hello.", "voice-1", frames(tone(0.1), 16000))
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    stereo = whole[:22] + b"\x02" + whole[23:]
    path.write_bytes({"empty": b"", "cut": whole[:1000], "noise": b"x" * 500, "stereo": stereo}[damage])

    assert store.get("Hello.", "voice-1") is None
    assert files(tmp_path) == []


def test_the_phrases_used_longest_ago_make_room(tmp_path: Path) -> None:
    store = PhraseStore(tmp_path, max_bytes=10_500)
    for age, text in enumerate(("one", "two", "three")):
        store.put(text, "v", frames(tone(0.1), 16000))  # 3244 bytes each
        os.utime(store._path(text, "v"), (age, age))
    assert store.get("one", "v") is not None  # used now

    store.put("four", "v", frames(tone(0.1), 16000))

    assert store.get("two", "v") is None
    assert store.get("one", "v") is not None
    assert store.get("four", "v") is not None
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 10_500


def test_what_does_not_fit_or_has_no_audio_is_not_kept(tmp_path: Path) -> None:
    store = PhraseStore(tmp_path, max_bytes=1000)
    assert not store.put("long", "v", frames(tone(1.0), 16000))
    assert not store.put("nothing", "v", [])
    mixed = frames(tone(0.01), 16000) + frames(tone(0.01), 24000)
    assert not store.put("mixed", "v", mixed)
    assert files(tmp_path) == []


def test_leftovers_of_a_writer_that_died_count_and_go(tmp_path: Path) -> None:
    leftover = tmp_path / "abc.part"
    leftover.write_bytes(bytes(5000))
    os.utime(leftover, (1, 1))

    PhraseStore(tmp_path, max_bytes=6000).put("Hello.", "v", frames(tone(0.1), 16000))

    assert [path.suffix for path in files(tmp_path)] == [".wav"]


@pytest.mark.parametrize("packaged", [fallback_apology, fallback_farewell])
def test_the_sentences_of_last_resort_are_speech_in_the_package(
    packaged: Callable[[], list[rtc.AudioFrame]],
) -> None:
    pieces = packaged()
    pcm = joined(pieces)
    assert pieces[0].sample_rate == 16000
    assert 3 < len(pcm) / 16000 < 8
    first, last = first_audible_sample(pcm, 16000), last_audible_sample(pcm, 16000)
    assert first is not None
    assert last is not None
    assert first / 16000 < 0.05
    assert last / 16000 > 3
