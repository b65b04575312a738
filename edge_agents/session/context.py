"""Keeps a call's history inside its token budget by summarising older turns, off the critical path.

    prefix (stable) │ summary │ ... newest turns verbatim ...
                      ▲            older turns move in here when the history grows over its budget

A fact given in turn 2 is in the summary in turn 40. Tool calls and their results are never split. The
summary is an ordinary request to the call's own model, so it is metered and priced like every other.
"""

from __future__ import annotations

from livekit.agents import APIConnectionError, llm

from edge_agents.session.prompt import SUMMARY_REQUEST, summary_message

SUMMARY_ITEM_ID = "parley_summary"
_SUMMARISE_AT = 0.7
"""Share of the budget at which older turns are summarised: there is room while it is being written."""
_KEEP = 0.35
"""Share of the budget that the newest turns keep verbatim."""
_CHARS_PER_TOKEN = 4
_TOKENS_PER_ITEM = 4
_SUMMARY_TOKENS = 1_000
"""Largest summary asked for: more than a spoken reply may have."""
_SUMMARY = 0.25
"""Share of the budget that it may have: together with what is kept it must stay clear of the next summary."""
_TOOL_MAY_TAKE_TURNS = 2
"""A tool call without a result that so many messages of the caller came after was given up."""


def estimate_tokens(item: llm.ChatItem) -> int:
    """Approximate size of a history item in tokens (English text: 4 characters a token, 4 an item)."""
    match item:
        case llm.ChatMessage():
            chars = len(item.text_content or "")
        case llm.FunctionCall():
            chars = len(item.name) + len(item.arguments)
        case llm.FunctionCallOutput():
            chars = len(item.output)
        case _:
            chars = 0
    return -(-chars // _CHARS_PER_TOKEN) + _TOKENS_PER_ITEM


def history(chat_ctx: llm.ChatContext) -> list[llm.ChatItem]:
    """The items that count against the budget: all but the stable prefix."""
    return [
        item
        for item in chat_ctx.items
        if not (isinstance(item, llm.ChatMessage) and item.role == "system" and item.id != SUMMARY_ITEM_ID)
    ]


def items_to_summarise(chat_ctx: llm.ChatContext, budget_tokens: int) -> list[llm.ChatItem]:
    """Which items should be replaced by a summary now.

    Returns:
        The oldest items, ending just before a message of the caller, so that no exchange and no pair of tool
        call and result is split; [] while the history is small. The newest exchange is never among them.
    """
    items = history(chat_ctx)
    if sum(map(estimate_tokens, items)) <= budget_tokens * _SUMMARISE_AT:
        return []
    keep = int(budget_tokens * _KEEP)
    kept = 0
    cut: int | None = None
    for index in range(len(items) - 1, -1, -1):
        kept += estimate_tokens(items[index])
        if kept > keep and cut is not None:
            break
        if _is_caller(items[index]):
            cut = index
    older = items[: _unsplit(items, cut or 0)]
    return older if any(_is_caller(item) for item in older) else []


def _unsplit(items: list[llm.ChatItem], cut: int) -> int:
    """The latest place not after `cut`, before a message of the caller, that splits no tool call from its result."""
    callers = [index for index, item in enumerate(items) if _is_caller(item)]
    may_still_run_from = callers[-_TOOL_MAY_TAKE_TURNS] if len(callers) >= _TOOL_MAY_TAKE_TURNS else 0
    while cut > 0:
        split = next(
            (
                index
                for index, item in enumerate(items[:cut])
                if isinstance(item, llm.FunctionCall)
                and _result_at(items, index, missing=cut if index >= may_still_run_from else 0) >= cut
            ),
            None,
        )
        if split is None:
            break
        cut = max((index for index in callers if index <= split), default=0)
    return cut


def _result_at(items: list[llm.ChatItem], call_at: int, *, missing: int) -> int:
    """Where the result of the call at `call_at` is; `missing` when there is none."""
    call = items[call_at]
    for index in range(call_at + 1, len(items)):
        item = items[index]
        if isinstance(item, llm.FunctionCallOutput) and item.call_id == getattr(call, "call_id", None):
            return index
    return missing


def summary_request(older: list[llm.ChatItem]) -> llm.ChatContext:
    """The request that asks for a summary of `older` (a previous summary among them is carried over)."""
    request = llm.ChatContext(list(older))
    request.add_message(role="user", content=SUMMARY_REQUEST)
    return request


def with_summary(chat_ctx: llm.ChatContext, older: list[llm.ChatItem], summary: str) -> llm.ChatContext:
    """A copy of the history in which `older` is replaced by its summary; newer items are untouched."""
    gone = {item.id for item in older}
    prefix = [
        item
        for item in chat_ctx.items
        if isinstance(item, llm.ChatMessage) and item.role == "system" and item.id not in gone
    ]
    rest = [item for item in chat_ctx.items if item.id not in gone and item not in prefix]
    note = llm.ChatMessage(
        id=SUMMARY_ITEM_ID,
        role="system",
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
        budget_tokens: of the whole history; the summary gets a share of it.

    Raises:
        livekit.agents.APIError: the model failed; the history stays as it is and a later turn tries again.
    """
    limit = {"max_completion_tokens": min(_SUMMARY_TOKENS, int(budget_tokens * _SUMMARY))}
    async with model.chat(chat_ctx=summary_request(older), tools=[], extra_kwargs=limit) as stream:
        deltas = [chunk.delta async for chunk in stream if chunk.delta is not None]
    summary = "".join(delta.content or "" for delta in deltas).strip()
    if not summary:
        raise APIConnectionError("the model gave no summary")
    return summary


def _is_caller(item: llm.ChatItem) -> bool:
    return isinstance(item, llm.ChatMessage) and item.role == "user"
