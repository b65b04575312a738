from __future__ import annotations

from statistics import quantiles

import pytest

from local_stack.engines.load_model.seeded import SeededSource

MANY = 20_000


def draws(seed: int, name: str, spread: tuple[float, float], count: int) -> list[float]:
    source = SeededSource(seed)
    return [source.draw(name, spread) for _ in range(count)]


def test_the_same_seed_and_name_give_the_same_draws() -> None:
    assert draws(7, "llm.ttft", (380, 500), 50) == draws(7, "llm.ttft", (380, 500), 50)


def test_another_seed_or_another_name_gives_other_draws() -> None:
    base = draws(7, "llm.ttft", (380, 500), 50)

    assert draws(8, "llm.ttft", (380, 500), 50) != base
    assert draws(7, "tts.ttfb", (380, 500), 50) != base


def test_draws_of_one_name_are_not_shifted_by_draws_of_another() -> None:
    source = SeededSource(7)
    mixed = []
    for _ in range(20):
        source.draw("tts.ttfb", (1, 2))
        mixed.append(source.draw("llm.ttft", (380, 500)))

    assert mixed == draws(7, "llm.ttft", (380, 500), 20)


@pytest.mark.parametrize("spread", [(100, 150), (200, 300), (10, 90)])
def test_half_of_many_draws_are_below_the_p50_and_95_percent_below_the_p95(
    spread: tuple[float, float],
) -> None:
    percentiles = quantiles(draws(7, "stage", spread, MANY), n=100)

    assert percentiles[49] == pytest.approx(spread[0], rel=0.03)
    assert percentiles[94] == pytest.approx(spread[1], rel=0.05)


def test_equal_percentiles_are_a_fixed_latency() -> None:
    assert set(draws(7, "stage", (42, 42), 100)) == {42}


def test_a_fixed_latency_takes_its_step_so_later_draws_stay_the_same() -> None:
    source = SeededSource(7)
    source.draw("stage", (42, 42))

    assert source.draw("stage", (10, 20)) == draws(7, "stage", (10, 20), 2)[1]


def test_no_draw_is_more_than_ten_times_the_median() -> None:
    assert max(draws(7, "stage", (1, 1_000), MANY)) == 10
