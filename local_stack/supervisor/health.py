"""Ask running parts whether they are well."""

from __future__ import annotations

import asyncio

import aiohttp

from local_stack.supervisor.spec import HealthCheck


async def until_ill(port: int, check: HealthCheck) -> None:
    """Return when `check.failures` checks in a row have failed; runs for ever otherwise."""
    failed = 0
    # trust_env stays off: a proxy of the user's must not stand between us and loopback
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=check.timeout_s)) as session:
        while failed < check.failures:
            await asyncio.sleep(check.every_s)
            failed = 0 if await is_well(session, port, check.path) else failed + 1


async def is_well(session: aiohttp.ClientSession, port: int, path: str) -> bool:
    """Whether one health check is answered with 200 in the session's time limit."""
    try:
        async with session.get(f"http://127.0.0.1:{port}{path}") as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
