"""The line in which events wait, under any order of offers, deliveries, failures and restarts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.adapters.event_buffer import Sending
from shared.adapters.event_limits import BufferLimits
from tests.unit.shared.adapters.buffer_bench import Bench, number, record


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
