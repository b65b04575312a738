"""What a client gets of a library's PCM: rate, lead, gap and piece sizes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from local_stack.engines.tts.shaping import Shaper, pcm_bytes, pcm_duration_s, pcm_silence

SOURCE_HZ = 16_000


def tone(duration_s: float, *, rate_hz: int = SOURCE_HZ, frequency_hz: float = 440.0) -> NDArray[np.int16]:
    times = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (8000 * np.cos(2 * np.pi * frequency_hz * times)).astype(np.int16)


def shaped(samples: NDArray[np.int16], *, target_hz: int = SOURCE_HZ, gap_ms: int = 0) -> list[bytes]:
    shaper = Shaper(source_hz=SOURCE_HZ, target_hz=target_hz, gap_ms=gap_ms)
    pieces = [shaper.feed(chunk.tobytes()) for chunk in np.array_split(samples, max(1, samples.size // 800))]
    return [piece for piece in [*pieces, shaper.finish()] if piece]


def first_audible_s(pcm: bytes, rate_hz: int) -> float:
    samples = np.abs(np.frombuffer(pcm, np.int16).astype(int))
    return float(np.flatnonzero(samples > 1000)[0] / rate_hz)


def test_silence_ahead_of_speech_is_cut_down_to_20_ms() -> None:
    samples = np.concatenate((np.zeros(SOURCE_HZ // 4, np.int16), tone(0.5)))
    pcm = b"".join(shaped(samples))
    assert pcm_duration_s(len(pcm), SOURCE_HZ) == pytest.approx(0.52)
    assert first_audible_s(pcm, SOURCE_HZ) == pytest.approx(0.02)


def test_speech_that_begins_at_once_loses_nothing() -> None:
    samples = tone(0.5)
    assert b"".join(shaped(samples)) == samples.tobytes()


def test_silence_at_the_end_stays() -> None:
    samples = np.concatenate((tone(0.3), np.zeros(SOURCE_HZ // 5, np.int16)))
    assert b"".join(shaped(samples)) == samples.tobytes()


def test_silence_alone_becomes_nothing_not_even_its_gap() -> None:
    assert shaped(np.zeros(SOURCE_HZ, np.int16), gap_ms=100) == []


def test_a_gap_stands_in_front_of_the_sentence() -> None:
    pcm = b"".join(shaped(tone(0.3), gap_ms=150))
    assert pcm.startswith(pcm_silence(150, SOURCE_HZ))
    assert pcm_duration_s(len(pcm), SOURCE_HZ) == pytest.approx(0.45)


@pytest.mark.parametrize("target_hz", [8000, 22_050, 24_000, 44_100, 48_000])
def test_resampling_keeps_duration_and_pitch(target_hz: int) -> None:
    pcm = b"".join(shaped(tone(1.0), target_hz=target_hz))
    assert pcm_duration_s(len(pcm), target_hz) == pytest.approx(1.0, abs=0.001)
    spectrum = np.abs(np.fft.rfft(np.frombuffer(pcm, np.int16), n=target_hz))
    assert np.argmax(spectrum) == pytest.approx(440, abs=3)


def test_the_first_piece_is_short_and_the_others_are_long() -> None:
    pieces = shaped(tone(1.0), target_hz=24_000)
    durations_s = [pcm_duration_s(len(piece), 24_000) for piece in pieces]
    assert 0.04 <= durations_s[0] <= 0.1
    assert all(0.2 <= duration_s <= 0.25 for duration_s in durations_s[1:-1])


def test_pcm_lengths_are_whole_samples() -> None:
    assert pcm_bytes(0.1, 22_050) == 4
    assert pcm_silence(10, 8000) == bytes(160)
