"""The pace of delivery, on a clock of our own."""

from __future__ import annotations

import pytest

from local_stack.engines.tts.pacing import BURST_S, Pacer


class VirtualTime:
    """A clock that only sleeping (and the test) moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, duration_s: float) -> None:
        self.now += duration_s


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


async def test_the_burst_goes_out_at_once(time: VirtualTime) -> None:
    pacer = Pacer(10.0, clock=time.clock, sleep=time.sleep)
    await pacer.sent(BURST_S)
    assert time.now == 100.0


async def test_behind_the_burst_audio_takes_a_tenth_of_its_duration_at_factor_10(time: VirtualTime) -> None:
    pacer = Pacer(10.0, clock=time.clock, sleep=time.sleep)
    for _ in range(100):
        await pacer.sent(0.2)
    assert time.now - 100.0 == pytest.approx((20.0 - BURST_S) / 10.0)


async def test_a_pause_refills_the_burst_and_no_more(time: VirtualTime) -> None:
    pacer = Pacer(10.0, clock=time.clock, sleep=time.sleep)
    await pacer.sent(BURST_S)
    time.now += 3600.0
    before = time.now
    await pacer.sent(BURST_S)
    assert time.now == before
    await pacer.sent(1.0)
    assert time.now == pytest.approx(before + 0.1)


async def test_factor_0_never_waits(time: VirtualTime) -> None:
    pacer = Pacer(0.0, clock=time.clock, sleep=time.sleep)
    await pacer.sent(1000.0)
    assert time.now == 100.0
