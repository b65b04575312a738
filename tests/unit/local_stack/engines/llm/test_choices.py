from __future__ import annotations

import pytest

from local_stack.engines.llm.choices import choose
from local_stack.engines.llm.text import utterance

PIZZAS = ("Margherita", "Pepperoni", "Quattro Stagioni")
CITIES = ("Mountain View", "San Francisco", "New York", "New Orleans")


def best(
    options: tuple[str, ...], said: str, *, asked: bool = False, plain: frozenset[str] = frozenset()
) -> str | None:
    hits = choose(options, utterance(said).tokens, asked=asked, plain=plain)
    return options[hits[0].index] if hits else None


@pytest.mark.parametrize(
    ("options", "said", "value"),
    [
        (PIZZAS, "two large margheritas", "Margherita"),
        (PIZZAS, "a quattro stagioni", "Quattro Stagioni"),
        (PIZZAS, "the stagioni one", "Quattro Stagioni"),
        (CITIES, "a room in mountain view", "Mountain View"),
        (CITIES, "new york", "New York"),
        (CITIES, "new", None),
        (("check_up", "cleaning"), "a checkup", "check_up"),
        (("small", "large"), "not large, small", "small"),
        (("no", "yes"), "yes", "yes"),
        (("14:30", "15:00"), "half past two", "14:30"),
        (("30 minutes", "60 minutes"), "an hour", "60 minutes"),
    ],
)
def test_a_named_value_is_chosen(options: tuple[str, ...], said: str, value: str | None) -> None:
    assert best(options, said) == value


@pytest.mark.parametrize(
    ("options", "said", "value"),
    [
        (PIZZAS, "market rita", "Margherita"),
        (PIZZAS, "pepper oni", "Pepperoni"),
        (CITIES, "mount in view", "Mountain View"),
        (("10", "30"), "thirty", "30"),
        (("other", "cleaning"), "the", None),
        (("small", "large"), "that's all", None),
    ],
)
def test_a_misheard_value_is_chosen_only_when_asked_for(
    options: tuple[str, ...], said: str, value: str | None
) -> None:
    assert best(options, said, asked=True) == value


def test_every_named_value_is_found_best_first() -> None:
    hits = choose(PIZZAS, utterance("a pepperoni and a quattro stagioni").tokens, asked=True)
    assert [PIZZAS[hit.index] for hit in hits] == ["Quattro Stagioni", "Pepperoni"]


def test_a_word_of_the_tool_itself_names_no_value() -> None:
    options = ("check-up", "emergency appointment")
    assert best(options, "book an appointment", plain=frozenset({"appointment"})) is None
    assert best(options, "an emergency", plain=frozenset({"appointment"})) == "emergency appointment"
