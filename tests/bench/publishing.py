"""`make bench`: how long publishing an event holds up a call, with brokers that answer, that froze, that never were.

A call publishes from its event loop. Two things are measured there: each `publish` call, and by how much the loop's
own 1 ms tick comes late while events are published: the longest pause that audio would meet. A busy machine is late
by itself, so the same loop is measured just before, publishing nothing. Publishing may hold a call up for 50 ms.
Brokers freeze by SIGSTOP: connections stand and nobody answers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.adapters.kafka import KafkaEventPublisher
from shared.contracts.turns import TurnCompleted
from shared.ids import IdKind, new_id
from tests.fakes.examples import every_event
from tests.fakes.kafka import mock_cluster

OUT = Path("bench-out/publishing.json")
LIMIT_MS = 50.0
TICK_S = 0.001
LASTS_S = float(os.environ.get("BENCH_PUBLISHING_S", "10"))
"""Per scenario; twice the 5 s after which brokers that do not answer count as away, so that both routes are met."""
EVENTS_A_ROUND = 10
ROUND_S = 0.020
"""500 events a second: what a few hundred calls at once publish."""

Publish = Callable[[TurnCompleted], None]


@dataclass
class Measured:
    """One scenario's samples."""

    publish_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    """By how much each tick came later than asked."""


async def tick(measured: Measured) -> None:
    """The rest of the call: asks to run every millisecond."""
    while True:
        asked_s = time.perf_counter() + TICK_S
        await asyncio.sleep(TICK_S)
        measured.late_ms.append((time.perf_counter() - asked_s) * 1000)


async def measure(publish: Publish | None, lasts_s: float = LASTS_S) -> Measured:
    """Publish for so long, or only tick."""
    measured = Measured()
    ticking = asyncio.create_task(tick(measured))
    event = next(event for event in every_event() if isinstance(event, TurnCompleted))
    ends_s = time.perf_counter() + lasts_s
    while time.perf_counter() < ends_s:
        for _ in range(EVENTS_A_ROUND if publish else 0):
            one = event.model_copy(update={"event_id": new_id(IdKind.EVENT)})
            began_s = time.perf_counter()
            publish(one)
            measured.publish_ms.append((time.perf_counter() - began_s) * 1000)
        await asyncio.sleep(ROUND_S)
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    return measured


@asynccontextmanager
async def publisher_to(bootstrap: str) -> AsyncIterator[KafkaEventPublisher]:
    """A publisher with the product's own limits and a spill folder of its own."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        publisher = KafkaEventPublisher(bootstrap=bootstrap, spill_dir=Path(folder), source="/parley/bench")
        try:
            yield publisher
        finally:
            await publisher.aclose(5)


async def live() -> dict[str, Any]:
    """Brokers that answer."""
    async with mock_cluster() as cluster, publisher_to(cluster.bootstrap) as publisher:
        return await result(publisher)


async def frozen() -> dict[str, Any]:
    """Brokers that answered once and then stop."""
    async with mock_cluster() as cluster, publisher_to(cluster.bootstrap) as publisher:
        publisher.publish(next(event for event in every_event() if isinstance(event, TurnCompleted)))
        await publisher.flush(10)
        try:
            return await result(publisher, cluster.freeze)
        finally:
            cluster.thaw()


async def dead() -> dict[str, Any]:
    """An address where nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        async with publisher_to(f"127.0.0.1:{reserved.getsockname()[1]}") as publisher:
            return await result(publisher)


async def result(publisher: KafkaEventPublisher, before: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Measure one scenario: the loop without publishing, then with it; `before` is called in between."""
    idle = await measure(None, LASTS_S / 2)
    before()
    measured = await measure(publisher.publish)
    stats = publisher.stats
    return {
        "publish_ms": spread(measured.publish_ms),
        "loop_late_ms": spread(measured.late_ms),
        "loop_late_ms_publishing_nothing": spread(idle.late_ms),
        "events": {
            "published": len(measured.publish_ms),
            "delivered": stats.delivered,
            "spilled": stats.spilled,
            "dropped": stats.dropped,
        },
        "publish_within_limit": max(measured.publish_ms) <= LIMIT_MS,
    }


def spread(samples: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum, rounded to microseconds."""
    cuts = statistics.quantiles(samples, n=100)
    return {
        name: round(value, 3) for name, value in (("p50", cuts[49]), ("p99", cuts[98]), ("max", max(samples)))
    }


async def report() -> dict[str, Any]:
    """All scenarios, one after another."""
    scenarios = {}
    for scenario in (live, frozen, dead):
        scenarios[scenario.__name__] = found = await scenario()
        print(f"publishing, {scenario.__name__} brokers: {json.dumps(found)}", flush=True)
    return {
        "what": "time of one publish() call, and lateness of a 1 ms tick on the same loop",
        "limit_ms": LIMIT_MS,
        "events_per_s": round(EVENTS_A_ROUND / ROUND_S),
        "seconds_each": LASTS_S,
        "machine": {
            "cpus": os.cpu_count(),
            "load_average_1_min": round(os.getloadavg()[0], 2),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "scenarios": scenarios,
    }


def main() -> None:
    """Run and write bench-out/publishing.json."""
    logging.getLogger("parley.librdkafka").setLevel(logging.CRITICAL)  # brokers are away on purpose
    text = json.dumps(asyncio.run(report()), indent=2) + "\n"
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(text, "utf-8")
    print(f"written: {OUT}")


if __name__ == "__main__":
    main()
