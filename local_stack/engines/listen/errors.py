"""What Deepgram answers to requests that it refuses (developers.deepgram.com/reference/errors, read Nov 2026)."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

_INVALID_KEY_PREFIX = "invalid"
_SCHEMES = frozenset({"token", "bearer"})


class Refused(Exception):  # noqa: N818  (an outcome that the protocol names, not a failure of ours)
    """The request gets this answer and nothing else."""

    def __init__(self, status: int, err_code: str, err_msg: str) -> None:
        super().__init__(err_msg)
        self.status = status
        self.err_code = err_code
        self.err_msg = err_msg

    def response(self, request_id: str) -> web.Response:
        """The HTTP answer, also to a refused WebSocket handshake."""
        body = {"err_code": self.err_code, "err_msg": self.err_msg, "request_id": request_id}
        headers = {"dg-request-id": request_id, "dg-error": self.err_msg}
        return web.json_response(body, status=self.status, headers=headers)


INVALID_AUTH = Refused(401, "INVALID_AUTH", "Invalid credentials.")
TOO_MANY_REQUESTS = Refused(429, "TOO_MANY_REQUESTS", "Too many requests. Please try again later.")
TOO_MANY_KEYTERMS = Refused(
    400, "Bad Request", "Keyterm limit exceeded. The maximum number of tokens across all keyterms is 500."
)
NO_AUDIO = Refused(400, "Bad Request", "Bad Request: failed to process audio: corrupt or unsupported data")
AUDIO_TOO_LARGE = Refused(413, "PAYLOAD_TOO_LARGE", "Payload size exceeds the limit of 32 MB.")
AUDIO_TOO_LONG = Refused(413, "PAYLOAD_TOO_LARGE", "The recording is longer than 10 minutes.")
NO_URLS = Refused(
    400, "REMOTE_CONTENT_ERROR", "The local engine does not fetch remote audio: send the audio itself."
)
BAD_JSON = Refused(400, "PAYLOAD_ERROR", "Failed to deserialize JSON payload.")
FAILED = Refused(500, "INTERNAL_SERVER_ERROR", "The decoder failed.")


def bad_query(detail: str) -> Refused:
    """A query parameter that can't be obeyed."""
    return Refused(400, "INVALID_QUERY_PARAMETER", f"Failed to deserialize query parameters: {detail}")


def check_key(headers: Mapping[str, str]) -> None:
    """Accept any key, as `Authorization: Token|Bearer KEY` or `Sec-WebSocket-Protocol: token, KEY`.

    Raises:
        Refused: 401 without a key, or with one that begins with `invalid`.
    """
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    if scheme.lower() not in _SCHEMES:
        scheme, _, key = headers.get("Sec-WebSocket-Protocol", "").partition(",")
    key = key.strip()
    if scheme.strip().lower() not in _SCHEMES or not key or key.startswith(_INVALID_KEY_PREFIX):
        raise INVALID_AUTH
