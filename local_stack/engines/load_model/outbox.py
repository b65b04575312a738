"""Messages that leave in the order in which they were put, each not before its time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local_stack.engines.load_model.faults import ActiveFault
from local_stack.engines.load_model.wire import Broken, SocketWire

MAX_WAITING = 256


async def sleep_until(instant: float) -> None:
    """Sleep until `instant` on the `time.monotonic()` clock; yields to other tasks in any case."""
    await asyncio.sleep(max(0.0, instant - time.monotonic()))


@dataclass(frozen=True, slots=True)
class _Item:
    text: str
    due_at: float
    fault: ActiveFault | None
    on_sent: Callable[[float], None] | None


class Outbox:
    """Sends from a task of its own so that a delayed final never stops its stream from being heard.

    A later message waits for an earlier one that is not due yet, as on a real provider's ordered stream. When
    256 messages wait, `put` waits too. After the connection broke, messages are swallowed. Whoever
    made it ends it with `cancel`.
    """

    def __init__(self, wire: SocketWire) -> None:
        self._wire = wire
        self._queue: asyncio.Queue[_Item | None] = asyncio.Queue(MAX_WAITING)
        self._task = asyncio.create_task(self._send_all())

    async def put(
        self,
        message: Mapping[str, Any],
        *,
        due_at: float = 0.0,
        fault: ActiveFault | None = None,
        on_sent: Callable[[float], None] | None = None,
    ) -> None:
        """Queue `message`.

        Args:
            due_at: `time.monotonic()` instant before which it must not leave.
            fault: of the piece of work that it belongs to.
            on_sent: called with the instant of sending, if it goes out unharmed.
        """
        await self._queue.put(_Item(json.dumps(message), due_at, fault, on_sent))

    async def finish(self) -> None:
        """Close the socket once everything has left at its time; nothing may be put any more. Does not wait."""
        await self._queue.put(None)

    async def cancel(self) -> None:
        """Drop what waits."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _send_all(self) -> None:
        broken = False
        while (item := await self._queue.get()) is not None:
            if broken:
                continue
            if item.due_at:
                await sleep_until(item.due_at)
            try:
                sent = await self._wire.content(item.text, item.fault)
            except (Broken, ConnectionError):
                broken = True
                continue
            if sent and item.on_sent is not None:
                item.on_sent(time.monotonic())
        if not broken:
            await self._wire.close()
