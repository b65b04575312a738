"""Clients for tenants' own servers: shared, bounded, closed only when nobody uses them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI

from edge_agents.providers.tenant_clients import TenantClients


class Shelf:
    """Clients that reach nobody."""

    def __init__(self, *, max_idle: int) -> None:
        self.made: list[AsyncOpenAI] = []
        self.clients = TenantClients(self._make, max_idle=max_idle)

    def _make(self, base_url: str, api_key: str) -> AsyncOpenAI:
        client = AsyncOpenAI(base_url=base_url, api_key=api_key)
        self.made.append(client)
        return client

    def call(self, number: int) -> AsyncOpenAI:
        """A call that is over at once."""
        client, give_back = self.clients.take(f"https://{number}.example/v1", "none")
        give_back()
        return client

    @property
    def open(self) -> list[str]:
        return [client.base_url.host for client in self.made if not client.is_closed()]


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    shelf = Shelf(max_idle=2)
    yield shelf
    await shelf.clients.aclose()
    assert shelf.open == []


async def settled() -> None:
    """Let closings that were begun come to their end."""
    while tasks := [task for task in asyncio.all_tasks() if task.get_name() == "tenant_client.close"]:
        await asyncio.gather(*tasks)


async def test_calls_to_one_server_share_a_client_and_other_keys_do_not(shelf: Shelf) -> None:
    assert shelf.call(1) is shelf.call(1)
    other_key, _ = shelf.clients.take("https://1.example/v1", "another")
    assert other_key is not shelf.call(1)


async def test_the_idle_client_that_was_used_longest_ago_is_closed(shelf: Shelf) -> None:
    for number in (1, 2, 1, 3, 4, 5):
        shelf.call(number)
    await settled()

    # the newest was in use while the others were counted
    assert shelf.open == ["3.example", "4.example", "5.example"]
    assert len(shelf.clients) == 3


async def test_a_client_in_use_is_never_closed_for_others(shelf: Shelf) -> None:
    client, give_back = shelf.clients.take("https://busy.example/v1", "none")
    for number in range(10):
        shelf.call(number)
    await settled()
    assert not client.is_closed()

    give_back()
    for number in range(10, 14):
        shelf.call(number)
    await settled()
    assert client.is_closed()
