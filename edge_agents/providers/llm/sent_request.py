"""Whether a reply's request reached its vendor: what never did is on nobody's bill.

A request that the vendor refused (4xx, 5xx) or that never left is not billed; one that it was given whole is, even
when we hang up before the end (OpenAI and others: truefoundry.com, "Cost accounting for disconnected streams";
novita.ai, "LLM API billing", status 499; both read Nov 2026).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpx2


@dataclass
class SentRequest:
    """One reply's request."""

    sent: bool = False
    """Its last byte was handed to the connection."""


_watched: ContextVar[SentRequest | None] = ContextVar("parley_sent_request", default=None)


@contextmanager
def watching_request() -> Iterator[SentRequest]:
    """Watch the request made by a task that is started inside."""
    request = SentRequest()
    token = _watched.set(request)
    try:
        yield request
    finally:
        _watched.reset(token)


def request_is_sent() -> None:
    """The request of this task has left."""
    if (request := _watched.get()) is not None:
        request.sent = True


async def watch_sending(request: httpx2.Request) -> None:
    """An httpx2 client's `request` hook."""
    request.extensions["trace"] = _trace


async def _trace(event: str, _info: dict[str, Any]) -> None:
    if event.endswith("send_request_body.complete"):
        request_is_sent()
