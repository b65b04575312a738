"""The one place where tests wait for what only asking tells: another process, a thread, a library's inside.

Everything else awaits an event, or runs on virtual time (virtual_time.py). A wait ends as soon as the condition
holds, so a test takes no longer on a fast machine; its bound only ends a wait that never would.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

_ASK_EVERY_S = 0.01

PATIENCE_S = 30.0
"""Far beyond what a busy machine needs."""


async def until(happened: Callable[[], bool | Awaitable[bool]], timeout_s: float = PATIENCE_S) -> None:
    """Wait until `happened` says so; it may be a coroutine function.

    Raises:
        TimeoutError: it did not within `timeout_s`.
    """
    async with asyncio.timeout(timeout_s):
        while True:
            answer = happened()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(_ASK_EVERY_S)


def block_until(happened: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """The same where no event loop runs.

    Raises:
        TimeoutError: it did not happen within `timeout_s`.
    """
    deadline_s = time.monotonic() + timeout_s
    while not happened():
        if time.monotonic() > deadline_s:
            raise TimeoutError
        time.sleep(_ASK_EVERY_S)
