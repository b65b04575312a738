"""The audio in a request's body is found, or the body is refused."""

from __future__ import annotations

import io
import wave

import pytest
from multidict import MultiDict

from local_stack.engines.listen.batch import read_recording
from local_stack.engines.listen.errors import Refused
from local_stack.engines.listen.query import AudioOptions


def options(**query: str) -> AudioOptions:
    return AudioOptions.parse(MultiDict(query), default_model="nova-3")


def wav(samples: bytes, *, channels: int = 1, width: int = 2, rate_hz: int = 16_000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate_hz)
        writer.writeframes(samples)
    return file.getvalue()


def test_a_wav_file_says_itself_what_it_is() -> None:
    recording = read_recording(wav(bytes(48_000), rate_hz=24_000), options(encoding="mulaw"))

    assert (recording.encoding, recording.sample_rate_hz) == ("linear16", 24_000)
    assert recording.duration_s == 1.0


def test_channels_are_mixed() -> None:
    recording = read_recording(wav(b"\x10\x00\x20\x00" * 100, channels=2), options())

    assert recording.data == b"\x18\x00" * 100


def test_raw_audio_is_what_the_query_says() -> None:
    assert read_recording(bytes(8_000), options(encoding="mulaw")).duration_s == 1.0


def test_a_wav_file_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    assert read_recording(wav(bytes(32_000))[:-16_000], options()).duration_s == pytest.approx(0.5)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"RIFF",
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00",
        b"RIFF" + bytes(100),
        wav(b""),
        wav(bytes(100), width=1),
        wav(bytes(100), rate_hz=4_000),
        wav(bytes(16_000)).replace(b"\x01\x00\x01\x00", b"\x07\x00\x01\x00", 1),
    ],
    ids=["nothing", "magic only", "header only", "zeros", "empty", "8 bits", "4 kHz", "mulaw inside"],
)
def test_what_is_no_audio_is_refused(body: bytes) -> None:
    with pytest.raises(Refused, match="corrupt or unsupported") as caught:
        read_recording(body, options())

    assert caught.value.status == 400


def test_a_recording_of_more_than_ten_minutes_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        read_recording(bytes(8_000 * 601), options(encoding="mulaw"))

    assert caught.value.status == 413
