"""One started part: its process on a leash, its log, its ready line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from local_stack.supervisor.logs import BoundedLog
from local_stack.supervisor.spec import ProcessSpec, RunningPart

_LEASH = Path(__file__).with_name("leash.py")
_LEASH_MARGIN_S = 3.0
"""Time that a leash gets beyond its program's grace before it is killed itself."""
_DRAIN_S = 1.0
"""Time for the last output after the exit; a stray grandchild may hold the pipe for ever."""
_MAX_READY_LINE_BYTES = 65_536
_CONNECT_EVERY_S = 0.1


class PartProcess:
    """A running (or ended) part. Made by `start_part`; several tasks may await `stop` and `exited`."""

    def __init__(
        self,
        spec: ProcessSpec,
        process: asyncio.subprocess.Process,
        leash: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        log: BoundedLog,
    ) -> None:
        self.spec = spec
        self.log = log
        self._process = process
        self._leash_reader, self._leash_writer = leash
        self._pid = 0
        self._ready_line: asyncio.Future[Mapping[str, object]] = asyncio.get_running_loop().create_future()
        self._pumps = [
            asyncio.create_task(self._pump(process.stdout, finds_ready=True)),
            asyncio.create_task(self._pump(process.stderr, finds_ready=False)),
        ]
        self._end = asyncio.create_task(self._wait_for_end())

    async def ready(self) -> RunningPart:
        """Wait until the part can be used; no deadline of its own.

        Never returns when the part exits first: wait for `exited` beside it.
        """
        self._pid = int(await self._leash_reader.readline() or b"0")
        if self.spec.announces:
            said = await asyncio.shield(self._ready_line)
        else:
            await _until_accepting(self.spec.port)
            said = {"port": self.spec.port}
        port = said.get("port", 0)
        return RunningPart(
            name=self.spec.name,
            pid=self._pid,
            port=port if isinstance(port, int) else 0,
            ready=said,
            log=self.log.path,
            health_path=self.spec.health.path if self.spec.health else "",
        )

    async def exited(self) -> int:
        """Wait for the end; its status, 128 + n when signal n ended it. Cancelling leaves it running."""
        return await asyncio.shield(self._end)

    async def stop(self) -> None:
        """SIGTERM, grace, SIGKILL (the leash does that), and wait. Stopping twice does nothing."""
        self._leash_writer.close()
        try:
            async with asyncio.timeout(self.spec.grace_s + _LEASH_MARGIN_S):
                await self.exited()
        except TimeoutError:
            self.kill()
            await self.exited()

    def kill(self) -> None:
        """SIGKILL at once, group and leash: the last resort, for when waiting is not possible either."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._pid:
                os.killpg(self._pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _wait_for_end(self) -> int:
        status = await self._process.wait()
        await asyncio.wait(self._pumps, timeout=_DRAIN_S)
        for pump in self._pumps:
            pump.cancel()
        self._leash_writer.close()
        self.log.close()
        return status if status >= 0 else 128 - status

    async def _pump(self, stream: asyncio.StreamReader | None, *, finds_ready: bool) -> None:
        assert stream is not None
        tail = b""
        while chunk := await stream.read(65_536):
            self.log.write(chunk)
            if finds_ready and not self._ready_line.done():
                *lines, tail = (tail + chunk).split(b"\n")
                tail = tail[-_MAX_READY_LINE_BYTES:]
                for line in lines:
                    self._note_ready(line)

    def _note_ready(self, line: bytes) -> None:
        if self._ready_line.done() or not line.lstrip().startswith(b"{"):
            return
        try:
            said = json.loads(line)
        except ValueError:
            return
        if isinstance(said, dict) and said.get("event") == "ready":
            self._ready_line.set_result(said)


async def start_part(spec: ProcessSpec, *, env: Mapping[str, str], cwd: Path, log: BoundedLog) -> PartProcess:
    """Start a part's process.

    Args:
        spec: what to run.
        env: its whole environment.
        cwd: its working directory.
        log: where its output goes; closed with the process.

    Returns:
        The process, perhaps not ready yet. A program that can't be started shows as one that exits with 127.
    """
    ours, theirs = socket.socketpair()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_LEASH), str(theirs.fileno()), str(spec.grace_s), *spec.argv),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl-C in the terminal reaches the supervisor only
        )
        return PartProcess(spec, process, await asyncio.open_connection(sock=ours), log)
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()


async def _until_accepting(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(_CONNECT_EVERY_S)
        else:
            writer.close()
            return
