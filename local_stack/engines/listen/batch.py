"""A whole recording in one request: what is in its file, and what is said in it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from local_stack.engines.listen import messages as ms
from local_stack.engines.listen import segmenter as sg
from local_stack.engines.listen.audio import Encoding, FrameSource, SpeechDetector
from local_stack.engines.listen.decoder_pool import DecoderPool
from local_stack.engines.listen.errors import AUDIO_TOO_LONG, NO_AUDIO
from local_stack.engines.listen.model_lease import ModelLease
from local_stack.engines.listen.query import AudioOptions, ListenOptions

MAX_RECORDING_S = 600.0
_PAUSE_S = 0.5
"""Silence at which a recording is cut; its utterances are decoded one after the other."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Mono audio and how to read it."""

    encoding: Encoding
    sample_rate_hz: int
    data: bytes

    @property
    def duration_s(self) -> float:
        return len(self.data) / self.sample_rate_hz / (1 if self.encoding == "mulaw" else 2)


@dataclass(slots=True)
class _Stretch:
    start_s: float
    pcm: bytearray


def read_recording(body: bytes, audio: AudioOptions) -> Recording:
    """Find the audio in a request's body: a WAV file, or raw in the encoding that the query names.

    Raises:
        Refused: 400 for what is no audio, 413 above 10 minutes.
    """
    raw = Recording(audio.encoding, audio.sample_rate_hz, body)
    recording = _read_wav(body) if body.startswith(b"RIFF") else raw
    if not recording.data:
        raise NO_AUDIO
    if recording.duration_s > MAX_RECORDING_S:
        raise AUDIO_TOO_LONG
    return recording


async def transcribe(
    recording: Recording, pool: DecoderPool, lease: ModelLease, *, options: ListenOptions, request_id: str
) -> ms.Message:
    """Decode a recording; cancelling leaves nothing behind.

    Returns:
        Deepgram's answer.

    Raises:
        DecoderLostError: a decoder process died over it twice.
    """
    model = await lease.model()
    found = []
    for stretch in await asyncio.to_thread(lambda: list(_stretches(recording))):
        decoded = await pool.final(model, bytes(stretch.pcm), live=False)
        found.append(
            ms.alternative(
                decoded.words, offset_s=stretch.start_s, punctuate=options.punctuate, multilingual=False
            )
        )
    sha256 = await asyncio.to_thread(lambda: hashlib.sha256(recording.data).hexdigest())
    return ms.batch_answer(
        found,
        request_id=request_id,
        sha256=sha256,
        duration_s=recording.duration_s,
        multilingual=options.multilingual,
    )


def _read_wav(body: bytes) -> Recording:
    try:
        with wave.open(io.BytesIO(body)) as wav:
            channels, rate_hz = wav.getnchannels(), wav.getframerate()
            if wav.getsampwidth() != 2 or not 8_000 <= rate_hz <= 48_000 or not 1 <= channels <= 8:
                raise NO_AUDIO
            data = wav.readframes(wav.getnframes())
    except (wave.Error, EOFError, RuntimeError):
        raise NO_AUDIO from None
    if channels > 1:
        whole = len(data) // (2 * channels) * 2 * channels
        samples = np.frombuffer(data[:whole], np.dtype("<i2")).reshape(-1, channels)
        data = samples.mean(axis=1).astype("<i2").tobytes()
    return Recording("linear16", rate_hz, data)


def _stretches(recording: Recording) -> Iterator[_Stretch]:
    segmenter = sg.Segmenter(pause_s=_PAUSE_S)
    detector = SpeechDetector()
    source = FrameSource(recording.encoding, recording.sample_rate_hz)
    stretch = _Stretch(0.0, bytearray())

    def frames() -> Iterator[bytes]:
        yield from source.frames(recording.data)
        yield from source.last_frames()

    def events() -> Iterator[sg.Event]:
        for frame in frames():
            yield from segmenter.feed(frame, is_speech=detector.is_speech(frame))
        yield from segmenter.finish()

    for event in events():
        match event:
            case sg.SpeechStarted():
                stretch = _Stretch(event.at_s, bytearray(event.audio))
            case sg.SpeechAudio():
                stretch.pcm += event.audio
            case sg.Ended():
                yield stretch
