"""The WebSocket media protocol, version 1: what may be said, apart from how it is carried.

URL `ws://host:port/v1/media?token=…`; text messages are JSON objects, binary ones 16-bit little-endian mono PCM at
16 kHz.

    client -> server   {"type":"start","sample_rate":16000} first; audio in real time; {"type":"dtmf","digit":"5"};
                       {"type":"stop"} to hang up
    server -> client   {"type":"ready","call_id":…}; audio; {"type":"clear"}: drop what has not been played;
                       {"type":"ended","reason":…}; {"type":"error","code":…,"message":…}; then close
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from shared.domain.call import EndReason
from shared.errors import MediaError

SAMPLE_RATE_HZ: Final = 16000
"""Both directions."""
FRAME_S: Final = 0.020
"""Length of the frames that the server sends, and advises clients to send."""
FRAME_BYTES: Final = 640
"""One such frame."""
MAX_AUDIO_BYTES: Final = 64 * 1024
"""Largest audio message from a client: 2 s."""
MAX_TEXT_CHARS: Final = 4096
"""Longest text message from a client."""
DTMF_KEYS: Final = frozenset("0123456789*#ABCD")
"""Keys of a telephone."""


class MediaProtocolError(MediaError):
    """A client broke the protocol; `wire_code` and the message are told to it before the socket closes."""

    code = "media_protocol"

    def __init__(self, wire_code: str, message: str) -> None:
        super().__init__(message, wire_code=wire_code)
        self.wire_code = wire_code


@dataclass(frozen=True, slots=True)
class Start:
    """The client is ready to talk."""


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key was pressed."""

    digit: str
    """One of `DTMF_KEYS`."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The caller hangs up."""


ClientMessage = Start | Dtmf | Stop


def parse_text(text: str) -> ClientMessage:
    """Read a text message of a client.

    Raises:
        MediaProtocolError: with wire code `message_too_large`, `malformed_message`, `unknown_message`,
            `unsupported_sample_rate` or `invalid_dtmf`. What the client sent is not repeated.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise MediaProtocolError(
            "message_too_large", f"text messages have at most {MAX_TEXT_CHARS} characters"
        )
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise MediaProtocolError("malformed_message", "a text message must be a JSON object") from None
    if not isinstance(message, dict):
        raise MediaProtocolError("malformed_message", "a text message must be a JSON object")
    match message.get("type"):
        case "start":
            return _start(message)
        case "dtmf":
            return _dtmf(message)
        case "stop":
            return Stop()
    raise MediaProtocolError("unknown_message", 'the type of a message is "start", "dtmf" or "stop"')


def _start(message: dict[str, object]) -> Start:
    if message.get("sample_rate") != SAMPLE_RATE_HZ:
        raise MediaProtocolError("unsupported_sample_rate", f"sample_rate must be {SAMPLE_RATE_HZ}")
    return Start()


def _dtmf(message: dict[str, object]) -> Dtmf:
    digit = message.get("digit")
    if not isinstance(digit, str) or digit not in DTMF_KEYS:
        raise MediaProtocolError("invalid_dtmf", "digit must be one of 0-9 * # A-D")
    return Dtmf(digit)


def check_audio(pcm: bytes) -> None:
    """Check a binary message of a client.

    Raises:
        MediaProtocolError: with wire code `message_too_large` or `invalid_audio`.
    """
    if len(pcm) > MAX_AUDIO_BYTES:
        raise MediaProtocolError("message_too_large", f"audio messages have at most {MAX_AUDIO_BYTES} bytes")
    if len(pcm) % 2:
        raise MediaProtocolError("invalid_audio", "audio is 16-bit: the length of a message must be even")


def ready(call_id: str) -> str:
    """The agent takes the call."""
    return json.dumps({"type": "ready", "call_id": call_id})


def clear() -> str:
    """The agent was interrupted."""
    return '{"type":"clear"}'


def ended(reason: EndReason) -> str:
    """The call is over."""
    return json.dumps({"type": "ended", "reason": reason.value})


def error(problem: MediaProtocolError) -> str:
    """The client did something wrong."""
    return json.dumps({"type": "error", "code": problem.wire_code, "message": problem.message})
