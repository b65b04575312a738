"""When a history is summarised, and what becomes of it when the model fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from livekit.agents import APIConnectionError, llm

from edge_agents.session.context import HistoryKeeper
from edge_agents.session.prompt import summary_message
from tests.unit.edge_agents.session.conversations import Conversation, is_caller, texts, tokens
from tests.unit.edge_agents.session.test_context import FakeModel

BUDGET = 500


class FakeAgent:
    """Has a history."""

    def __init__(self, chat_ctx: llm.ChatContext) -> None:
        self.chat_ctx = chat_ctx

    async def update_chat_ctx(self, chat_ctx: llm.ChatContext) -> None:
        """Replace it."""
        self.chat_ctx = chat_ctx


def keeper(agent: FakeAgent, model: FakeModel) -> HistoryKeeper:
    session: Any = SimpleNamespace(current_agent=agent)
    return HistoryKeeper(session, model, BUDGET)


def fails(_request: llm.ChatContext) -> str:
    raise APIConnectionError("gone", retryable=False)


def long_talk(exchanges: int) -> FakeAgent:
    talk = Conversation()
    for number in range(exchanges):
        talk.exchange(f"{number:<100}", f"{number:<100}")
    return FakeAgent(talk.ctx)


async def test_a_history_that_is_far_too_long_is_summarised_in_one_go() -> None:
    agent, model = long_talk(40), FakeModel(lambda _: "name: Ann")

    await keeper(agent, model).fit()

    assert len(model.requests) > 1
    assert tokens(agent.chat_ctx) <= BUDGET
    assert texts(agent.chat_ctx.items)[2] == summary_message("name: Ann")


async def test_where_the_summary_fails_the_oldest_exchanges_go_and_the_last_summary_stays() -> None:
    agent = long_talk(8)
    working, broken = FakeModel(lambda _: "name: Ann"), FakeModel(fails)
    await keeper(agent, working).fit()
    talk = Conversation()
    talk.ctx = agent.chat_ctx
    talk.at = 5000.0
    for number in range(20):
        talk.exchange(f"later {number:<100}")

    kept = keeper(agent, broken)
    await kept.fit()

    said = texts(agent.chat_ctx.items)
    assert tokens(agent.chat_ctx) <= BUDGET
    assert said[:3] == ["You are Ada.", "This call began on Friday.", summary_message("name: Ann")]
    assert is_caller(agent.chat_ctx.items[3])
    assert said[-2].startswith("later 19")
    assert not kept.busy


async def test_a_summary_that_fails_while_the_history_still_fits_loses_nothing() -> None:
    agent = long_talk(7)
    before = list(agent.chat_ctx.items)

    await keeper(agent, FakeModel(fails)).fit()

    assert BUDGET * 0.7 < tokens(agent.chat_ctx) <= BUDGET
    assert agent.chat_ctx.items == before
