"""Azure's text to speech REST API: POST SSML, get audio.

Status codes as on learn.microsoft.com, "Text to speech REST API" (read Nov 2026): 400 for SSML or a format that
can't be used, 401 for a key, 415 for another content type, 429 for too many requests.
"""

from __future__ import annotations

import dataclasses
import logging
import re
import uuid
from collections.abc import Mapping

from aiohttp import web

from local_stack.engines.slots import TooManyStreamsError
from local_stack.engines.tts.engine import ENGINE, SpeechEngine
from local_stack.engines.tts.responses import collect_pcm, stream_response
from local_stack.engines.tts.shaping import pcm_silence
from local_stack.engines.tts.speech import AudioOptions, Emit, SpeechStream
from local_stack.engines.tts.ssml import MAX_SSML_BYTES, Pause, SpokenText, SsmlError, parse_ssml
from local_stack.engines.tts.synthesizer import SynthesisError
from local_stack.engines.tts.wav import wav_file

_RATES_HZ = {
    "8khz": 8000,
    "16khz": 16_000,
    "22050hz": 22_050,
    "24khz": 24_000,
    "44100hz": 44_100,
    "48khz": 48_000,
}
_FORMAT = re.compile(r"(raw|riff)-(\w+)-16bit-mono-pcm")
_VOICE_NAME = re.compile(r"[\w .,:()-]{1,128}", re.ASCII)
_INVALID_KEY_PREFIX = "invalid"

logger = logging.getLogger(__name__)


class AzureError(Exception):
    """The request gets this answer and nothing else."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def response(self, request_id: str) -> web.Response:
        """The HTTP answer."""
        body = {"error": {"code": self.code, "message": self.message}}
        return web.json_response(body, status=self.status, headers={"X-RequestId": request_id})


@dataclasses.dataclass(frozen=True, slots=True)
class _OutputFormat:
    sample_rate_hz: int
    riff: bool


def add_routes(app: web.Application) -> None:
    """Serve `/cognitiveservices/v1`."""
    app.router.add_post("/cognitiveservices/v1", _post)


async def _post(request: web.Request) -> web.StreamResponse:
    request_id = uuid.uuid4().hex
    engine = request.app[ENGINE]
    try:
        _check_key(request.headers)
        output = _output_format(request.headers.get("X-Microsoft-OutputFormat", ""))
        parts = await _read_ssml(request)
        with engine.slots.take():
            return await _answer(request, request_id, _Speaker(engine, parts, output), output)
    except TooManyStreamsError:
        return AzureError(429, "429", "Too many requests. Please try again later.").response(request_id)
    except SynthesisError:
        logger.exception("speech synthesis failed")
        return AzureError(502, "502", "The speech could not be synthesized.").response(request_id)
    except AzureError as error:
        return error.response(request_id)


def _check_key(headers: Mapping[str, str]) -> None:
    key = headers.get("Ocp-Apim-Subscription-Key", "").strip()
    if not key:
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else ""
    if not key or key.startswith(_INVALID_KEY_PREFIX):
        raise AzureError(
            401,
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid "
            "key for an active subscription and use a correct regional API endpoint for your resource.",
        )


def _output_format(name: str) -> _OutputFormat:
    match = _FORMAT.fullmatch(name)
    rate_hz = _RATES_HZ.get(match[2]) if match else None
    if match is None or rate_hz is None:
        raise AzureError(
            400,
            "UnsupportedFormat",
            "X-Microsoft-OutputFormat must be (raw|riff)-{8khz,16khz,22050hz,24khz,44100hz,48khz}-16bit-mono-pcm: "
            "the local engine has no other.",
        )
    return _OutputFormat(rate_hz, riff=match[1] == "riff")


async def _read_ssml(request: web.Request) -> list[SpokenText | Pause]:
    if request.content_type != "application/ssml+xml":
        raise AzureError(415, "UnsupportedMediaType", "The Content-Type must be application/ssml+xml.")
    try:
        body = await request.content.read(MAX_SSML_BYTES + 1)
        while len(body) <= MAX_SSML_BYTES and (more := await request.content.read(MAX_SSML_BYTES)):
            body += more
        parts = parse_ssml(body)
    except SsmlError as error:
        raise AzureError(400, "InvalidSsml", f"The SSML cannot be used: {error}.") from None
    for part in parts:
        if isinstance(part, SpokenText) and not _VOICE_NAME.fullmatch(part.voice):
            raise AzureError(400, "UnsupportedVoice", "A voice name cannot be used.")
    return parts


class _Speaker:
    """Speaks the parts of one document."""

    def __init__(self, engine: SpeechEngine, parts: list[SpokenText | Pause], output: _OutputFormat) -> None:
        self._engine = engine
        self._parts = parts
        self._rate_hz = output.sample_rate_hz
        first = next(part for part in parts if isinstance(part, SpokenText))
        self._stream: SpeechStream = engine.speech.stream(self._options(first), paced=not output.riff)

    async def speak(self, emit: Emit) -> None:
        for part in self._parts:
            if isinstance(part, Pause):
                await emit(pcm_silence(part.duration_ms, self._rate_hz))
                self._stream.reply_ended()  # the pause is the gap
                continue
            await self._stream.say_all(part.text, emit, options=self._options(part))

    def _options(self, part: SpokenText) -> AudioOptions:
        voice = self._engine.voices.for_vendor_name(part.voice)
        return AudioOptions(voice=voice, sample_rate_hz=self._rate_hz, speed=part.rate)


async def _answer(
    request: web.Request, request_id: str, speaker: _Speaker, output: _OutputFormat
) -> web.StreamResponse:
    headers = {"X-RequestId": request_id}
    if output.riff:  # its header tells its length: it can't be streamed honestly
        body = wav_file(await collect_pcm(speaker.speak), output.sample_rate_hz)
        return web.Response(body=body, headers={**headers, "Content-Type": "audio/x-wav"})
    return await stream_response(request, {**headers, "Content-Type": "audio/basic"}, speaker.speak)
