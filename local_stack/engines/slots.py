"""The engine's own concurrency limit, so that clients meet the vendors' 429 in tests and capacity runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class TooManyStreamsError(Exception):
    """All slots are taken. Every vendor's route answers it with that vendor's 429."""


class StreamSlots:
    """Counts open sockets and running requests of the process; used on the event loop only."""

    def __init__(self, limit: int) -> None:
        """Allow `limit` streams at a time; at least 1."""
        self._limit = limit
        self._taken = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold one slot.

        Raises:
            TooManyStreamsError: none is free.
        """
        if self._taken >= self._limit:
            raise TooManyStreamsError
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
