"""Error answers in the shape that each vendor gives them."""

from __future__ import annotations

import math
from typing import Any

from aiohttp import web

from local_stack.engines.load_model.faults import Vendor

_REASONS = {
    400: ("Bad Request", "invalid_request_error"),
    401: ("Invalid credentials.", "invalid_api_key"),
    429: ("Too many requests. Please try again later.", "rate_limit_exceeded"),
    500: ("Internal server error.", "server_error"),
    503: ("The service is overloaded.", "service_unavailable"),
}


class Refused(Exception):  # noqa: N818  (an outcome that a modelled provider intends, not a failure of ours)
    """The request gets this error answer and nothing else."""

    def __init__(
        self, vendor: Vendor, status: int, message: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(status)
        self.vendor = vendor
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s

    def response(self) -> web.Response:
        reason, code = _REASONS.get(self.status, ("The request failed.", "error"))
        body = _body(self.vendor, self.status, self.message or reason, code)
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(math.ceil(self.retry_after_s))
        return web.json_response(body, status=self.status, headers=headers)


def _body(vendor: Vendor, status: int, message: str, code: str) -> dict[str, Any]:
    match vendor:
        case "deepgram":
            return {"err_code": code.upper(), "err_msg": message, "request_id": ""}
        case "openai":
            return {"error": {"message": message, "type": code, "param": None, "code": code}}
        case "elevenlabs":
            return {"detail": {"status": code, "message": message}}
        case "azure":
            return {"error": {"code": str(status), "message": message}}
