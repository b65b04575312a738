"""The line in which events wait: what is sent when, and what becomes of what can't be sent."""

from __future__ import annotations

import json
from pathlib import Path

from shared.adapters.event_buffer import Route
from shared.adapters.event_limits import BufferLimits
from tests.unit.shared.adapters.buffer_bench import Bench, number, numbers, record


def test_events_are_sent_in_order_and_forgotten_when_acknowledged(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(1, 2, 3)
    assert bench.buffer.stats.buffered == 3
    assert bench.deliver() == [1, 2, 3]
    assert bench.buffer.stats.buffered == 0
    assert bench.buffer.stats.delivered == 3
    assert bench.route() is Route.DIRECT
    assert bench.files() == 0


def test_only_so_many_are_on_their_way_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(*range(8))
    first = bench.buffer.take()
    assert numbers(first) == [0, 1, 2, 3, 4]
    assert bench.buffer.take() == []
    bench.buffer.acknowledged(first[0].ticket)
    assert numbers(bench.buffer.take()) == [5]


def test_a_failed_delivery_sends_everything_to_disk_in_order(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(1, 2, 3)
    sendings = bench.buffer.take()
    bench.offer(4)
    bench.buffer.acknowledged(sendings[0].ticket)
    bench.buffer.lost(sendings[1].ticket, "_MSG_TIMED_OUT")
    assert bench.buffer.must_abandon()
    bench.buffer.abandoned()
    bench.buffer.settle()
    assert bench.route() is Route.AWAY
    stats = bench.buffer.stats
    assert (stats.buffered, stats.spilled, stats.dropped) == (0, 3, 0)
    bench.clock.advance(1.0)
    assert bench.deliver() == [2, 3, 4]


def test_a_record_without_an_answer_for_delivery_timeout_s_counts_as_failed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(1)
    bench.buffer.take()
    bench.clock.advance(5.0)
    assert not bench.buffer.must_abandon()
    bench.clock.advance(0.001)
    assert bench.buffer.must_abandon()


def test_while_brokers_are_away_events_go_to_disk_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(1)
    bench.lose_brokers()
    bench.offer(2, 3)
    bench.buffer.settle()
    assert bench.buffer.stats.buffered == 0
    assert bench.buffer.stats.spilled == 3
    assert bench.buffer.stats.spilled_bytes_now > 0


def test_brokers_that_are_away_are_tried_with_the_oldest_event_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(1, 2)
    bench.lose_brokers()
    assert bench.buffer.take() == []
    bench.clock.advance(0.999)
    assert bench.buffer.take() == []
    bench.clock.advance(0.001)
    (probe,) = bench.buffer.take()
    assert number(probe) == 1
    assert bench.buffer.take() == []
    bench.buffer.lost(probe.ticket, "_MSG_TIMED_OUT")
    bench.buffer.abandoned()
    assert bench.buffer.take() == []
    bench.clock.advance(1.0)
    assert numbers(bench.buffer.take()) == [1]


def test_when_brokers_are_back_the_disk_is_sent_before_memory(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(*range(12))
    bench.lose_brokers()
    bench.clock.advance(1.0)
    (probe,) = bench.buffer.take()
    bench.buffer.acknowledged(probe.ticket)
    bench.offer(12, 13)
    assert bench.deliver() == list(range(1, 14))
    stats = bench.buffer.stats
    assert (stats.resent, stats.delivered, stats.buffered, stats.spilled_bytes_now) == (12, 14, 0, 0)
    assert bench.route() is Route.DIRECT
    assert bench.files() == 0


def test_a_failure_while_the_disk_is_sent_repeats_only_what_was_not_acknowledged(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(1, 2, 3)
    bench.lose_brokers()
    bench.clock.advance(1.0)
    (probe,) = bench.buffer.take()
    bench.buffer.acknowledged(probe.ticket)
    two, three = bench.buffer.take()
    bench.buffer.acknowledged(three.ticket)
    bench.buffer.lost(two.ticket, "NOT_ENOUGH_REPLICAS")
    bench.buffer.abandoned()
    bench.clock.advance(1.0)
    assert bench.deliver() == [2]
    assert bench.files() == 0


def test_a_late_answer_to_what_was_taken_back_changes_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(1)
    (sending,) = bench.buffer.take()
    bench.buffer.lost(sending.ticket, "x")
    bench.buffer.abandoned()
    bench.buffer.acknowledged(sending.ticket)
    bench.buffer.lost(sending.ticket, "x")
    bench.buffer.refused(sending.ticket, "x")
    bench.buffer.settle()
    stats = bench.buffer.stats
    assert (stats.delivered, stats.parked, stats.spilled) == (0, 0, 1)


def test_more_than_the_brokers_can_take_goes_the_way_over_the_disk_in_order(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(*range(5))
    first = bench.buffer.take()
    bench.offer(*range(5, 15))
    bench.buffer.settle()
    assert bench.buffer.stats.spilled == 0  # what is on its way is older: it must land first
    assert bench.buffer.take() == []
    for sending in first:
        bench.buffer.acknowledged(sending.ticket)
    bench.buffer.settle()
    assert bench.buffer.stats.spilled == 10
    bench.offer(15)
    assert bench.deliver() == list(range(5, 16))
    assert bench.route() is Route.DIRECT


def test_an_event_that_finds_memory_full_is_dropped_and_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert [bench.buffer.offer(record(value)) for value in range(22)] == [True] * 20 + [False] * 2
    assert bench.buffer.stats.dropped == 2
    assert bench.deliver() == list(range(20))


def test_memory_is_bounded_in_bytes_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limits=BufferLimits(max_bytes=5000))
    assert bench.buffer.offer(record(1, size=4000))
    assert not bench.buffer.offer(record(2, size=4000))
    assert bench.buffer.offer(record(3))
    assert bench.buffer.stats.dropped == 1


def test_a_full_disk_keeps_events_in_memory_and_only_then_drops(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_bytes=300)
    bench.offer(1)
    bench.lose_brokers()
    for value in range(2, 60):
        bench.offer(value)
        bench.buffer.settle()
    stats = bench.buffer.stats
    assert stats.buffered == 20
    assert stats.spilled + stats.buffered + stats.dropped == 59
    assert stats.spilled_bytes_now <= 300
    bench.clock.advance(1.0)
    assert bench.deliver() == list(range(1, 60 - stats.dropped))


def test_a_broken_disk_does_not_stop_events_once_brokers_are_back(tmp_path: Path) -> None:
    folder = tmp_path / "spill"
    bench = Bench(folder)
    folder.rmdir()
    bench.offer(1, 2)
    bench.lose_brokers()
    assert (bench.buffer.stats.spilled, bench.buffer.stats.buffered) == (0, 2)
    bench.clock.advance(1.0)
    assert bench.deliver() == [1, 2]
    assert bench.route() is Route.DIRECT


def test_an_event_that_brokers_refuse_for_itself_is_parked_and_the_others_go_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(1, 2)
    one, two = bench.buffer.take()
    bench.buffer.refused(one.ticket, "MSG_SIZE_TOO_LARGE")
    bench.buffer.acknowledged(two.ticket)
    assert not bench.buffer.must_abandon()
    stats = bench.buffer.stats
    assert (stats.parked, stats.delivered, stats.buffered) == (1, 1, 0)
    (parked,) = tmp_path.glob("*.parked")
    assert json.loads(parked.read_text())["reason"] == "MSG_SIZE_TOO_LARGE"


def test_unreadable_lines_are_counted_as_parked(tmp_path: Path) -> None:
    (tmp_path / "old.spill").write_bytes(b"garbage\n")
    bench = Bench(tmp_path)
    assert bench.route() is Route.DISK
    assert bench.deliver() == []
    assert bench.buffer.stats.parked == 1
    assert bench.route() is Route.DIRECT


def test_a_flush_ends_when_what_was_offered_before_it_is_safe(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(1, 2)
    flushed = bench.buffer.flushed()
    one, two = bench.buffer.take()
    bench.offer(3)
    bench.buffer.acknowledged(two.ticket)
    bench.buffer.settle()
    assert not flushed.done()
    bench.buffer.acknowledged(one.ticket)
    bench.buffer.settle()
    assert flushed.done()


def test_a_flush_of_nothing_ends_at_once_and_one_that_was_cancelled_harms_nobody(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    cancelled, kept = bench.buffer.flushed(), bench.buffer.flushed()
    cancelled.cancel()
    bench.buffer.settle()
    assert kept.done()
    assert cancelled.cancelled()


def test_a_flush_ends_when_the_events_are_on_disk(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(1, 2)
    flushed = bench.buffer.flushed()
    bench.lose_brokers()
    assert flushed.done()


def test_closing_puts_what_is_left_on_disk_for_the_next_process(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(*range(7))
    bench.buffer.take()
    bench.buffer.abandoned()
    bench.buffer.close()
    assert not bench.buffer.offer(record(99))
    assert bench.buffer.stats.dropped == 1
    bench.restart()
    assert bench.deliver() == list(range(7))


def test_closing_counts_what_neither_brokers_nor_disk_took(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_bytes=0)
    bench.offer(1, 2)
    flushed = bench.buffer.flushed()
    bench.buffer.close()
    assert bench.buffer.stats.dropped == 2
    assert flushed.done()
