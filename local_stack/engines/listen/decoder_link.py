"""One decoder process as the front sees it: a line of jobs, worked off one at a time, the most urgent first."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from local_stack.engines.listen.decoder_protocol import Head, pack, receive_message

_WORKER = "local_stack.engines.listen.decoder_worker"
_RESTART_DELAY_S = 0.5
_STOP_TIMEOUT_S = 1.0

logger = logging.getLogger(__name__)


class DecoderLostError(Exception):
    """The decoder process died over a job, or refused it."""


class Urgency(IntEnum):
    """Of two jobs that wait, the one with the lower number is done first."""

    DEFINE = 0
    FINAL = 1
    """Somebody waits for it."""
    INTERIM = 2
    RELEASE = 3
    RECORDING = 4
    """A final of a recording that is transcribed as a whole."""
    WARM = 5


@dataclass(order=True)
class _Job:
    urgency: Urgency
    number: int
    head: Head = field(compare=False)
    body: bytes = field(compare=False)
    answer: asyncio.Future[Head] = field(compare=False)


class DecoderLink:
    """A decoder process that is started again when it dies.

    Args:
        setting_up: jobs that a fresh process gets ahead of all others.
    """

    def __init__(self, setting_up: Callable[[], Iterable[tuple[Head, bytes]]]) -> None:
        self._setting_up = setting_up
        self._jobs: list[_Job] = []
        self._numbers = 0
        self._background: set[asyncio.Task[Head]] = set()
        self._wake = asyncio.Event()
        self._ready = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        self.backlog_bytes = 0
        """Audio that waits or is being decoded."""
        self.leases = 0
        """Utterances that have an interim decoder there; kept by the pool."""

    @property
    def ready(self) -> bool:
        """Whether there is a process that answers; if not, jobs wait for the next one."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Wait until the process answers."""
        await self._ready.wait()

    async def ask(self, urgency: Urgency, head: Head, body: bytes = b"") -> Head:
        """Have a job done.

        A job that is cancelled before its turn is not done at all; one that is being done is done to its end.

        Raises:
            DecoderLostError: the process died over it, or refused it.
        """
        answer: asyncio.Future[Head] = asyncio.get_running_loop().create_future()
        self._numbers += 1
        heapq.heappush(self._jobs, _Job(urgency, self._numbers, head, body, answer))
        self.backlog_bytes += len(body)
        self._wake.set()
        return await answer

    def ask_in_background(self, urgency: Urgency, head: Head) -> None:
        """Have a job done that nobody waits for; that it failed is logged."""
        task = asyncio.create_task(self.ask(urgency, head))
        self._background.add(task)
        task.add_done_callback(self._forget)

    async def close(self) -> None:
        """End the process; jobs that wait are cancelled."""
        self._task.cancel()
        await asyncio.wait([self._task])
        for job in self._jobs:
            job.answer.cancel()
        self._jobs.clear()

    def _forget(self, task: asyncio.Task[Head]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("a decoder did not do its housekeeping: %s", error)

    async def _run(self) -> None:
        while True:
            try:
                async with _worker_process() as process:
                    await self._serve(process)
            except (OSError, asyncio.IncompleteReadError):
                self._ready.clear()
                logger.warning("a decoder process died and is started again")
            await asyncio.sleep(_RESTART_DELAY_S)

    async def _serve(self, process: asyncio.subprocess.Process) -> None:
        for head, body in self._setting_up():
            await _exchange(process, head, body)
        self._ready.set()
        while True:
            while not self._jobs:
                self._wake.clear()
                await self._wake.wait()
            job = heapq.heappop(self._jobs)
            try:
                if not job.answer.done():
                    await self._do(process, job)
            finally:
                self.backlog_bytes -= len(job.body)

    async def _do(self, process: asyncio.subprocess.Process, job: _Job) -> None:
        try:
            answer = await _exchange(process, job.head, job.body)
        except (OSError, asyncio.IncompleteReadError):
            _fail(job, "the decoder process died")
            raise
        if "error" in answer:
            _fail(job, f"the decoder failed: {answer['error']}")
        elif not job.answer.done():
            job.answer.set_result(answer)


def _fail(job: _Job, reason: str) -> None:
    if not job.answer.done():
        job.answer.set_exception(DecoderLostError(reason))


async def _exchange(process: asyncio.subprocess.Process, head: Head, body: bytes) -> Head:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(pack(head, body))
    await process.stdin.drain()
    answer, _ = await receive_message(process.stdout)
    return answer


@contextlib.asynccontextmanager
async def _worker_process() -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", _WORKER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let the process end by itself; it does when its pipe closes, unless it is in the middle of a decoding."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
