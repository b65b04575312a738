"""Run one local engine as a process of its own: listen, say so, answer health checks, and end cleanly.

Every engine is started by a supervisor (or a test) that reads one line from its standard output, so nothing
else may be printed there:

    {"event": "ready", "port": 40123}

The process ends with status 0 on SIGTERM or SIGINT, and by itself when the process that started it is gone: a
supervisor killed with SIGKILL must not leave engines behind that hold ports and memory.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

from aiohttp import web

_PARENT_POLL_S = 0.5
"""How often a dead parent is looked for; an orphan lives at most this long."""

_SHUTDOWN_TIMEOUT_S = 0.25
"""Time that requests and open sockets get at the end before they are cancelled. Clients pool sockets for an
hour: there is nearly always one."""

_LISTEN_BACKLOG = 1024
"""Connections waiting for accept: a burst of calls opens its sockets in the same instant."""


def engine_arguments(description: str) -> argparse.ArgumentParser:
    """Build the command line that every engine has; an engine adds its own options to it.

    Args:
        description: one line for `--help`.

    Returns:
        A parser with `--host` (default 127.0.0.1) and `--port` (default 0: any free port).
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=_port, default=0, help="TCP port; 0 takes a free one")
    return parser


def run_engine(app: web.Application, *, host: str, port: int, engine: str) -> None:
    """Serve `app` until SIGTERM, SIGINT or the death of the parent process.

    Adds `GET /healthz` -> 200 `{"status": "ok", "engine": engine}` to the app. A handler is cancelled when
    its client goes away: nothing is done for those who left. `finally` blocks and `on_cleanup` handlers run.

    Args:
        app: an application that is not yet frozen and has no `/healthz`.
        host: address to listen on.
        port: 0..65535; 0 takes a free port, which the ready line names.
        engine: the engine's name in health answers.

    Raises:
        SystemExit: status 2 with one line on standard error when the address can't be had.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    try:
        listener = _listen(host, port)
    except OSError as error:
        print(f"{engine}: cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    app.router.add_get("/healthz", _health(engine))
    with listener:
        asyncio.run(_serve(app, listener))


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is not in 0..65535")
    return port


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _health(engine: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "engine": engine})

    return health


async def _serve(app: web.Application, listener: socket.socket) -> None:
    parent_pid = os.getppid()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_TIMEOUT_S
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listener, backlog=_LISTEN_BACKLOG).start()
        ready = {"event": "ready", "port": listener.getsockname()[1]}
        print(json.dumps(ready, separators=(",", ":")), flush=True)  # noqa: T201
        await _until_stopped_or_orphaned(stop, parent_pid)
    finally:
        await runner.cleanup()


async def _until_stopped_or_orphaned(stop: asyncio.Event, parent_pid: int) -> None:
    while not stop.is_set() and os.getppid() == parent_pid:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _PARENT_POLL_S)
