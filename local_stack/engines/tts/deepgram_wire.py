"""Deepgram's speak protocol, version 1: what may be asked, the messages, and the errors.

Error bodies follow developers.deepgram.com/reference/errors; close codes follow its page
"TTS Troubleshooting WebSocket, NET, and DATA Errors" (both read Nov 2026).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from local_stack.engines.tts.speech import AudioOptions
from local_stack.engines.tts.voices import VoiceTable

MAX_TEXT_CHARS = 2000
"""Characters of one request, and of one Speak message."""

DEFAULT_MODEL = "aura-asteria-en"
DEFAULT_SAMPLE_RATE_HZ = 24_000
SAMPLE_RATES_HZ = (8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""What Deepgram offers for linear16, and 22050 and 44100 besides."""
SPEED_RANGE = (0.7, 1.5)

FLUSHES_PER_MINUTE = 20
"""Deepgram warns above it and ignores the Flush; we warn and flush, so that a test's client never hangs."""

_MODEL = re.compile(r"aura-[\w-]{1,60}", re.ASCII)
_INVALID_KEY_PREFIX = "invalid"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that says no."""

    status: int
    err_code: str
    err_msg: str

    def response(self, request_id: str) -> web.Response:
        """The HTTP answer, also to a refused WebSocket handshake."""
        body = {"err_code": self.err_code, "err_msg": self.err_msg, "request_id": request_id}
        headers = {"dg-request-id": request_id, "dg-error": self.err_msg}
        return web.json_response(body, status=self.status, headers=headers)


class DeepgramError(Exception):
    """The request gets this refusal and nothing else."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.err_msg)
        self.refusal = refusal


INVALID_AUTH = Refusal(401, "INVALID_AUTH", "Invalid credentials.")
TOO_MANY_REQUESTS = Refusal(429, "Too Many Requests", "Please try again later.")
BAD_PAYLOAD = Refusal(
    400,
    "PAYLOAD_ERROR",
    "Failed to deserialize JSON payload. Please specify exactly one of `text` or `url` in the JSON body.",
)
NO_URLS = Refusal(
    400, "REMOTE_CONTENT_ERROR", "The local engine does not fetch remote text: send `text` instead of `url`."
)
NOT_UTF8 = Refusal(400, "PAYLOAD_ERROR", "Failed to decode payload as UTF-8.")
NO_CHARACTERS = Refusal(400, "Bad Request", "Input text contains no characters.")
TEXT_TOO_LONG = Refusal(
    413, "Payload Too Large", f"Input text exceeds maximum character limit of {MAX_TEXT_CHARS}."
)
BODY_TOO_LARGE = Refusal(413, "PAYLOAD_TOO_LARGE", "Payload size exceeds limit of 2 MB.")
UNSUPPORTED_CONTENT_TYPE = Refusal(
    415,
    "UNSUPPORTED_MEDIA_TYPE",
    "`Content-Type` header is not supported. `Content-Type` must be either `text/plain` or `application/json`.",
)
UNKNOWN_MODEL = Refusal(400, "Bad Request", "Bad Request: No such model/language/tier combination found.")
INVALID_CALLBACK = Refusal(400, "INVALID_QUERY_PARAMETER", "Invalid callback url.")
"""Of every one: nothing is called from here."""
FAILED = Refusal(422, "UNPROCESSABLE_ENTITY", "Failed to handle request.")


class ClientMessage(BaseModel):
    """A text frame of the client."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: str
    text: str = ""


def parse_message(data: str) -> ClientMessage | None:
    """The message in a text frame, None when it isn't one."""
    try:
        return ClientMessage.model_validate_json(data)
    except ValidationError:
        return None


def check_key(headers: Mapping[str, str]) -> None:
    """Accept any key, as `Authorization: Token|Bearer KEY` or `Sec-WebSocket-Protocol: token, KEY`.

    Raises:
        DeepgramError: 401 without a key, or with one that begins with `invalid`.
    """
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    if scheme.lower() not in {"token", "bearer"}:
        scheme, _, key = headers.get("Sec-WebSocket-Protocol", "").partition(",")
        if scheme.strip().lower() not in {"token", "bearer"}:
            raise DeepgramError(INVALID_AUTH)
    key = key.strip()
    if not key or key.startswith(_INVALID_KEY_PREFIX):
        raise DeepgramError(INVALID_AUTH)


