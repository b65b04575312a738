"""OpenAI clients for tenants' own servers: as many as calls need, and some idle ones kept warm."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from openai import AsyncOpenAI

log = structlog.get_logger(__name__)

MAX_IDLE = 32
"""Idle clients kept, each with its connections: tenants whose next call finds them open."""


@dataclass
class _Entry:
    client: AsyncOpenAI
    calls: int = 0


class TenantClients:
    """One client per URL and key, shared by the calls that use it. For one event loop.

    Clients in use are bounded by the calls that admission lets in. Of the idle ones, those used longest ago are
    closed when another client is taken.

    Args:
        make: builds a client for a base URL and a key.
        max_idle: idle clients kept.
    """

    def __init__(self, make: Callable[[str, str], AsyncOpenAI], *, max_idle: int = MAX_IDLE) -> None:
        self._make = make
        self._max_idle = max_idle
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        """The one used longest ago first."""
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, base_url: str, api_key: str) -> tuple[AsyncOpenAI, Callable[[], None]]:
        """A client, and what to call once when it is no longer used (from any place, also a finaliser)."""
        key = (base_url, api_key)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(self._make(base_url, api_key))
        self._entries.move_to_end(key)
        entry.calls += 1
        self._close_surplus()

        def give_back() -> None:
            entry.calls -= 1

        return entry.client, give_back

    async def aclose(self) -> None:
        """Close all, used or not."""
        entries = list(self._entries.values())
        self._entries.clear()
        await asyncio.gather(*self._closing, *(_close(entry.client) for entry in entries))

    def _close_surplus(self) -> None:
        idle = [key for key, entry in self._entries.items() if not entry.calls]
        for key in idle[: max(len(idle) - self._max_idle, 0)]:
            task = asyncio.create_task(_close(self._entries.pop(key).client), name="tenant_client.close")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _close(client: AsyncOpenAI) -> None:
    try:
        await client.close()
    except Exception as error:  # noqa: BLE001 - the others must be closed too; a traceback may show the URL
        log.warning("tenant_client_not_closed", error=type(error).__name__)
