"""A WAV file that Python's own reader takes."""

from __future__ import annotations

import io
import wave

from local_stack.engines.tts.wav import wav_file


def test_the_header_tells_rate_width_and_length() -> None:
    pcm = bytes(range(200))
    with wave.open(io.BytesIO(wav_file(pcm, 22_050))) as reader:
        assert (reader.getframerate(), reader.getsampwidth(), reader.getnchannels()) == (22_050, 2, 1)
        assert reader.readframes(1000) == pcm
