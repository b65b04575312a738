"""Sizes of a call's history, and what of it fits into a request to the model.

A request never holds more history than the budget, whatever callers, models and tools do:

    prefix │ summary │ exchange 1 │ exchange 2 │ … │ newest exchange
                       ◄── whole exchanges go first       └─ then its long texts are shortened, and say so

An exchange is a message of the caller and all that follows until the next one. No tool call is parted from its
result. The prefix (instructions, knowledge) is not counted: it has limits of its own (shared/domain/agent.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from livekit.agents import llm

SUMMARY_ITEM_ID = "parley_summary"
_CHARS_PER_TOKEN = 4
_TOKENS_PER_ITEM = 4
_LEAST_TOKENS = 30
"""An item is not shortened below this: room for the note that says so, and for some words."""
_TOOL_RESULT = 0.25
"""Share of the budget that one tool result may have."""
_TOOL_MAY_TAKE_TURNS = 2
"""A tool call without a result that so many messages of the caller came after was given up."""
_SHORTENED_ARGUMENTS = '{"shortened": true}'


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


def total_tokens(items: Sequence[llm.ChatItem]) -> int:
    """Approximate size of several items."""
    return sum(map(estimate_tokens, items))


def history(chat_ctx: llm.ChatContext) -> list[llm.ChatItem]:
    """The items that count against the budget: all but the stable prefix."""
    return [item for item in chat_ctx.items if not is_prefix(item)]


def is_prefix(item: llm.ChatItem) -> bool:
    """Whether an item is ours, and stays for the whole call."""
    return isinstance(item, llm.ChatMessage) and item.role in ("system", "developer")


def is_caller(item: llm.ChatItem) -> bool:
    """Whether an item is what the caller said."""
    return isinstance(item, llm.ChatMessage) and item.role == "user"


def shortened(text: str, tokens: int) -> str:
    """`text`, or its beginning with a note for the model, so that it has at most `tokens` tokens."""
    most = tokens * _CHARS_PER_TOKEN
    if len(text) <= most:
        return text
    note = f" [shortened: the beginning of {len(text)} characters]"
    return text[: max(most - len(note), 0)] + note[:most]


def for_the_history(tool_result: str, budget_tokens: int) -> str:
    """What of a tool's result the model is given: its share of the budget, with a note when that is not all.

    Args:
        tool_result: the whole result.
        budget_tokens: of the whole history.
    """
    return shortened(tool_result, int(budget_tokens * _TOOL_RESULT))


def within_budget(chat_ctx: llm.ChatContext, budget_tokens: int) -> llm.ChatContext:
    """The history as it fits into the budget: `chat_ctx` itself, or a copy without the oldest exchanges.

    The stable prefix and the summary stay, and so does the newest exchange: where that alone is too long, its
    longest texts are shortened.
    """
    items = history(chat_ctx)
    if total_tokens(items) <= budget_tokens:
        return chat_ctx
    summary = [item for item in items if item.id == SUMMARY_ITEM_ID]
    rest = [item for item in items if item.id != SUMMARY_ITEM_ID]
    room = budget_tokens - total_tokens(summary)
    cuts = _cuts(rest)
    cut = next((at for at in cuts if total_tokens(rest[at:]) <= room), cuts[-1] if cuts else 0)
    kept = squeezed([*summary, *rest[cut:]], budget_tokens)
    return llm.ChatContext([*(item for item in chat_ctx.items if is_prefix(item)), *kept])


def squeezed(items: Sequence[llm.ChatItem], tokens: int) -> list[llm.ChatItem]:
    """The items in at most `tokens` tokens: the longest are shortened, all to the same length.

    Where there are too many even so, the oldest tool calls with their results and words of the agent are left
    out. The order stays.
    """
    kept = _fewer(list(items), tokens // _LEAST_TOKENS)
    cap = tokens
    sizes = sorted(map(estimate_tokens, kept))
    if sum(sizes) > tokens:
        left = tokens
        for position, size in enumerate(sizes):
            cap = left // (len(sizes) - position)
            if size > cap:
                break
            left -= size
    return [_item_within(item, cap) for item in kept]


def unsplit(items: Sequence[llm.ChatItem], cut: int) -> int:
    """The latest place not after `cut`, before a message of the caller, that splits no tool call from its result.

    A tool that still runs belongs to what comes after: its result will.
    """
    callers = [index for index, item in enumerate(items) if is_caller(item)]
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


def _cuts(items: Sequence[llm.ChatItem]) -> list[int]:
    """Where the history may begin, oldest first: before a message of the caller, no tool call split."""
    return [index for index, item in enumerate(items) if is_caller(item) and unsplit(items, index) == index]


def _result_at(items: Sequence[llm.ChatItem], call_at: int, *, missing: int) -> int:
    """Where the result of the call at `call_at` is; `missing` when there is none."""
    call = items[call_at]
    for index in range(call_at + 1, len(items)):
        item = items[index]
        if isinstance(item, llm.FunctionCallOutput) and item.call_id == getattr(call, "call_id", None):
            return index
    return missing


def _fewer(items: list[llm.ChatItem], most: int) -> list[llm.ChatItem]:
    """At most `most` items, if that can be had without the summary and what the caller said; oldest go first."""
    gone: set[int] = set()
    for index, item in enumerate(items):
        if len(items) - len(gone) <= most:
            break
        if index in gone or item.id == SUMMARY_ITEM_ID or is_caller(item):
            continue
        gone.add(index)
        if isinstance(item, llm.FunctionCall) and (result := _result_at(items, index, missing=-1)) >= 0:
            gone.add(result)
    kept = [item for index, item in enumerate(items) if index not in gone]
    if len(kept) <= most:
        return kept
    # nothing but the summary and the caller's words is left
    summary = [item for item in kept if item.id == SUMMARY_ITEM_ID]
    return [*summary, *[item for item in kept if item.id != SUMMARY_ITEM_ID][len(summary) - most :]]


def _item_within(item: llm.ChatItem, tokens: int) -> llm.ChatItem:
    if estimate_tokens(item) <= tokens:
        return item
    room = tokens - _TOKENS_PER_ITEM
    match item:
        case llm.ChatMessage():
            return item.model_copy(update={"content": [shortened(item.text_content or "", room)]})
        case llm.FunctionCall():
            # its arguments must stay JSON
            return item.model_copy(update={"arguments": _SHORTENED_ARGUMENTS, "name": item.name[:64]})
        case llm.FunctionCallOutput():
            return item.model_copy(update={"output": shortened(item.output, room)})
        case _:
            return item
