"""Publishing while brokers are there and do not answer: the call goes on, memory stays bounded, nothing is lost.

Only these tests thaw the brokers, so a publish that waited for an answer would never come back. How long one takes
is measured by `make bench` (tests/bench/publishing.py).
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.adapters.event_limits import BufferLimits
from shared.adapters.kafka import KafkaEventPublisher
from shared.adapters.kafka_consumer import EventReader
from shared.contracts.event import Event
from shared.ids import IdKind, new_id
from tests.fakes.examples import call_admitted
from tests.fakes.kafka import MockCluster, mock_cluster
from tests.fakes.waiting import until

QUICK = BufferLimits(delivery_timeout_s=1.0, probe_interval_s=0.1)


@pytest.fixture
async def frozen(tmp_path: Path) -> AsyncIterator[tuple[MockCluster, KafkaEventPublisher]]:
    """A publisher that has met its brokers, which then stop answering."""
    async with mock_cluster() as cluster, _publishing(cluster, tmp_path, QUICK) as publisher:
        await _met(publisher)
        cluster.freeze()
        yield cluster, publisher


@asynccontextmanager
async def _publishing(
    cluster: MockCluster, folder: Path, limits: BufferLimits, **bounds: int
) -> AsyncIterator[KafkaEventPublisher]:
    publisher = KafkaEventPublisher(
        bootstrap=cluster.bootstrap, spill_dir=folder, source="/parley/test", limits=limits, **bounds
    )
    try:
        yield publisher
    finally:
        await publisher.aclose(10)


async def _met(publisher: KafkaEventPublisher) -> None:
    """One event is delivered: the connection stands."""
    publisher.publish(call_admitted(call_id="call_first"))
    await until(lambda: publisher.stats.delivered == 1)


def a_call_s_events(count: int) -> list[Event]:
    call_id = new_id(IdKind.CALL)
    return [call_admitted(call_id=call_id, segment=number + 1) for number in range(count)]


def on_disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


async def received_ids(cluster: MockCluster, call_id: str, count: int) -> list[str]:
    reader = EventReader(bootstrap=cluster.bootstrap)
    received = await reader.read(call_id=call_id, until=lambda found: len(found) >= count, timeout_s=20)
    return [one.event.event_id for one in received]


async def test_a_call_s_loop_turns_between_any_two_events(
    frozen: tuple[MockCluster, KafkaEventPublisher],
) -> None:
    _, publisher = frozen
    assert not inspect.iscoroutinefunction(publisher.publish)
    turns: Counter[int] = Counter()
    published = 0

    async def rest_of_the_call() -> None:
        while True:
            turns[published] += 1
            await asyncio.sleep(0)

    call = asyncio.create_task(rest_of_the_call())
    for event in a_call_s_events(300):
        publisher.publish(event)
        published += 1
        await asyncio.sleep(0)
    call.cancel()
    assert set(turns) >= set(range(1, 300))
    assert publisher.stats.dropped == 0


async def test_the_spill_grows_while_they_are_frozen_and_every_event_arrives_once_afterwards(
    frozen: tuple[MockCluster, KafkaEventPublisher], tmp_path: Path
) -> None:
    cluster, publisher = frozen
    events = a_call_s_events(400)
    sizes = [on_disk_bytes(tmp_path)]
    for start in range(0, 400, 100):
        for event in events[start : start + 100]:
            publisher.publish(event)
        assert await publisher.flush(20)  # not delivered: on disk
        sizes.append(on_disk_bytes(tmp_path))
    assert publisher.brokers_away
    assert publisher.stats.delivered == 1
    assert publisher.stats.buffered == 0
    assert all(later > earlier for earlier, later in itertools.pairwise(sizes))

    cluster.thaw()
    await until(lambda: publisher.stats.spilled_bytes_now == 0 and not publisher.brokers_away)
    assert publisher.stats.dropped == 0
    assert on_disk_bytes(tmp_path) == 0
    ids = await received_ids(cluster, str(events[0].key), 400)
    assert ids == [event.event_id for event in events]


async def test_with_the_disk_full_as_well_memory_is_bounded_and_every_loss_is_counted(tmp_path: Path) -> None:
    limits = BufferLimits(
        max_records=100, spill_above_records=50, delivery_timeout_s=1.0, probe_interval_s=0.1
    )
    async with (
        mock_cluster() as cluster,
        _publishing(cluster, tmp_path, limits, spill_max_bytes=20_000) as publisher,
    ):
        await _met(publisher)
        cluster.freeze()
        events = a_call_s_events(500)
        for event in events[:50]:
            publisher.publish(event)
        await until(lambda: publisher.brokers_away)
        for event in events[50:]:
            publisher.publish(event)
        stats = publisher.stats
        assert stats.buffered <= 100
        assert stats.dropped > 0
        assert on_disk_bytes(tmp_path) <= 20_000

        cluster.thaw()
        await until(lambda: not publisher.stats.buffered and not publisher.stats.spilled_bytes_now)
        kept = 500 - publisher.stats.dropped
        ids = await received_ids(cluster, str(events[0].key), kept)
    assert len(ids) == len(set(ids)) == kept
    assert ids == [event.event_id for event in events if event.event_id in set(ids)]
