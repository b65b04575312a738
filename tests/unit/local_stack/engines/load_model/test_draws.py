from __future__ import annotations

from typing import Any

from local_stack.engines.load_model.draws import MAX_COUNTED_KEYS, MAX_DRAWS, Counters, Draw, DrawLog
from local_stack.engines.load_model.faults import Target


def draw(**fields: Any) -> Draw:
    defaults: dict[str, Any] = {
        "stage": "llm",
        "vendor": "openai",
        "key": "k",
        "model": "m",
        "request_id": "r",
    }
    return Draw(**{**defaults, "draw_ms": 10.0, "received_at": 1.0, **fields})


def test_draws_are_numbered_from_one_and_instants_may_be_filled_in_later() -> None:
    log = DrawLog()
    first, _ = log.add(draw()), log.add(draw())
    first.first_token_at = 2.0

    assert [(entry["seq"], entry["first_token_at"]) for entry in log.select()] == [(1, 2.0), (2, None)]


def test_draws_are_selected_by_stage_key_and_number() -> None:
    log = DrawLog()
    for stage, key in (("stt", "a"), ("llm", "a"), ("llm", "b")):
        log.add(draw(stage=stage, key=key))

    assert [entry["seq"] for entry in log.select(stage="llm")] == [2, 3]
    assert [entry["seq"] for entry in log.select(key="a")] == [1, 2]
    assert [entry["seq"] for entry in log.select(stage="llm", key="b")] == [3]
    assert [entry["seq"] for entry in log.select(after=2)] == [3]


def test_a_full_log_drops_its_oldest_and_says_so() -> None:
    log = DrawLog()
    for _ in range(MAX_DRAWS + 3):
        log.add(draw())

    assert log.dropped == 3
    assert log.select()[0]["seq"] == 4


def test_clearing_the_log_forgets_draws_but_goes_on_counting() -> None:
    log = DrawLog()
    log.add(draw())
    log.clear()
    log.add(draw())

    assert [entry["seq"] for entry in log.select()] == [2]
    assert log.dropped == 0


def test_counts_are_kept_by_stage_vendor_and_key() -> None:
    counters = Counters()
    counters.of(Target("llm", "openai", "a")).requests += 2
    counters.of(Target("tts", "azure", "a")).open += 1
    counters.of(Target("llm", "openai", "")).faults += 1

    assert counters.snapshot() == [
        {"stage": "llm", "vendor": "openai", "key": "a", "requests": 2, "open": 0, "work": 0, "faults": 0},
        {"stage": "tts", "vendor": "azure", "key": "a", "requests": 0, "open": 1, "work": 0, "faults": 0},
        {
            "stage": "llm",
            "vendor": "openai",
            "key": "(none)",
            "requests": 0,
            "open": 0,
            "work": 0,
            "faults": 1,
        },
    ]


def test_endless_new_keys_are_counted_together() -> None:
    counters = Counters()
    for number in range(MAX_COUNTED_KEYS + 5):
        counters.of(Target("llm", "openai", f"k{number}")).requests += 1

    assert len(counters.snapshot()) == MAX_COUNTED_KEYS + 1
    assert counters.snapshot()[-1]["requests"] == 5
