"""Keeps a call's history inside its token budget by summarising older turns, off the critical path.

    prefix (stable) │ summary │ ... newest turns verbatim ...
                      ▲            older turns move in here when the history grows over most of its budget

A fact given in turn 2 is in the summary in turn 40. Tool calls and their results are never split. The
summary is an ordinary request to the call's own model, so it is metered and priced like every other; it holds
no more than the budget either. Where the model fails, the oldest turns are dropped instead (budget.py).

A summary repeats what callers and tools said. It stands in the agent's own role, which models give no authority:
never in a system message.
"""

from __future__ import annotations

import structlog
from livekit.agents import AgentSession, APIConnectionError, APIError, llm

from edge_agents.session.budget import (
    SUMMARY_ITEM_ID,
    estimate_tokens,
    history,
    is_caller,
    is_prefix,
    shortened,
    squeezed,
    total_tokens,
    unsplit,
    within_budget,
)
from edge_agents.session.listener import background_requests
from edge_agents.session.prompt import SUMMARY_REQUEST, summary_message

log = structlog.get_logger(__name__)

_SUMMARISE_AT = 0.7
"""Share of the budget at which older turns are summarised: there is room while it is being written."""
_KEEP = 0.35
"""Share of the budget that the newest turns keep verbatim."""
_SUMMARY_TOKENS = 1_000
"""Largest summary asked for: more than a spoken reply may have."""
_SUMMARY = 0.25
"""Share of the budget that it may have: together with what is kept it must stay clear of the next summary."""


class HistoryKeeper:
    """Summarises one call's history whenever it is time to. One summary at a time.

    Args:
        session: the voice loop, whose current agent has the history.
        model: the call's own.
        budget_tokens: of the history.
    """

    def __init__(self, session: AgentSession[None], model: llm.LLM[object], budget_tokens: int) -> None:
        self._session = session
        self._model = model
        self._budget_tokens = budget_tokens
        self.busy = False
        """A summary is being written."""

    async def fit(self) -> None:
        """Bring the history inside its budget. Never raises but for cancellation, which leaves it as it is."""
        agent = self._session.current_agent
        if self.busy:
            return
        self.busy = True
        try:
            with background_requests():
                while older := items_to_summarise(agent.chat_ctx, self._budget_tokens):
                    summary = await summarise(self._model, older, self._budget_tokens)
                    await agent.update_chat_ctx(with_summary(agent.chat_ctx, older, summary))
                    log.info("context_summarised", items=len(older), chars=len(summary))
        except APIError:
            before = agent.chat_ctx
            after = within_budget(before, self._budget_tokens)
            log.warning("summary_failed", dropped=len(before.items) - len(after.items))
            if after is not before:
                await agent.update_chat_ctx(after)
        finally:
            self.busy = False


def items_to_summarise(chat_ctx: llm.ChatContext, budget_tokens: int) -> list[llm.ChatItem]:
    """Which items should be replaced by a summary now.

    Returns:
        The oldest items, ending just before a message of the caller, so that no exchange and no pair of tool
        call and result is split; [] while the history is small. The newest exchange is never among them, and
        they are no more than fits into the request for their summary, or else a single exchange.
    """
    items = history(chat_ctx)
    if total_tokens(items) <= budget_tokens * _SUMMARISE_AT:
        return []
    keep = int(budget_tokens * _KEEP)
    kept = 0
    cut: int | None = None
    for index in range(len(items) - 1, -1, -1):
        kept += estimate_tokens(items[index])
        if kept > keep and cut is not None:
            break
        if is_caller(items[index]):
            cut = index
    older = items[: unsplit(items, cut or 0)]
    while total_tokens(older) > _request_room(budget_tokens):
        fewer = unsplit(items, max((index for index, item in enumerate(older) if is_caller(item)), default=0))
        if not any(is_caller(item) for item in older[:fewer]):
            break
        older = older[:fewer]
    return older if any(is_caller(item) for item in older) else []


def summary_request(older: list[llm.ChatItem], budget_tokens: int) -> llm.ChatContext:
    """The request that asks for a summary of `older` (a previous summary among them is carried over).

    Args:
        older: what to summarise; texts that do not fit into the budget are shortened.
        budget_tokens: most tokens of the whole request.
    """
    request = llm.ChatContext(squeezed(older, _request_room(budget_tokens)))
    request.add_message(role="user", content=SUMMARY_REQUEST)
    return request


def with_summary(chat_ctx: llm.ChatContext, older: list[llm.ChatItem], summary: str) -> llm.ChatContext:
    """A copy of the history in which `older` is replaced by its summary; newer items are untouched."""
    gone = {item.id for item in older}
    prefix = [item for item in chat_ctx.items if is_prefix(item)]
    rest = [item for item in chat_ctx.items if item.id not in gone and not is_prefix(item)]
    note = llm.ChatMessage(
        id=SUMMARY_ITEM_ID,
        role="assistant",
        content=[summary_message(summary)],
        # before everything that is kept: histories are ordered by time
        created_at=min((item.created_at for item in rest), default=0.0) - 1e-3,
    )
    return llm.ChatContext([*prefix, note, *rest])


async def summarise(
    model: llm.LLM[object], older: list[llm.ChatItem], budget_tokens: int = round(_SUMMARY_TOKENS / _SUMMARY)
) -> str:
    """Ask the model for a summary.

    Args:
        model: the call's own.
        older: what to summarise.
        budget_tokens: of the whole history; the summary gets a share of it, and is cut to that.

    Raises:
        livekit.agents.APIError: the model failed, or gave none.
    """
    most = min(_SUMMARY_TOKENS, int(budget_tokens * _SUMMARY))
    request = summary_request(older, budget_tokens)
    async with model.chat(chat_ctx=request, tools=[], extra_kwargs={"max_completion_tokens": most}) as stream:
        deltas = [chunk.delta async for chunk in stream if chunk.delta is not None]
    summary = "".join(delta.content or "" for delta in deltas).strip()
    if not summary:
        raise APIConnectionError("the model gave no summary")
    return shortened(summary, most)


def _request_room(budget_tokens: int) -> int:
    """What a request for a summary has for the history."""
    return budget_tokens - estimate_tokens(llm.ChatMessage(role="user", content=[SUMMARY_REQUEST]))
