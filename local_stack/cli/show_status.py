"""Ask a running stack's parts how they are, and print it."""

from __future__ import annotations

import asyncio

import aiohttp
import psutil
from rich.table import Table
from rich.text import Text

from local_stack.output import out
from local_stack.state import PartRecord, RunningStack
from local_stack.supervisor.health import is_well

_ANSWER_S = 2.0


def show_status(stack: RunningStack) -> None:
    """Print one row per part: running or not, address, log."""
    health = asyncio.run(_health(stack))
    table = Table(box=None, pad_edge=False)
    for heading in ("part", "state", "pid", "address", "log"):
        table.add_column(heading)
    for name, part in stack.parts.items():
        address = f"127.0.0.1:{part.port}" if part.port else stack.kafka_bootstrap
        state = Text(health[name], style="green" if health[name] == "running" else "bold red")
        table.add_row(name, state, str(part.pid), address, str(part.log))
    out().print(table)
    out().print(f"Running since {stack.started_at.astimezone():%Y-%m-%d %H:%M:%S}.")
    out().print(f"Replies come from {stack.llm}.")


async def _health(stack: RunningStack) -> dict[str, str]:
    timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        states = await asyncio.gather(*(_state(session, part) for part in stack.parts.values()))
    return dict(zip(stack.parts, states, strict=True))


async def _state(session: aiohttp.ClientSession, part: PartRecord) -> str:
    if not psutil.pid_exists(part.pid):
        return "gone"
    if part.health_path and not await is_well(session, part.port, part.health_path):
        return "not answering"
    return "running"
