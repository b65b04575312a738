"""A producer that answers as a test tells it to, and a mock cluster in a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError

from shared.adapters.kafka import DeliveryReport


@dataclass(frozen=True)
class Produced:
    """A record as the producer was given it."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, Any]]


class ScriptedProducer:
    """KafkaProducer whose brokers are the test.

    Args:
        answer: what becomes of a record: None for delivered, a KafkaError, or an exception that `produce`
            itself raises; "hang" for no answer.
    """

    def __init__(self, answer: Callable[[Produced], KafkaError | Exception | str | None]) -> None:
        self._answer = answer
        self._reports: list[tuple[DeliveryReport, KafkaError | None]] = []
        self._hanging: list[DeliveryReport] = []
        self.produced: list[Produced] = []
        self.delivered: list[Produced] = []
        self.threads: set[str] = set()
        self.reached = threading.Event()
        """Set when a record was handed over."""
        self.gate = threading.Event()
        """While it is clear, `produce` blocks."""
        self.gate.set()
        self.fatal: KafkaError | None = None
        self.error_cb: Callable[[KafkaError], None] = lambda _: None

    def produce(
        self,
        topic: str,
        *,
        key: bytes,
        value: bytes,
        headers: list[tuple[str, str | bytes | None]],
        on_delivery: DeliveryReport,
    ) -> None:
        """Take a record."""
        self.threads.add(threading.current_thread().name)
        self.reached.set()
        self.gate.wait()
        record = Produced(topic, key, value, headers)
        self.produced.append(record)
        answer = self._answer(record)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            self.delivered.append(record)
        if isinstance(answer, str):
            self._hanging.append(on_delivery)
        else:
            self._reports.append((on_delivery, answer))

    def poll(self, timeout: float) -> int:
        """Give the answers that are due."""
        self.threads.add(threading.current_thread().name)
        if self.fatal:
            self.error_cb(self.fatal)
            self.fatal = None
        due, self._reports = self._reports, []
        for report, error in due:
            report(error, None)
        return len(due)

    def purge(self, *, blocking: bool) -> None:
        """Fail all that hang."""
        assert not blocking
        self._reports += [(report, KafkaError(KafkaError._PURGE_INFLIGHT)) for report in self._hanging]
        self._hanging.clear()


@dataclass
class MockCluster:
    """local_stack.broker, running."""

    bootstrap: str
    process: asyncio.subprocess.Process

    def freeze(self) -> None:
        """Brokers that are there and do not answer."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them answer again."""
        self.process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def mock_cluster() -> AsyncIterator[MockCluster]:
    """Start the broker's process, and end it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local_stack.broker", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        ready = json.loads(await process.stdout.readline())
        assert ready["event"] == "ready"
        yield MockCluster(bootstrap=ready["bootstrap"], process=process)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        await process.wait()
