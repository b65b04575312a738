"""Closes connections that nobody may wait for: a dead server's goodbye takes 10 s in the vendors' plugins."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class BackgroundClosing:
    """Closings under way of one provider object of one call.

    A failed connection is closed here while the next provider already answers. Whoever makes it calls `finish`.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, closing: Coroutine[Any, Any, None]) -> None:
        """Run `closing` on its own; its failure is logged."""
        task = asyncio.create_task(self._logged(closing), name="provider.close")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait for all of them. When this is cancelled, they are too."""
        tasks = list(self._tasks)
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _logged(self, closing: Coroutine[Any, Any, None]) -> None:
        try:
            await closing
        except Exception as error:  # noqa: BLE001 - a task's edge; a traceback may show a request's key
            log.warning("provider_close_failed", error=type(error).__name__)
