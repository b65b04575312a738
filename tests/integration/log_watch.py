"""What this process logs while a test runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def complaints() -> Iterator[list[str]]:
    """Messages of errors, and of anything with a traceback; complete when the block is left."""
    found: list[str] = []
    keeper = _Keeper()
    logging.getLogger().addHandler(keeper)
    try:
        with structlog.testing.capture_logs() as ours:
            yield found
    finally:
        logging.getLogger().removeHandler(keeper)
        found += [str(one["event"]) for one in ours if one["log_level"] == "error" or "exc_info" in one]
        found += [
            f"{record.name}: {record.getMessage()}"
            for record in keeper.records
            if record.exc_info or record.levelno >= logging.ERROR
        ]
