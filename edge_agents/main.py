"""Entry point of the agent process: `python -m edge_agents.main [rooms]`.

Without an argument it serves callers' WebSockets; `rooms` makes it a livekit-agents worker. Settings come
from PARLEY_… variables (settings.py). When it listens it prints one line `{"event":"ready","port":N}`; when it
can't, one line `error[code]: …` on standard error.

SIGTERM drains: no new calls, those in progress finish (at most drain_timeout_s). A second SIGTERM is ignored:
orchestrators repeat it, and it must not cut calls.
"""

from __future__ import annotations

import asyncio
import re
import sys

import structlog
from aiohttp import web
from pydantic import ValidationError
from pydantic_settings import SettingsError

from edge_agents.bootstrap import agent_runtime
from edge_agents.host.listening import cannot_listen
from edge_agents.host.server import agent_app
from edge_agents.host.signals import StopSignals, announce_ready
from edge_agents.settings import AgentSettings
from shared.domain.call import EndReason
from shared.errors import InvalidSettingsError, ParleyError, UsageError
from shared.telemetry import configure_logging

log = structlog.get_logger(__name__)

_QUOTED_FIELD = re.compile(r'field "(\w+)"')
_HANG_UP_S = 15.0
"""Time that calls get to close their books after being cut."""


def main() -> int:
    """Run until told to stop; returns the exit status: 1 for a failure, 2 for wrong usage or settings."""
    try:
        rooms = _hosts_rooms(sys.argv[1:])
        settings = _read_settings()
        configure_logging("agent", level=settings.log_level, json=settings.log_json)
        if rooms:
            # imported here: the worker loads libwebrtc, which WebSocket hosts do not need
            from edge_agents.host.livekit_worker import run_worker  # noqa: PLC0415

            run_worker(settings)
        else:
            asyncio.run(serve(settings))
    except ParleyError as error:
        hint = f" {error.hint}" if error.hint else ""
        sys.stderr.write(f"error[{error.code}]: {error.message}.{hint}\n")
        return 2 if isinstance(error, UsageError | InvalidSettingsError) else 1
    return 0


def _hosts_rooms(arguments: list[str]) -> bool:
    if arguments not in ([], ["rooms"]):
        given = " ".join(arguments)
        raise UsageError(
            f"unknown arguments: {given[:200]!r}",
            hint="Give `rooms` to answer LiveKit rooms, or nothing to answer WebSocket callers.",
        )
    return arguments == ["rooms"]


def _read_settings() -> AgentSettings:
    try:
        return AgentSettings()
    except ValidationError as error:
        # "" is the settings as a whole: a rule about several of them
        bad = {"__".join(map(str, e["loc"])).upper() for e in error.errors()}
    except SettingsError as error:
        # a value that should be JSON is not; the message quotes the field's name, never the value
        bad = {name.upper() for name in _QUOTED_FIELD.findall(str(error))}
    names = ", ".join(sorted(f"PARLEY_{name}" if name else "PARLEY_ALLOW_LOOPBACK" for name in bad))
    raise InvalidSettingsError(
        f"missing or malformed: {names}", hint="docs/api/agent_configuration.md lists all settings."
    )


async def serve(settings: AgentSettings) -> None:
    """Serve WebSocket callers until SIGTERM (drain) or SIGINT (hang up)."""
    async with agent_runtime(settings) as runtime:
        runner = web.AppRunner(agent_app(runtime), access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except (OSError, UnicodeError) as error:
            await runner.cleanup()
            raise cannot_listen(settings, error) from error
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
