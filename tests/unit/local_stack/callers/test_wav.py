from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from edge_agents.audio.speech_edges import Pcm
from local_stack.callers.wav import load_utterance
from shared.errors import AudioFormatError
from tests.unit.edge_agents.audio.sounds import tone

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def wav_bytes(
    data: bytes,
    *,
    tag: int = PCM,
    bits: int = 16,
    rate_hz: int = 16000,
    channels: int = 1,
    size: int | None = None,
) -> bytes:
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block, block, bits)
    if tag == EXTENSIBLE:
        form += (
            struct.pack("<HHIH", 22, bits, 0, PCM)
            + b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
        )
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"LIST" + struct.pack("<I", 5) + b"INFO\x00\x00"  # odd length: padded
    chunks += b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def encoded(values: np.ndarray, tag: int, bits: int) -> bytes:
    if tag == FLOAT:
        return values.astype(f"<f{bits // 8}").tobytes()
    scaled = np.rint(values * (2.0 ** (bits - 1) - 1))
    if bits == 8:
        return (scaled + 128).astype(np.uint8).tobytes()
    if bits == 24:
        return scaled.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return scaled.astype(f"<i{bits // 8}").tobytes()


def signal(seconds: float = 0.5, rate_hz: int = 16000) -> np.ndarray:
    return np.asarray(tone(seconds, rate_hz, dbfs=-12) / 32768.0)


def load(tmp_path: Path, content: bytes) -> Pcm:
    path = tmp_path / "utterance.wav"
    path.write_bytes(content)
    return load_utterance(path)


@pytest.mark.parametrize(
    ("tag", "bits", "error"),
    [
        (PCM, 8, 256),
        (PCM, 16, 1),
        (PCM, 24, 1),
        (PCM, 32, 1),
        (FLOAT, 32, 1),
        (FLOAT, 64, 1),
        (EXTENSIBLE, 16, 1),
        (EXTENSIBLE, 24, 1),
    ],
)
def test_every_ordinary_sample_format_is_read(tmp_path: Path, tag: int, bits: int, error: int) -> None:
    values = signal()
    pcm = load(tmp_path, wav_bytes(encoded(values, tag, bits), tag=tag, bits=bits))
    assert pcm.dtype == np.int16
    assert np.abs(pcm - values * 32768).max() <= error + 1


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 24000, 44100, 48000])
def test_every_ordinary_rate_becomes_16_khz(tmp_path: Path, rate_hz: int) -> None:
    pcm = load(tmp_path, wav_bytes(encoded(signal(1.0, rate_hz), PCM, 16), rate_hz=rate_hz))
    assert len(pcm) == pytest.approx(16000, abs=2)
    spectrum = np.abs(np.fft.rfft(pcm.astype(float)))
    assert np.argmax(spectrum) == pytest.approx(220, abs=1)


def test_channels_are_mixed(tmp_path: Path) -> None:
    left = signal()
    stereo = np.stack([left, np.zeros_like(left)], axis=1)
    pcm = load(tmp_path, wav_bytes(encoded(stereo.reshape(-1), PCM, 16), channels=2))
    assert len(pcm) == len(left)
    assert np.abs(pcm - left * 16384).max() <= 2


def test_float_samples_over_full_scale_are_clipped(tmp_path: Path) -> None:
    pcm = load(tmp_path, wav_bytes(np.array([2.0, -2.0], "<f4").tobytes(), tag=FLOAT, bits=32))
    assert pcm.tolist() == [32767, -32768]


def test_what_the_standard_library_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "utterance.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16000)
        wav.writeframes(tone(0.3).tobytes())
    assert np.array_equal(load_utterance(path), tone(0.3))


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_size_that_means_to_the_end_is_read_to_the_end(tmp_path: Path, size: int) -> None:
    data = tone(0.3).tobytes()
    assert np.array_equal(load(tmp_path, wav_bytes(data, size=size)), tone(0.3))


def test_a_file_cut_in_the_middle_of_a_sample_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    assert len(load(tmp_path, wav_bytes(tone(0.3).tobytes())[:-101])) == 4800 - 51


def test_ten_minutes_are_taken_and_more_is_refused(tmp_path: Path) -> None:
    ten_minutes = bytes(600 * 8000)
    assert len(load(tmp_path, wav_bytes(ten_minutes, bits=8, rate_hz=8000))) == 600 * 16000
    with pytest.raises(AudioFormatError, match="longer than 10 minutes"):
        load(tmp_path, wav_bytes(ten_minutes + bytes(80), bits=8, rate_hz=8000))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"not a wave file at all, just words",
        b"\xff\xfb\x90\x00" * 100,
        wav_bytes(b""),
        wav_bytes(b"\x00"),
        wav_bytes(bytes(100), tag=7, bits=8),  # mu-law
        wav_bytes(bytes(100), tag=17, bits=4),  # ADPCM
        wav_bytes(bytes(100), rate_hz=0),
        wav_bytes(bytes(100), channels=0),
        wav_bytes(bytes(100), bits=12),
        wav_bytes(np.array([np.nan, 0], "<f4").tobytes(), tag=FLOAT, bits=32),
        wav_bytes(bytes(100))[:30],
        b"RIFF\x10\x00\x00\x00WAVEdata\x04\x00\x00\x00abcd",
    ],
)
def test_what_is_no_readable_wav_file_has_a_clear_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(AudioFormatError) as caught:
        load(tmp_path, content)
    assert caught.value.code == "invalid_audio"
    assert caught.value.hint


def test_a_missing_file_and_a_folder_have_a_clear_error(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.wav", tmp_path):
        with pytest.raises(AudioFormatError, match="can't read"):
            load_utterance(path)
