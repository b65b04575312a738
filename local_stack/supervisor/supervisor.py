"""Start parts, watch them, stop them all: the thin shell around `StackMachine`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from local_stack.supervisor.failures import failure_error
from local_stack.supervisor.health import until_ill
from local_stack.supervisor.logs import BoundedLog
from local_stack.supervisor.machine import (
    AllReady,
    Begin,
    Event,
    Finished,
    HealthLost,
    PartExited,
    PartReady,
    PartState,
    ReadyTimedOut,
    StackMachine,
    StartPart,
    StopPart,
    StopRequested,
)
from local_stack.supervisor.process import PartProcess, start_part
from local_stack.supervisor.spec import ProcessSpec, RunningPart
from shared.errors import StackError

T = TypeVar("T")

_EVENTS_PER_PART = 4
"""Ready or timed out, ill, exited; one spare. The queue is never full, so nothing waits for it."""
_COULD_NOT_START = 126


class Supervisor:
    """Runs the parts of a stack, all or none.

    `async with Supervisor(...)` starts them and stops them at the end. When one part fails, all are stopped
    and `wait` (or `start`, or `guard`) raises. A supervisor runs once.

    Args:
        specs: the parts.
        log_dir: folder for `<name>.log`; made when missing.
        base_env: the environment that all parts share.
        cwd: the parts' working directory.

    Raises:
        StackError: the specs contradict each other.
    """

    def __init__(
        self, specs: Sequence[ProcessSpec], *, log_dir: Path, base_env: Mapping[str, str], cwd: Path
    ) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._machine = StackMachine(specs)
        self._log_dir = log_dir
        self._base_env = dict(base_env)
        self._cwd = cwd
        self._events: asyncio.Queue[Event] = asyncio.Queue(_EVENTS_PER_PART * len(specs) + 8)
        self._running: dict[str, RunningPart] = {}
        self._processes: dict[str, PartProcess] = {}
        self._made = {name: asyncio.Event() for name in self._specs}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = asyncio.Event()
        self._stop_asked = False
        self._loop_task: asyncio.Task[StackError | None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def parts(self) -> Mapping[str, RunningPart]:
        """Parts that became ready, in starting order (a copy)."""
        return {name: self._running[name] for name in self._machine.states if name in self._running}

    @property
    def states(self) -> Mapping[str, PartState]:
        """State of every part, in starting order."""
        return self._machine.states

    def log_path(self, name: str) -> Path:
        """Where the output of a part goes."""
        return self._log_dir / f"{name}.log"

    async def start(self) -> Mapping[str, RunningPart]:
        """Start all parts and wait until they are ready. Cancelling stops all of them first.

        Raises:
            StackError: a part failed; all others have been stopped.
        """
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._loop_task = asyncio.create_task(self._supervise())
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait({ready, self._loop_task}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.stop()
            raise
        finally:
            ready.cancel()
        if not self._ready.is_set():
            await self.wait()
        return self.parts

    async def wait(self) -> None:
        """Wait until the stack is down. Cancelling leaves it running.

        Raises:
            StackError: a part failed; all others have been stopped.
        """
        assert self._loop_task is not None, "not started"
        error = await asyncio.shield(self._loop_task)
        if error is not None:
            raise error

    async def stop(self) -> None:
        """Stop all parts, in reverse order, and wait. A failure of before is not raised again."""
        if self._loop_task is None:
            return
        if not self._stop_asked:
            self._stop_asked = True
            self._events.put_nowait(StopRequested())
        stopping = self._loop_task
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            # A second Ctrl-C: no more grace, but nothing may be left behind.
            for process in self._processes.values():
                process.kill()
            await asyncio.wait({stopping})
            raise

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the stack; when a part fails first, `work` is cancelled.

        Raises:
            StackError: a part failed, or the stack was stopped, before `work` was done.
        """
        task = asyncio.create_task(work)
        down = asyncio.create_task(self.wait())
        try:
            await asyncio.wait({task, down}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            await down
            raise StackError("the local stack was stopped")
        finally:
            for pending in (task, down):
                pending.cancel()
            await asyncio.gather(task, down, return_exceptions=True)

    async def _supervise(self) -> StackError | None:
        self._events.put_nowait(Begin())
        while True:
            event = await self._events.get()
            for command in self._machine.on(event):
                match command:
                    case StartPart(name):
                        self._spawn(self._run_part(self._specs[name]))
                    case StopPart(name):
                        self._spawn(self._stop_part(name))
                    case AllReady():
                        self._ready.set()
                    case Finished(failure):
                        await self._end_tasks()
                        if failure is None:
                            return None
                        spec = self._specs[failure.name]
                        return failure_error(
                            failure, log=self.log_path(failure.name), ready_timeout_s=spec.ready_timeout_s
                        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run_part(self, spec: ProcessSpec) -> None:
        """One part from start to exit; always ends with `PartExited`."""
        log = BoundedLog(self.log_path(spec.name))
        try:
            env = {**self._base_env, **spec.env, **spec.env_from(self.parts)}
            process = await start_part(spec, env=env, cwd=self._cwd, log=log)
        except Exception as error:  # noqa: BLE001 - whatever wiring raises must bring the stack down, not hang it
            log.write(f"cannot start: {type(error).__name__}: {error}\n".encode())
            log.close()
            self._events.put_nowait(PartExited(spec.name, _COULD_NOT_START))
            return
        self._processes[spec.name] = process
        self._made[spec.name].set()
        exited = asyncio.create_task(process.exited())
        watch = asyncio.create_task(self._watch(spec, process))
        status = await exited
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        self._events.put_nowait(PartExited(spec.name, status))

    async def _watch(self, spec: ProcessSpec, process: PartProcess) -> None:
        """Report when the part is ready, and when it falls ill after that."""
        try:
            async with asyncio.timeout(spec.ready_timeout_s):
                part = await process.ready()
        except TimeoutError:
            self._events.put_nowait(ReadyTimedOut(spec.name))
            return
        self._running[spec.name] = part
        self._events.put_nowait(PartReady(spec.name))
        if spec.health is not None and part.port:
            await until_ill(part.port, spec.health)
            self._events.put_nowait(HealthLost(spec.name))

    async def _stop_part(self, name: str) -> None:
        # a stop may come while the process is just being made
        await self._made[name].wait()
        await self._processes[name].stop()


def inherited_env() -> dict[str, str]:
    """This process's environment for parts: output unbuffered, loopback never through a proxy."""
    env = dict(os.environ)
    env["PYTHONUNBUFFERED"] = "1"
    for key in ("NO_PROXY", "no_proxy"):
        env[key] = ",".join(filter(None, (env.get(key, ""), "127.0.0.1,localhost")))
    return env
