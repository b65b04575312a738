"""A logger with the chain of the product, whose lines a test can read."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import structlog

from shared.telemetry import (
    OUR_PROCESSORS,
    SafeHandler,
    make_formatter,
)

CALL = {"tenant_id": "ten_1", "call_id": "call_1"}


class Log:
    """A logger with the chain of the product, and what it wrote."""

    def __init__(self, *, name: str = "test_telemetry", **options: Any) -> None:
        self._stream = io.StringIO()
        handler = SafeHandler(self._stream)
        handler.setFormatter(make_formatter("test", **options))
        self.stdlib = logging.Logger(name, logging.DEBUG)  # noqa: LOG001 - in nobody's tree
        self.stdlib.addHandler(handler)
        self.ours = structlog.wrap_logger(
            self.stdlib, processors=OUR_PROCESSORS, wrapper_class=structlog.stdlib.BoundLogger
        )

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def one(self) -> dict[str, Any]:
        (record,) = self.records
        return record


def thrown(error: Exception) -> Exception:
    """The exception with a traceback, as a handler meets it."""
    try:
        raise error
    except type(error) as caught:
        return caught
