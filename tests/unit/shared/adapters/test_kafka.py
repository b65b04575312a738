"""The publisher's shell: threads, headers, errors. The brokers are scripted; see tests/contract for real ones."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from shared.adapters.event_limits import BufferLimits
from shared.adapters.kafka import KafkaEventPublisher
from shared.contracts.calls import CallTransferred
from shared.contracts.event import Event
from shared.errors import EventTooLargeError, InvalidInputError
from shared.ids import IdKind, new_id
from shared.names import MAX_EVENT_BYTES
from tests.fakes.clock import START, FakeClock
from tests.fakes.examples import CANARY, call_admitted, every_event
from tests.fakes.kafka import Produced, ScriptedProducer
from tests.fakes.waiting import until

Answer = Callable[[Produced], KafkaError | Exception | str | None]


class _Tenants(Event):
    """An event of no call; not registered: it has no TYPE."""

    TOPIC = "parley.tenants.v1"


@asynccontextmanager
async def publishing(
    folder: Path, answer: Answer = lambda _: None, **options: Any
) -> AsyncIterator[tuple[KafkaEventPublisher, list[ScriptedProducer]]]:
    made: list[ScriptedProducer] = []

    def make(config: dict[str, Any]) -> ScriptedProducer:
        made.append(ScriptedProducer(answer))
        made[-1].error_cb = config["error_cb"]
        return made[-1]

    publisher = KafkaEventPublisher(
        bootstrap="127.0.0.1:1", spill_dir=folder, source="/parley/test", make_producer=make, **options
    )
    try:
        yield publisher, made
    finally:
        await publisher.aclose(5)


def away(publisher: KafkaEventPublisher) -> bool:
    return publisher.brokers_away


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


async def test_an_event_is_sent_as_cloudevents_binary_mode(tmp_path: Path) -> None:
    async with publishing(tmp_path) as (publisher, (producer,)):
        event = call_admitted(call_id="call_1")
        publisher.publish(event, traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        assert await publisher.flush(5)
    (record,) = producer.delivered
    assert (record.topic, record.key) == ("parley.calls.v1", b"call_1")
    assert json.loads(record.value) == json.loads(event.model_dump_json())
    assert dict(record.headers) == {
        "ce_id": event.event_id.encode(),
        "ce_type": b"parley.call.admitted.v1",
        "ce_source": b"/parley/test",
        "ce_time": b"2026-03-14T09:26:53Z",
        "ce_specversion": b"1.0",
        "content-type": b"application/json",
        "tenant_id": b"ten_1",
        "call_id": b"call_1",
        "traceparent": b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }


async def test_an_event_of_no_call_has_no_call_id_and_its_tenant_as_key(tmp_path: Path) -> None:
    async with publishing(tmp_path) as (publisher, (producer,)):
        publisher.publish(_Tenants(event_id=new_id(IdKind.EVENT), at=START, tenant_id="ten_1"))
        assert await publisher.flush(5)
    (record,) = producer.delivered
    assert record.key == b"ten_1"
    assert not {"call_id", "traceparent"} & {name for name, _ in record.headers}


async def test_only_the_publishers_thread_talks_to_the_producer(tmp_path: Path) -> None:
    async with publishing(tmp_path) as (publisher, (producer,)):
        threads = [
            threading.Thread(target=publisher.publish, args=(call_admitted(call_id=f"call_{index}"),))
            for index in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert await publisher.flush(5)
    assert len(producer.delivered) == 8
    assert producer.threads == {"event-publisher"}


async def test_publishing_waits_for_neither_brokers_nor_disk(tmp_path: Path) -> None:
    """The one thread that talks to them is stuck: a publish that needed it, or them, would never return."""
    limits = BufferLimits(max_records=100, spill_above_records=10)
    async with publishing(tmp_path, limits=limits) as (publisher, (producer,)):
        producer.gate.clear()
        publisher.publish(call_admitted(call_id="call_1"))
        await asyncio.to_thread(producer.reached.wait)
        for _ in range(150):
            publisher.publish(call_admitted(call_id="call_1"))
        assert contents(tmp_path) == []
        assert (publisher.stats.buffered, publisher.stats.dropped) == (100, 51)
        assert not await publisher.flush(0)
        producer.gate.set()
        await until(lambda: publisher.stats.delivered == 100)


async def test_an_event_over_1_mib_is_refused_and_counted_and_one_of_1_mib_is_not(tmp_path: Path) -> None:
    def sized(size: int) -> CallTransferred:
        base = CallTransferred(
            event_id=new_id(IdKind.EVENT), at=START, tenant_id="ten_1", call_id="call_1", target=""
        )
        fill = size - len(base.model_dump_json().encode())
        return base.model_copy(update={"target": "x" * fill})

    async with publishing(tmp_path) as (publisher, _made):
        publisher.publish(sized(MAX_EVENT_BYTES))
        with pytest.raises(EventTooLargeError) as raised:
            publisher.publish(sized(MAX_EVENT_BYTES + 1))
        assert await publisher.flush(5)
        assert publisher.stats.too_large == 1
        assert publisher.stats.delivered == 1
    assert raised.value.data == {"type": "parley.call.transferred.v1", "size_bytes": MAX_EVENT_BYTES + 1}


async def test_a_producer_whose_queue_is_full_means_a_detour_and_no_loss(tmp_path: Path) -> None:
    full = iter([True, True])
    limits = BufferLimits(probe_interval_s=0)

    def answer(_: Produced) -> Exception | None:
        return BufferError() if next(full, False) else None

    async with publishing(tmp_path, answer, limits=limits) as (publisher, _made):
        events = [call_admitted(call_id="call_1") for _ in range(5)]
        for event in events:
            publisher.publish(event)
        await until(lambda: publisher.stats.delivered >= 5)
        assert publisher.stats.dropped == 0


@pytest.mark.parametrize("code", [KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD])
@pytest.mark.parametrize("raised", [True, False])
async def test_a_record_the_brokers_will_never_take_is_parked(
    tmp_path: Path, code: int, raised: bool
) -> None:
    def answer(record: Produced) -> KafkaError | Exception | None:
        error = KafkaError(code)
        return (KafkaException(error) if raised else error) if record.key == b"call_bad" else None

    async with publishing(tmp_path, answer) as (publisher, (producer,)):
        publisher.publish(call_admitted(call_id="call_bad"))
        publisher.publish(call_admitted(call_id="call_1"))
        assert await publisher.flush(5)
        assert publisher.stats.parked == 1
        assert not away(publisher)
    assert [record.key for record in producer.delivered] == [b"call_1"]


async def test_brokers_that_do_not_answer_are_given_up_after_delivery_timeout_s(tmp_path: Path) -> None:
    clock, here = FakeClock(), threading.Event()

    def answer(_: Produced) -> str | None:
        return None if here.is_set() else "hang"

    async with publishing(tmp_path, answer, clock=clock) as (publisher, (producer,)):
        events = [call_admitted(call_id="call_1", segment=index + 1) for index in range(3)]
        for event in events:
            publisher.publish(event)
        await until(lambda: bool(producer.produced))
        assert not await publisher.flush(0)
        clock.advance(6)
        assert await publisher.flush(5)
        assert away(publisher)
        assert (publisher.stats.spilled, publisher.stats.buffered) == (3, 0)
        here.set()
        clock.advance(1)
        await until(lambda: publisher.stats.resent == 3)
        assert not away(publisher)
    assert [json.loads(record.value)["event_id"] for record in producer.delivered] == [
        event.event_id for event in events
    ]
    assert contents(tmp_path) == []


async def test_a_producer_that_failed_for_good_is_replaced(tmp_path: Path) -> None:
    limits = BufferLimits(probe_interval_s=0)

    def answer(_: Produced) -> str | None:
        return "hang" if len(made) == 1 else None

    async with publishing(tmp_path, answer, limits=limits) as (publisher, made):
        publisher.publish(call_admitted(call_id="call_1"))
        await until(lambda: bool(made[0].produced))
        made[0].fatal = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, fatal=True)
        await until(lambda: publisher.stats.delivered == 1)
    assert len(made) == 2


async def test_an_error_inside_the_thread_does_not_end_it(tmp_path: Path) -> None:
    broken = iter([True])

    def answer(_: Produced) -> None:
        if next(broken, False):
            raise RuntimeError(CANARY)

    async with publishing(
        tmp_path, answer, limits=BufferLimits(delivery_timeout_s=0.1, probe_interval_s=0)
    ) as (publisher, _made):
        publisher.publish(call_admitted(call_id="call_1"))
        await until(lambda: publisher.stats.delivered == 1)


async def test_closing_spills_what_is_left_and_the_next_process_sends_it(tmp_path: Path) -> None:
    events = [call_admitted(call_id="call_1", segment=index + 1) for index in range(3)]
    async with publishing(tmp_path, lambda _: "hang") as (publisher, _made):
        for event in events:
            publisher.publish(event)
        await publisher.aclose(0.05)
        await publisher.aclose(0.05)
        assert publisher.stats.spilled == 3
        publisher.publish(call_admitted(call_id="call_1"))
        assert publisher.stats.dropped == 1
    async with publishing(tmp_path) as (publisher, (producer,)):
        await until(lambda: publisher.stats.resent == 3)
    assert [json.loads(record.value)["segment"] for record in producer.delivered] == [1, 2, 3]
    assert contents(tmp_path) == []


async def test_nothing_that_was_said_stands_in_the_spill(tmp_path: Path) -> None:
    async with publishing(tmp_path, lambda _: KafkaError(KafkaError._TRANSPORT)) as (publisher, _made):
        for event in every_event():
            publisher.publish(event)
        assert await publisher.flush(5)
        assert publisher.stats.spilled == len(every_event())
    texts = contents(tmp_path)
    assert texts
    assert not any(CANARY.encode() in text for text in texts)


def test_a_spill_folder_that_can_not_be_used_is_told_of_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError) as raised:
        KafkaEventPublisher(bootstrap="127.0.0.1:1", spill_dir=tmp_path / "file", source="/x")
    assert "PARLEY_SPILL_DIR" in raised.value.hint
