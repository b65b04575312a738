from __future__ import annotations

import pytest

from local_stack.engines.llm.app import Pace


@pytest.mark.parametrize(
    ("model", "tokens", "seconds"),
    [("gpt-4.1-mini", 0, 0.06), ("gpt-4.1-mini", 8, 0.16), ("local-slow", 0, 8.0), ("local-slow", 8, 8.1)],
)
def test_tokens_are_sent_on_a_schedule(model: str, tokens: int, seconds: float) -> None:
    assert Pace().before_s(model, tokens) == pytest.approx(seconds)


def test_no_speed_means_all_at_once() -> None:
    assert Pace(ttft_ms=0, tokens_per_s=0).before_s("m", 1000) == 0
