"""What of a history fits into a request."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.agents import llm

from edge_agents.session.budget import (
    SUMMARY_ITEM_ID,
    estimate_tokens,
    for_the_history,
    history,
    shortened,
    squeezed,
    total_tokens,
    within_budget,
)
from edge_agents.session.context import with_summary
from edge_agents.session.prompt import summary_message
from tests.unit.edge_agents.session.conversations import Conversation, is_caller, texts, tokens

BUDGET = 500


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (llm.ChatMessage(role="user", content=["12345678"]), 2 + 4),
        (llm.ChatMessage(role="user", content=["123456789"]), 3 + 4),
        (llm.ChatMessage(role="assistant", content=[]), 4),
        (llm.FunctionCall(call_id="1", name="book", arguments="{}12"), 2 + 4),
        (llm.FunctionCallOutput(call_id="1", name="book", output="done", is_error=False), 1 + 4),
        (llm.AgentHandoff(new_agent_id="a"), 4),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_item_s_size_is_four_characters_a_token_and_four_an_item(
    item: llm.ChatItem, expected: int
) -> None:
    assert estimate_tokens(item) == expected


def test_a_text_that_fits_is_left_alone() -> None:
    assert shortened("x" * 400, 100) == "x" * 400


def test_a_shortened_text_says_so_and_how_long_it_was() -> None:
    text = shortened("x" * 401, 100)

    assert len(text) == 400
    assert text.endswith("x [shortened: the beginning of 401 characters]")


def test_a_tool_s_result_gets_a_quarter_of_the_budget() -> None:
    assert len(for_the_history("x" * 262_144, 6000)) == 6000
    assert for_the_history("x" * 6000, 6000) == "x" * 6000


def test_a_history_inside_its_budget_is_the_same_object() -> None:
    ctx = Conversation().exchange().ctx

    assert within_budget(ctx, BUDGET) is ctx


def test_beyond_the_budget_the_oldest_whole_exchanges_go() -> None:
    talk = Conversation()
    for number in range(10):
        talk.exchange(f"{number}" * 100, f"{number}" * 100)

    ctx = within_budget(talk.ctx, BUDGET)

    assert [text[0] for text in texts(ctx.items)[2:]] == [n for n in "23456789" for _ in "ab"]
    assert texts(ctx.items)[:2] == ["You are Ada.", "This call began on Friday."]


def test_the_last_summary_stays_when_exchanges_go() -> None:
    talk = Conversation().exchange().exchange()
    talk.ctx = with_summary(talk.ctx, talk.ctx.items[2:4], "name: Ann")
    for _ in range(10):
        talk.exchange()

    ctx = within_budget(talk.ctx, BUDGET)

    assert texts(ctx.items)[2] == summary_message("name: Ann")
    assert is_caller(ctx.items[3])
    assert tokens(ctx) <= BUDGET < tokens(talk.ctx)


def test_a_dropped_tool_call_takes_its_result_along() -> None:
    talk = Conversation().caller("book").calls("1").caller("hello?").result("1", "z" * 1000).agent("Booked.")
    talk.exchange("x" * 800, "y" * 100)

    ctx = within_budget(talk.ctx, BUDGET)

    assert [item.type for item in ctx.items[2:]] == ["message", "message"]


def test_the_longest_texts_of_the_newest_exchange_are_shortened() -> None:
    talk = Conversation().exchange().caller("what do you have?")
    talk.calls("1").result("1", "z" * 262_144).agent("A lot.")

    ctx = within_budget(talk.ctx, BUDGET)

    assert tokens(ctx) <= BUDGET
    assert texts(ctx.items)[2:] == ["what do you have?", "A lot."]
    assert "[shortened: the beginning of 262144 characters]" in str(ctx.items[4])


def test_a_caller_who_talks_without_end_is_shortened_too() -> None:
    ctx = within_budget(Conversation().caller("x" * 20_000).ctx, BUDGET)

    assert tokens(ctx) <= BUDGET
    assert texts(ctx.items)[2].endswith("of 20000 characters]")


def test_of_too_many_tool_calls_in_one_exchange_the_newest_stay_with_their_results() -> None:
    talk = Conversation().caller("search")
    for number in range(60):
        talk.calls(f"call_{number}").result(f"call_{number}", "z" * 200)

    kept = within_budget(talk.ctx, BUDGET).items[2:]

    assert total_tokens(kept) <= BUDGET
    assert is_caller(kept[0])
    calls = [item.call_id for item in kept if isinstance(item, llm.FunctionCall)]
    assert calls == [item.call_id for item in kept if isinstance(item, llm.FunctionCallOutput)]
    assert calls[-1] == "call_59"


def test_arguments_that_are_shortened_are_still_json() -> None:
    talk = Conversation().caller("book").calls("1", '{"text": "' + "x" * 20_000 + '"}').result("1")

    call = within_budget(talk.ctx, BUDGET).items[3]

    assert isinstance(call, llm.FunctionCall)
    assert call.arguments == '{"shortened": true}'


def test_the_history_itself_is_not_changed() -> None:
    talk = Conversation().caller("x" * 20_000).calls("1").result("1", "z" * 20_000)

    within_budget(talk.ctx, BUDGET)

    assert tokens(talk.ctx) > 10_000


steps = st.lists(
    st.tuples(
        st.sampled_from(["caller", "agent", "call", "call+result", "late result"]), st.integers(0, 9000)
    ),
    max_size=80,
)


@settings(max_examples=200, deadline=None)
@given(steps, st.integers(500, 2000), st.booleans())
def test_any_history_fits_into_its_budget_with_tool_calls_and_results_together(
    course: list[tuple[str, int]], budget: int, summarised: bool
) -> None:
    talk, pending = Conversation(), []
    if summarised:
        talk.exchange()
        talk.ctx = with_summary(talk.ctx, talk.ctx.items[2:], "s" * budget)
    for number, (step, size) in enumerate(course):
        call_id = f"call_{number}"
        match step:
            case "caller":
                talk.caller("x" * size)
            case "agent":
                talk.agent("y" * size)
            case "call":
                talk.calls(call_id, "z" * size)
                pending.append(call_id)
            case "call+result":
                talk.calls(call_id, "z" * size).result(call_id, "z" * size)
            case "late result" if pending:
                talk.result(pending.pop(0), "z" * size)

    ctx = within_budget(talk.ctx, budget)

    assert tokens(ctx) <= budget
    assert ctx.items[:2] == talk.ctx.items[:2]
    assert any(item.id == SUMMARY_ITEM_ID for item in ctx.items) is summarised
    assert [item.id for item in ctx.items] == [
        i.id for i in talk.ctx.items if i.id in {k.id for k in ctx.items}
    ]
    had = {item.call_id for item in history(talk.ctx) if isinstance(item, llm.FunctionCallOutput)}
    calls = {item.call_id for item in ctx.items if isinstance(item, llm.FunctionCall)}
    results = {item.call_id for item in ctx.items if isinstance(item, llm.FunctionCallOutput)}
    assert results == calls & had
    callers = [item.id for item in talk.ctx.items if is_caller(item)]
    assert not callers or callers[-1] in {item.id for item in ctx.items}


def test_what_is_squeezed_keeps_its_order() -> None:
    talk = Conversation().exchange("a" * 3000, "b" * 10).exchange("c" * 3000, "d" * 10)

    kept = squeezed(talk.ctx.items[2:], BUDGET)

    assert [text[0] for text in texts(kept)] == ["a", "b", "c", "d"]
    assert total_tokens(kept) <= BUDGET