def audio_options(query: Mapping[str, str], voices: VoiceTable, *, encoding: str | None) -> AudioOptions:
    """Read the query of a request or handshake.

    Args:
        query: the URL's parameters; those that have no meaning here (mip_opt_out, tag ...) are ignored.
        voices: the voices of this process.
        encoding: what is meant when the query names none.

    Raises:
        DeepgramError: 400 for an unknown model, and for a format or a speed that can't be had.
    """
    if "callback" in query:
        raise DeepgramError(INVALID_CALLBACK)
    model = query.get("model", DEFAULT_MODEL)
    voice = voices.own(model)
    if voice is None:
        if not _MODEL.fullmatch(model):
            raise DeepgramError(UNKNOWN_MODEL)
        voice = voices.for_vendor_name(model)
    if query.get("encoding", encoding) != "linear16":
        raise _unsupported("the local engine has encoding=linear16 only")
    sample_rate_hz = _number(query, "sample_rate", DEFAULT_SAMPLE_RATE_HZ)
    if sample_rate_hz not in SAMPLE_RATES_HZ:
        rates = ", ".join(map(str, SAMPLE_RATES_HZ))
        raise _unsupported(f"sample_rate must be {rates} when encoding=linear16")
    speed = _number(query, "speed", 1.0)
    slowest, fastest = SPEED_RANGE
    if not slowest <= speed <= fastest:
        raise _bad_query(f"speed: must be between {slowest} and {fastest}")
    return AudioOptions(voice=voice, sample_rate_hz=int(sample_rate_hz), speed=speed)


def container(query: Mapping[str, str]) -> Literal["none", "wav"]:
    """What the audio of a REST request is wrapped in.

    Raises:
        DeepgramError: 400 for anything but none and wav.
    """
    match query.get("container", "wav"):
        case "none":
            return "none"
        case "wav":
            return "wav"
        case _:
            raise _unsupported("container must be none or wav when encoding=linear16")


def metadata_message(request_id: str, options: AudioOptions, model: str) -> dict[str, Any]:
    """The first message of a socket."""
    return {
        "type": "Metadata",
        "request_id": request_id,
        "model_name": model,
        "model_version": f"local-{options.voice.engine}",
        "model_uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"parley:voice:{options.voice.name}")),
    }


def flushed_message(sequence_id: int) -> dict[str, Any]:
    """All audio of the text before one Flush has been sent."""
    return {"type": "Flushed", "sequence_id": sequence_id}


def cleared_message(sequence_id: int) -> dict[str, Any]:
    """No more audio of the text before a Clear will come."""
    return {"type": "Cleared", "sequence_id": sequence_id}


def warning_message(code: str, description: str) -> dict[str, Any]:
    """Something was not done as asked; the socket goes on."""
    # `warn_msg` is what LiveKit's plugin 1.8.9 logs
    return {"type": "Warning", "code": code, "description": description, "warn_msg": description}


def error_message(code: str, description: str) -> dict[str, Any]:
    """Said before the socket is closed by us."""
    return {"type": "Error", "code": code, "description": description}


def _number(query: Mapping[str, str], name: str, default: float) -> float:
    text = query.get(name)
    if text is None:
        return default
    try:
        return float(text)
    except ValueError:
        raise _bad_query(f"{name}: invalid digit found in string") from None


def _bad_query(detail: str) -> DeepgramError:
    return _bad_parameter(f"Failed to deserialize query parameters: {detail}")


def _unsupported(detail: str) -> DeepgramError:
    return _bad_parameter(f"Unsupported audio format: {detail}")


def _bad_parameter(message: str) -> DeepgramError:
    return DeepgramError(Refusal(400, "INVALID_QUERY_PARAMETER", message))
