"""ElevenLabs' text-to-speech protocol, version 1: what may be asked, the messages, and the errors.

As LiveKit's plugin 1.8.9 and elevenlabs.io/docs (API reference, error messages, multi-context WebSocket guide;
read Nov 2026) have it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local_stack.engines.tts.alignment import CharacterTimes
from local_stack.engines.tts.speech import AudioOptions
from local_stack.engines.tts.voices import VoiceTable

MAX_TEXT_CHARS = 10_000
"""Characters of one request (Multilingual v2's limit)."""

DEFAULT_CONTEXT_ID = "default"
"""The context of messages that name none."""

_PCM_FORMATS = {f"pcm_{rate}": rate for rate in (8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)}
_DEFAULT_MODEL = "eleven_multilingual_v2"
_MODEL = re.compile(r"eleven_[a-z0-9_]{1,60}")
_DIALOGUE_MODEL = re.compile(r"eleven_v[34]")
_VOICE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_INVALID_KEY_PREFIX = "invalid"
_SPEED_RANGE = (0.7, 1.2)
_INACTIVITY_DEFAULT_S, _INACTIVITY_MAX_S = 20.0, 180.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that says no."""

    http_status: int
    status: str
    message: str

    def response(self) -> web.Response:
        """The HTTP answer, also to a refused WebSocket handshake."""
        detail = {"status": self.status, "message": self.message}
        return web.json_response({"detail": detail}, status=self.http_status)

    def frame(self, context_id: str | None = None) -> dict[str, Any]:
        """The message that says the same on a socket."""
        frame: dict[str, Any] = {"message": self.message, "error": self.status, "code": 1008}
        return frame if context_id is None else {**frame, "contextId": context_id}


class ElevenLabsError(Exception):
    """The request gets this refusal and nothing else; a socket is closed behind it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


NO_KEY = Refusal(
    401,
    "needs_authorization",
    "Neither authorization header nor xi-api-key received, please provide one.",
)
INVALID_KEY = Refusal(401, "invalid_api_key", "Invalid API key")
TOO_MANY_REQUESTS = Refusal(
    429, "too_many_concurrent_requests", "Too many concurrent requests. Please try again later."
)
VOICE_NOT_FOUND = Refusal(404, "voice_not_found", "A voice with this id was not found.")
BAD_MESSAGE = Refusal(400, "invalid_message", "The message is not a JSON object of this protocol.")
NO_TEXT = Refusal(400, "invalid_text", "The text is empty.")
TEXT_TOO_LONG = Refusal(
    400, "max_character_limit_exceeded", f"The text exceeds the character limit of {MAX_TEXT_CHARS}."
)
TOO_MUCH_TEXT = Refusal(400, "input_queue_full", "Too much text is waiting to be spoken.")
FAILED = Refusal(500, "internal_error", "The speech could not be generated.")


def too_many_contexts(limit: int) -> Refusal:
    """A context more than one socket may have."""
    return Refusal(
        400,
        "max_active_conversations",
        f"Maximum simultaneous contexts per WebSocket connection exceeded ({limit}). "
        "Please close an existing context before opening a new one.",
    )


def input_timeout(timeout_s: float) -> Refusal:
    """The socket was idle for too long."""
    return Refusal(
        400,
        "input_timeout_exceeded",
        f"Have not received a new text input within the timeout of {timeout_s:g} seconds. "
        "Streaming input terminated.",
    )


class VoiceSettings(BaseModel):
    """How a voice should speak; only the speed means something to this engine."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    speed: float | None = Field(default=None, ge=_SPEED_RANGE[0], le=_SPEED_RANGE[1])


class ClientMessage(BaseModel):
    """A text frame of the client on a multi-context socket."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str | None = None
    context_id: str | None = Field(default=None, max_length=128)
    voice_settings: VoiceSettings | None = None
    flush: bool = False
    close_context: bool = False
    close_socket: bool = False


class SpeechRequest(BaseModel):
    """The body of a REST request."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str
    model_id: str = _DEFAULT_MODEL
    voice_settings: VoiceSettings | None = None


def parse_message(data: str) -> ClientMessage:
    """Read a text frame.

    Raises:
        ElevenLabsError: it isn't a message of this protocol.
    """
    try:
        return ClientMessage.model_validate_json(data)
    except ValidationError:
        raise ElevenLabsError(BAD_MESSAGE) from None


def parse_request(body: bytes) -> SpeechRequest:
    """Read a REST body.

    Raises:
        ElevenLabsError: 400 when it isn't one, holds no text or too much.
    """
    try:
        request = SpeechRequest.model_validate_json(body)
    except ValidationError:
        raise ElevenLabsError(BAD_MESSAGE) from None
    if not request.text.strip():
        raise ElevenLabsError(NO_TEXT)
    if len(request.text) > MAX_TEXT_CHARS:
        raise ElevenLabsError(TEXT_TOO_LONG)
    return request


def check_key(headers: Mapping[str, str]) -> None:
    """Accept any `xi-api-key`.

    Raises:
        ElevenLabsError: 401 without a key, or with one that begins with `invalid`.
    """
    key = headers.get("xi-api-key", "").strip()
    if not key:
        raise ElevenLabsError(NO_KEY)
    if key.startswith(_INVALID_KEY_PREFIX):
        raise ElevenLabsError(INVALID_KEY)


def audio_options(
    voice_id: str, query: Mapping[str, str], voices: VoiceTable, *, model_id: str | None = None
) -> AudioOptions:
    """Read voice, model and format of a request or handshake.

    Raises:
        ElevenLabsError: 404 for a voice id that can't be one, 400 for a model or a format that can't be had.
    """
    if not _VOICE_ID.fullmatch(voice_id):
        raise ElevenLabsError(VOICE_NOT_FOUND)
    model = model_id or query.get("model_id", _DEFAULT_MODEL)
    if not _MODEL.fullmatch(model) or _DIALOGUE_MODEL.match(model):
        raise ElevenLabsError(
            Refusal(400, "model_not_found", "A model with this id was not found for this endpoint.")
        )
    output_format = query.get("output_format", "mp3_44100_128")
    sample_rate_hz = _PCM_FORMATS.get(output_format)
    if sample_rate_hz is None:
        formats = ", ".join(_PCM_FORMATS)
        raise ElevenLabsError(
            Refusal(
                400, "invalid_output_format", f"The local engine has these output formats only: {formats}."
            )
        )
    return AudioOptions(voice=voices.for_vendor_name(voice_id), sample_rate_hz=sample_rate_hz)


def inactivity_timeout_s(query: Mapping[str, str]) -> float:
    """Seconds without a message after which a context, and then its socket, is closed.

    Raises:
        ElevenLabsError: 400 outside 1..180.
    """
    try:
        timeout_s = float(query.get("inactivity_timeout", _INACTIVITY_DEFAULT_S))
    except ValueError:
        timeout_s = 0.0
    if not 1.0 <= timeout_s <= _INACTIVITY_MAX_S:
        raise ElevenLabsError(
            Refusal(400, "invalid_inactivity_timeout", "inactivity_timeout must be within 1..180.")
        )
    return timeout_s


def audio_frame(context_id: str, pcm: bytes) -> str:
    """A piece of a context's audio."""
    return json.dumps({"audio": base64.b64encode(pcm).decode(), "isFinal": False, "contextId": context_id})


def alignment_frame(context_id: str, times: CharacterTimes) -> str:
    """When the characters of the sentence just sent are heard, from the begin of the context's audio."""
    alignment = {
        "chars": times.characters,
        "charStartTimesMs": times.starts_ms,
        "charDurationsMs": times.durations_ms,
    }
    return json.dumps(
        {
            "audio": None,
            "isFinal": False,
            "contextId": context_id,
            "alignment": alignment,
            "normalizedAlignment": alignment,
        }
    )


def final_frame(context_id: str) -> str:
    """The context is closed and all its audio was sent."""
    return json.dumps({"audio": None, "isFinal": True, "contextId": context_id})


def voice_list(voices: VoiceTable) -> dict[str, Any]:
    """The answer to `GET /v1/voices`."""
    return {
        "voices": [
            {"voice_id": voice.name, "name": voice.description, "category": "premade"} for voice in voices
        ]
    }
