"""Run something until it ends or the user (or the system) wants it to."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def until_signal(work: Coroutine[Any, Any, None]) -> signal.Signals | None:
    """Run `work`; at SIGINT, SIGTERM or SIGHUP cancel it and wait until it has cleaned up.

    A second signal cancels it again, which cuts its clean-up short.

    Returns:
        The first signal, or None when `work` ended by itself.

    Raises:
        Exception: whatever `work` raised, also while cleaning up.
    """
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []
    task = asyncio.create_task(work)

    def end(number: signal.Signals) -> None:
        received.append(number)
        task.cancel()

    for number in _ENDING:
        loop.add_signal_handler(number, end, number)
    try:
        await task
    except asyncio.CancelledError:
        if not received:
            raise
    finally:
        for number in _ENDING:
            loop.remove_signal_handler(number)
    return received[0] if received else None
