"""How a process is told to stop, and how it tells that it is ready."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

_PARENT_POLL_S = 1.0


class StopSignals:
    """SIGTERM asks to stop once calls have ended; SIGINT, or the loss of the starter, asks to stop at once.

    A second SIGTERM is ignored: orchestrators repeat it, and it must not cut calls. The starter is watched only
    where PARLEY_EXIT_WITH_PARENT is set (the local stack does, so that nothing is left running).
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._at_once = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.asked.set)
        loop.add_signal_handler(signal.SIGINT, self._stop_at_once)
        self._watch = (
            asyncio.create_task(self._watch_parent(), name="watch_parent")
            if os.environ.get("PARLEY_EXIT_WITH_PARENT")
            else None
        )

    async def unless_at_once(self, work: Coroutine[Any, Any, object]) -> None:
        """Wait for `work`, but not when stopping at once is asked for: then it is cancelled."""
        task = asyncio.ensure_future(work)
        hurry = asyncio.ensure_future(self._at_once.wait())
        await asyncio.wait({task, hurry}, return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        hurry.cancel()
        await asyncio.gather(task, hurry, return_exceptions=True)

    def _stop_at_once(self) -> None:
        self.asked.set()
        self._at_once.set()

    async def _watch_parent(self) -> None:
        parent = os.getppid()
        while os.getppid() == parent:  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(_PARENT_POLL_S)
        self._stop_at_once()


def announce_ready(port: int) -> None:
    """Tell the process's starter, on standard output, where it listens."""
    sys.stdout.write(json.dumps({"event": "ready", "port": port}) + "\n")
    sys.stdout.flush()
