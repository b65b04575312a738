"""Counters by name and label: exact from any thread, and bounded."""

from __future__ import annotations

import threading

from shared.telemetry import (
    Counters,
)


def test_counters_count_by_name_and_label() -> None:
    counters = Counters()
    counters.add("events")
    counters.add("events", 2, reason="b", kind="a")
    counters.add("events", kind="a", reason="b")
    assert counters.value("events") == 1
    assert counters.value("events", kind="a", reason="b") == 3
    assert counters.value("nothing") == 0
    assert counters.snapshot() == {"events": 1, "events{kind=a,reason=b}": 3}


def test_counters_are_bounded_and_lose_no_count() -> None:
    counters = Counters(max_series=3)
    for number in range(10):
        counters.add("events", reason=str(number))
    assert counters.value("events", overflow="true") == 7
    assert sum(counters.snapshot().values()) == 10
    assert len(counters.snapshot()) == 4


def test_counters_count_right_from_many_threads() -> None:
    counters = Counters()

    def count() -> None:
        for _ in range(1000):
            counters.add("events")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.value("events") == 8000
