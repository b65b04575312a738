"""One engine process and one set of a process's shared connections for all tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import pytest_asyncio

from edge_agents.providers.clients import ProviderClients
from tests.contract.load_model_process import Engine, running_engine
from tests.integration.provider_faults.bench import QUICK, Bench, settings_for


@pytest.fixture(scope="session")
def engine_url() -> Iterator[str]:
    with running_engine() as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(engine_url: str) -> AsyncIterator[Bench]:
    async with (
        aiohttp.ClientSession() as session,
        ProviderClients(settings_for(engine_url), deadlines=QUICK) as clients,
    ):
        yield Bench(Engine(engine_url, session), clients)


@pytest_asyncio.fixture(loop_scope="module")
async def desk(bench: Bench) -> AsyncIterator[Bench]:
    """The bench, quick and without faults."""
    await bench.engine.use_profile()
    yield bench
    await bench.engine.heal()
