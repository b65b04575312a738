"""Entry point of the agent process: `python -m edge_agents.main [rooms]`.

Without an argument it serves callers' WebSockets; `rooms` makes it a livekit-agents worker. Settings come
from PARLEY_… variables (settings.py). When it listens it prints one line `{"event":"ready","port":N}`.

SIGTERM drains: no new calls, those in progress finish (at most drain_timeout_s). A second SIGTERM is ignored:
orchestrators repeat it, and it must not cut calls.
"""

from __future__ import annotations

import asyncio
import sys

import structlog
from aiohttp import web
from pydantic import ValidationError

from edge_agents.bootstrap import agent_runtime
from edge_agents.host.server import agent_app
from edge_agents.host.signals import StopSignals, announce_ready
from edge_agents.settings import AgentSettings
from shared.domain.call import EndReason
from shared.errors import ParleyError
from shared.telemetry import configure_logging

log = structlog.get_logger(__name__)

_HANG_UP_S = 15.0
"""Time that calls get to close their books after being cut."""


def main() -> int:
    """Run until told to stop; returns the exit status."""
    try:
        settings = AgentSettings()
    except ValidationError as error:
        names = ", ".join("PARLEY_" + "__".join(map(str, e["loc"])).upper() for e in error.errors())
        sys.stderr.write(f"error[invalid_settings]: {names}\n")
        return 2
    configure_logging("agent", level=settings.log_level, json=settings.log_json)
    try:
        if sys.argv[1:] == ["rooms"]:
            # imported here: the worker loads libwebrtc, which WebSocket hosts do not need
            from edge_agents.host.livekit_worker import run_worker  # noqa: PLC0415

            run_worker(settings)
        else:
            asyncio.run(serve(settings))
    except ParleyError as error:
        log.error("agent_failed", code=error.code, message=error.message)
        return 1
    return 0


async def serve(settings: AgentSettings) -> None:
    """Serve WebSocket callers until SIGTERM (drain) or SIGINT (hang up)."""
    async with agent_runtime(settings) as runtime:
        runner = web.AppRunner(agent_app(runtime), access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        stop = StopSignals()
        announce_ready(runner.addresses[0][1])
        await stop.asked.wait()
        log.info("draining", active_calls=runtime.desk.active_calls)
        await stop.unless_at_once(runtime.desk.drain(settings.drain_timeout_s))
        runtime.desk.hang_up_all(EndReason.WORKER_LOST)
        await runtime.desk.drain(_HANG_UP_S)
        await runner.cleanup()


if __name__ == "__main__":
    sys.exit(main())
