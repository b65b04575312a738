"""The line in which events wait: what is sent when, and what becomes of what can't be sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.adapters.event_buffer import EventBuffer, Route, Sending
from shared.adapters.event_limits import BufferLimits
from shared.adapters.event_spill import OutgoingRecord, Spill
from tests.fakes.clock import FakeClock

LIMITS = BufferLimits(
    max_records=20,
    max_bytes=1 << 20,
    spill_above_records=8,
    max_in_flight_records=5,
    delivery_timeout_s=5.0,
    probe_interval_s=1.0,
)


def record(number: int, *, key: str = "k", size: int = 1) -> OutgoingRecord:
    value = json.dumps({"n": number, "fill": "x" * size}).encode()
    return OutgoingRecord(topic="t", key=key, value=value, headers=())


def number(sending: Sending) -> int:
    return int(json.loads(sending.record.value)["n"])


def numbers(sendings: list[Sending]) -> list[int]:
    return [number(sending) for sending in sendings]


class Bench:
    """A buffer over a folder, with a clock."""

    def __init__(self, folder: Path, *, limits: BufferLimits = LIMITS, max_bytes: int = 1 << 20) -> None:
        self.folder, self.limits, self.max_bytes = folder, limits, max_bytes
        self.clock = FakeClock()
        self.restart()

    def restart(self) -> None:
        self.spill = Spill(self.folder, max_bytes=self.max_bytes, segment_bytes=400)
        self.buffer = EventBuffer(spill=self.spill, limits=self.limits, clock=self.clock)

    def offer(self, *values: int) -> None:
        for value in values:
            self.buffer.offer(record(value))

    def deliver(self) -> list[int]:
        """Send and acknowledge until nothing is left to send."""
        found: list[int] = []
        while sendings := self.buffer.take():
            for sending in sendings:
                found.append(number(sending))
                self.buffer.acknowledged(sending.ticket)
            self.buffer.settle()
        return found

    def lose_brokers(self) -> None:
        """The next delivery fails; everything goes to disk."""
        for sending in self.buffer.take():
            self.buffer.lost(sending.ticket, "_MSG_TIMED_OUT")
        assert self.buffer.must_abandon()
        self.buffer.abandoned()
        self.buffer.settle()

    def route(self) -> Route:
        return self.buffer.route

    def files(self) -> int:
        return len(list(self.folder.iterdir()))


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


class LineMachine(RuleBasedStateMachine):
    """Any order of offers, deliveries, failures, crashes and time: nothing is lost, nothing overtakes.

    Brokers take what is on its way in order per key, as an idempotent producer guarantees, and may take an
    event whose acknowledgement is then lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.last = 0
        self.accepted: dict[str, list[int]] = {"a": [], "b": []}
        self.delivered: dict[str, list[int]] = {"a": [], "b": []}
        self.flying: list[Sending] = []

    @initialize()
    def start(self) -> None:
        limits = BufferLimits(
            max_records=30, max_bytes=1 << 20, spill_above_records=6, max_in_flight_records=4
        )
        self.bench = Bench(Path(self.folder.name), limits=limits)

    @rule(key=st.sampled_from("ab"), count=st.integers(1, 9))
    def offer(self, key: str, count: int) -> None:
        for _ in range(count):
            self.last += 1
            if self.bench.buffer.offer(record(self.last, key=key)):
                self.accepted[key].append(self.last)

    @rule()
    def take(self) -> None:
        self.flying += self.bench.buffer.take()

    @rule(key=st.sampled_from("ab"), count=st.integers(1, 4), heard=st.booleans())
    def brokers_take_some(self, key: str, count: int, heard: bool) -> None:
        mine = [sending for sending in self.flying if sending.record.key == key]
        for sending in mine[:count]:
            if number(sending) not in self.delivered[key]:
                self.delivered[key].append(number(sending))
            if heard:
                self.flying.remove(sending)
                self.bench.buffer.acknowledged(sending.ticket)

    @rule(seconds=st.sampled_from([0.5, 1.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.bench.clock.advance(seconds)

    @rule(fail=st.booleans())
    def the_sender_steps(self, fail: bool) -> None:
        if fail and self.flying:
            self.bench.buffer.lost(self.flying[-1].ticket, "x")
        if self.bench.buffer.must_abandon():
            self.bench.buffer.abandoned()
            self.flying.clear()
        self.bench.buffer.settle()

    @rule()
    def the_process_ends_in_order_and_starts_again(self) -> None:
        self.bench.buffer.abandoned()
        self.flying.clear()
        self.bench.buffer.close()
        self.bench.restart()

    @invariant()
    def nothing_overtakes(self) -> None:
        for key, found in self.delivered.items():
            assert found == self.accepted[key][: len(found)]

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.clock.advance(60.0)
            self.the_sender_steps(fail=False)
            self._deliver_everything()
            assert self.delivered == self.accepted
            self.bench.spill.close()
        self.folder.cleanup()

    def _deliver_everything(self) -> None:
        for _ in range(200):
            self.take()
            if not self.flying and not self.bench.buffer.stats.buffered and self.bench.spill.empty:
                return
            for sending in list(self.flying):
                self.brokers_take_some(key=sending.record.key, count=1, heard=True)
            self.bench.clock.advance(1.0)
            self.the_sender_steps(fail=False)
        raise AssertionError("the line did not empty")


TestLine: Callable[..., object] = LineMachine.TestCase
LineMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
