"""Events over the Kafka protocol: publisher and reader against a real mock cluster in its own process.

Brokers go away in two ways here: they are there and do not answer (SIGSTOP), and they are not there yet
(a port on which nobody listens until later).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from shared.adapters.event_limits import BufferLimits
from shared.adapters.kafka import KafkaEventPublisher
from shared.adapters.kafka_consumer import EventReader, ReceivedEvent
from shared.contracts.event import CallEvent, Event
from shared.errors import RemoteError
from shared.ids import IdKind, new_id
from shared.names import Topic
from tests.fakes.examples import CANARY, call_admitted, every_event
from tests.fakes.kafka import MockCluster, mock_cluster
from tests.fakes.waiting import until

PATIENT = BufferLimits(delivery_timeout_s=60.0)
"""For tests in which brokers are there: a busy machine is no outage."""

QUICK = BufferLimits(delivery_timeout_s=1.0, probe_interval_s=0.1)
"""For tests in which they are not."""


@pytest.fixture
async def cluster() -> AsyncIterator[MockCluster]:
    async with mock_cluster() as running:
        yield running


@asynccontextmanager
async def publishing(
    bootstrap: str, folder: Path, limits: BufferLimits = PATIENT
) -> AsyncIterator[KafkaEventPublisher]:
    publisher = KafkaEventPublisher(
        bootstrap=bootstrap, spill_dir=folder, source="/parley/test", limits=limits
    )
    try:
        yield publisher
    finally:
        await publisher.aclose(10)


def at_least(count: int) -> Callable[[Sequence[ReceivedEvent]], bool]:
    return lambda events: len(events) >= count


def publish(publisher: KafkaEventPublisher, events: Sequence[Event]) -> None:
    for event in events:
        publisher.publish(event)


def away(publisher: KafkaEventPublisher) -> bool:
    return publisher.brokers_away


def sent_again(publisher: KafkaEventPublisher) -> bool:
    """Whether all that went to disk is with the brokers. (A busy machine may send more that way than meant.)"""
    stats = publisher.stats
    return stats.resent >= stats.spilled and not stats.buffered and not stats.spilled_bytes_now


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


async def test_every_kind_of_event_comes_back_as_it_was_published(
    cluster: MockCluster, tmp_path: Path
) -> None:
    events = every_event()
    async with publishing(cluster.bootstrap, tmp_path) as publisher:
        for event in events:
            publisher.publish(event)
        assert await publisher.flush(10)
        assert publisher.stats.delivered == len(events)
    reader = EventReader(bootstrap=cluster.bootstrap)
    received = await reader.read(until=at_least(len(events)), timeout_s=10)
    assert {r.event.event_id: r.event for r in received} == {event.event_id: event for event in events}
    for one in received:
        assert isinstance(one.event, CallEvent)
        assert one.topic == one.event.TOPIC
        assert one.key == one.event.call_id == one.headers["call_id"]
        assert one.headers["ce_id"] == one.event.event_id
        assert CANARY not in repr(one)
    assert (reader.skipped, reader.duplicates) == (0, 0)


async def test_events_of_a_call_keep_their_order_and_other_calls_are_not_read(
    cluster: MockCluster, tmp_path: Path
) -> None:
    calls = [new_id(IdKind.CALL) for _ in range(5)]
    async with publishing(cluster.bootstrap, tmp_path) as publisher:
        for segment in range(1, 41):
            for call_id in calls:
                publisher.publish(call_admitted(call_id=call_id, segment=segment))
        assert await publisher.flush(10)
    reader = EventReader(bootstrap=cluster.bootstrap, topics=[Topic.CALLS])
    received = await reader.read(call_id=calls[2], until=at_least(40), timeout_s=10)
    assert [one.event.model_dump()["segment"] for one in received] == list(range(1, 41))
    assert {one.key for one in received} == {calls[2]}
    assert len({one.partition for one in received}) == 1


async def test_brokers_that_stop_answering_block_nobody_and_get_everything_later(
    cluster: MockCluster, tmp_path: Path
) -> None:
    call_id = new_id(IdKind.CALL)
    events = [call_admitted(call_id=call_id, segment=index + 1) for index in range(600)]
    async with publishing(cluster.bootstrap, tmp_path, QUICK) as publisher:
        publish(publisher, events[:100])
        assert await publisher.flush(10)
        cluster.freeze()
        # only this test thaws them: a publish that waited for an answer would never come back
        publish(publisher, events[100:400])
        assert await publisher.flush(10)  # they are on disk
        assert away(publisher)
        assert publisher.stats.spilled >= 300
        publish(publisher, events[400:])
        assert await publisher.flush(10)
        cluster.thaw()
        await until(lambda: sent_again(publisher))
        assert not away(publisher)
        assert publisher.stats.dropped == 0
    assert is_empty(tmp_path)
    received = await EventReader(bootstrap=cluster.bootstrap).read(
        call_id=call_id, until=at_least(600), timeout_s=10
    )
    assert [one.event.event_id for one in received] == [event.event_id for event in events]


async def test_a_publisher_that_starts_without_brokers_sends_when_they_come(
    cluster: MockCluster, tmp_path: Path
) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        port = reserved.getsockname()[1]
        async with publishing(f"127.0.0.1:{port}", tmp_path, QUICK) as publisher:
            events = [call_admitted(call_id="call_1", segment=index + 1) for index in range(50)]
            publish(publisher, events)
            assert await publisher.flush(10)
            assert publisher.stats.spilled >= 50
            reserved.close()
            async with _forwarding(port, cluster.bootstrap):
                await until(lambda: sent_again(publisher))
    received = await EventReader(bootstrap=cluster.bootstrap).read(until=at_least(50), timeout_s=10)
    assert [one.event for one in received] == events


async def test_what_a_killed_process_spilled_is_sent_by_the_next(
    cluster: MockCluster, tmp_path: Path
) -> None:
    script = (
        "import asyncio, sys, pathlib\n"
        "from shared.adapters.kafka import KafkaEventPublisher\n"
        "from shared.adapters.event_limits import BufferLimits\n"
        "from tests.fakes.examples import call_admitted\n"
        "from shared.telemetry import configure_logging\n"
        "async def main():\n"
        "    configure_logging('test')\n"
        "    publisher = KafkaEventPublisher(bootstrap='127.0.0.1:1', source='/x',\n"
        "        spill_dir=pathlib.Path(sys.argv[1]), limits=BufferLimits(delivery_timeout_s=0.3))\n"
        "    for segment in range(1, 21):\n"
        "        publisher.publish(call_admitted(call_id='call_1', segment=segment))\n"
        "    assert await publisher.flush(20)\n"
        "    print('spilled', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"spilled\n"
    async with publishing(cluster.bootstrap, tmp_path) as publisher:
        publisher.publish(call_admitted(call_id="call_2"))
        assert await publisher.flush(10)
    assert not is_empty(tmp_path)  # its owner lives
    process.kill()
    await process.wait()
    async with publishing(cluster.bootstrap, tmp_path) as publisher:
        await until(lambda: is_empty(tmp_path))
        assert publisher.stats.resent >= 20
    received = await EventReader(bootstrap=cluster.bootstrap).read(
        call_id="call_1", until=at_least(20), timeout_s=10
    )
    assert [one.event.model_dump()["segment"] for one in received] == list(range(1, 21))


async def test_records_that_are_no_events_are_skipped_and_counted(cluster: MockCluster) -> None:
    good = call_admitted(call_id="call_1")
    producer = Producer({"bootstrap.servers": cluster.bootstrap})

    def produce(event_type: str | None, value: bytes | None) -> None:
        headers: list[tuple[str, str | bytes | None]] = [("call_id", b"call_1")]
        if event_type:
            headers.append(("ce_type", event_type.encode()))
        producer.produce(Topic.CALLS, key=b"call_1", value=value, headers=headers)

    body = json.loads(good.model_dump_json())
    produce("parley.call.unheard-of.v9", b"{}")
    produce(None, good.model_dump_json().encode())
    produce(good.TYPE, b"not json")
    produce(good.TYPE, None)
    produce(good.TYPE, b"\xff\xfe")
    produce(good.TYPE, json.dumps({**body, "segment": -1}).encode())
    produce(good.TYPE, json.dumps({**body, "extra": 1}).encode())
    produce(good.TYPE, b'{"segment":' + b"[" * 10_000)
    produce(good.TYPE, good.model_dump_json().encode())
    produce(good.TYPE, good.model_dump_json().encode())
    await asyncio.to_thread(producer.flush, 10)
    reader = EventReader(bootstrap=cluster.bootstrap)
    received = await reader.read(
        until=lambda events: bool(events) and reader.duplicates > 0, timeout_s=10, call_id="call_1"
    )
    assert [one.event for one in received] == [good]
    assert reader.skipped == 8
    assert reader.duplicates == 1


async def test_a_read_ends_at_its_deadline_with_what_there_is(cluster: MockCluster, tmp_path: Path) -> None:
    async with publishing(cluster.bootstrap, tmp_path) as publisher:
        publisher.publish(call_admitted(call_id="call_1"))
        assert await publisher.flush(10)
    reader = EventReader(bootstrap=cluster.bootstrap)
    assert len(await reader.read(until=at_least(1), timeout_s=10)) == 1
    assert len(await reader.read(until=at_least(2), timeout_s=0.5)) < 2


async def test_reading_from_nobody_is_an_error_with_a_name() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        reader = EventReader(bootstrap=f"127.0.0.1:{reserved.getsockname()[1]}", connect_timeout_s=0.3)
        with pytest.raises(RemoteError, match="Kafka"):
            await reader.read(until=at_least(1), timeout_s=5)


async def test_a_read_can_be_cancelled(cluster: MockCluster) -> None:
    reader = EventReader(bootstrap=cluster.bootstrap)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await reader.read(until=at_least(1), timeout_s=60)


async def test_the_broker_has_all_topics_with_four_partitions(cluster: MockCluster) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    found = (await asyncio.to_thread(admin.list_topics, timeout=10)).topics
    assert {topic: len(found[topic].partitions) for topic in Topic.ALL} == dict.fromkeys(Topic.ALL, 4)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
async def test_the_broker_ends_with_status_0_when_told_to(
    cluster: MockCluster, signal_number: signal.Signals
) -> None:
    cluster.process.send_signal(signal_number)
    assert await cluster.process.wait() == 0


async def test_the_broker_ends_when_its_parent_is_killed() -> None:
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'local_stack.broker'])\n"
        "print(child.pid, file=sys.stderr, flush=True)\n"
        "child.wait()\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    assert parent.stderr is not None
    assert json.loads(await parent.stdout.readline())["event"] == "ready"
    assert int(await parent.stderr.readline()) != os.getpid()
    parent.kill()
    await parent.wait()
    assert await parent.stdout.read() == b""  # ends when the broker, its last writer, is gone


@asynccontextmanager
async def _forwarding(port: int, bootstrap: str) -> AsyncIterator[None]:
    """Listen on `port` and pass everything on to a broker, as a load balancer in front of it would."""
    host, _, target = bootstrap.partition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(target))
        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)
        back.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
