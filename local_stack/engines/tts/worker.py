"""The thread of one speech library: one sentence at a time, the most urgent first.

Whoever waits for the first sentence of a reply hears silence; whoever waits for a later one still plays what came
before. So a later sentence may be overtaken for a while: earliest deadline first, which starves nobody.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

_SLACK_S = 1.0
"""How long a sentence that continues a reply may wait: less than the audio that its client still has to play."""


@dataclass(order=True, slots=True)
class _Job:
    deadline: float
    number: int
    """Keeps the order of arrival between equal deadlines."""
    run: Callable[[], None] = field(compare=False)
    future: Future[None] = field(compare=False)


class SpeechThread:
    """Runs jobs in the order of their deadlines. Used from one event loop; how many wait is up to its callers."""

    def __init__(self, name: str) -> None:
        """Start the thread; it ends with `close`, or with the process."""
        self._jobs: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[], None], *, urgent: bool) -> Future[None]:
        """Queue a job; its outcome is the future's. Cancelling the future withdraws a job that hasn't begun."""
        future: Future[None] = Future()
        deadline = time.monotonic() + (0.0 if urgent else _SLACK_S)
        self._jobs.put(_Job(deadline, next(self._numbers), run, future))
        return future

    def close(self) -> None:
        """End the thread behind the job in progress, and withdraw those that wait."""
        self._closed.set()
        self._jobs.put(_Job(0.0, next(self._numbers), lambda: None, Future()))  # wakes the thread
        self._thread.join()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if self._closed.is_set():
                job.future.cancel()
                break
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                job.run()
            except BaseException as error:  # noqa: BLE001  (it is the future's outcome)
                job.future.set_exception(error)
            else:
                job.future.set_result(None)
        while not self._jobs.empty():
            self._jobs.get().future.cancel()
