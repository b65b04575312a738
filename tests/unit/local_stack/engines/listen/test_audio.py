"""Bytes of clients become frames of 20 ms at 16 kHz."""

from __future__ import annotations

import numpy as np
import pytest

from local_stack.engines.listen.audio import FRAME_BYTES, FrameSource, SpeechDetector


def tone(rate_hz: int, seconds: float = 1.0) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """440 Hz at a quarter of full scale."""
    at_s = np.arange(int(rate_hz * seconds)) / rate_hz
    return (8192 * np.sin(2 * np.pi * 440 * at_s)).astype(np.int16)


def all_pcm(source: FrameSource, *parts: bytes) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    frames = [frame for part in parts for frame in source.frames(part)] + list(source.last_frames())
    assert {len(frame) for frame in frames} <= {FRAME_BYTES}
    return np.frombuffer(b"".join(frames), np.int16)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 24_000, 44_100, 48_000])
def test_every_rate_becomes_16_khz_without_a_change_of_pitch_or_level(rate_hz: int) -> None:
    pcm = all_pcm(FrameSource("linear16", rate_hz), tone(rate_hz).tobytes())[:16_000]

    spectrum = np.abs(np.fft.rfft(pcm))
    assert int(np.argmax(spectrum)) == pytest.approx(440, abs=1)
    assert np.sqrt(np.mean(pcm.astype(float) ** 2)) == pytest.approx(8192 / np.sqrt(2), rel=0.03)


def test_a_sample_may_be_cut_in_two_by_messages() -> None:
    pcm = tone(16_000).tobytes()

    assert all_pcm(FrameSource("linear16", 16_000), pcm[:333], pcm[333:334], pcm[334:]).tobytes() == pcm


def test_a_last_incomplete_frame_is_filled_up_with_silence() -> None:
    source = FrameSource("linear16", 16_000)

    assert list(source.frames(b"\x01\x00" * 100)) == []
    [frame] = source.last_frames()
    assert frame == b"\x01\x00" * 100 + bytes(FRAME_BYTES - 200)


def test_mulaw_is_decoded_as_g711_says() -> None:
    # ITU-T G.711 table 2a, scaled to 16 bits: the two zeros, the extremes, and one from the middle of each half
    codes, values = bytes([0xFF, 0x7F, 0x00, 0x80, 0xD5, 0x55]), [0, 0, -32124, 32124, 716, -716]
    pcm = all_pcm(FrameSource("mulaw", 16_000), codes)

    assert pcm[: len(values)].tolist() == values


def test_the_detector_takes_silence_for_no_speech() -> None:
    detector = SpeechDetector()

    assert not any(detector.is_speech(bytes(FRAME_BYTES)) for _ in range(10))
