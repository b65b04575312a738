"""When a call has used up what it may use: deciding only, no doing."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.domain.agent import CallLimits

NEAR: Final = Decimal("0.85")
"""Share of a limit from which it counts as near."""
NEAR_STEPS: Final = 3
"""A number of turns or tool calls counts as near when no more than this is left."""
NEAR_MINUTES_S: Final = 45.0
"""The length limit counts as near this many seconds before it, but not before half of it is over."""


class LimitKind(StrEnum):
    """What ran out."""

    MINUTES = "minutes"
    TURNS = "turns"
    TOOL_CALLS = "tool_calls"
    SPEND = "spend"


class LimitAction(StrEnum):
    """What to do about it."""

    NONE = "none"
    WRAP_UP = "wrap_up"
    """Say once that the call is about to end."""
    END = "end"
    """Say goodbye and end it."""


@dataclass(frozen=True)
class LimitDecision:
    """What the limits say now."""

    action: LimitAction
    kind: LimitKind | None = None
    announced: bool = True
    """With END: whether it was said before that the end is near. A dear turn may leap from far to over."""


class LimitWatch:
    """Watches one call's limits. Each of wrap-up and end is decided at most once.

    Tool calls are told of by a wrap-up of their own, and end no call: the tool runner refuses further ones by
    itself (tools.py), and the agent can still talk.
    """

    def __init__(self, limits: CallLimits) -> None:
        self._limits = limits
        self._wrapped_up = False
        self._told_of_tools = False
        self._ended = False
        self._spent_usd: Decimal | None = None
        self._dearest_step_usd = Decimal(0)

    def observe(
        self, *, elapsed_s: float, turns: int, spend_usd: Decimal, tool_calls: int = 0
    ) -> LimitDecision:
        """Decide.

        Args:
            elapsed_s: seconds since the call started.
            turns: turns of the caller so far.
            spend_usd: vendor cost so far.
            tool_calls: tool calls so far, all tools together.
        """
        total_s = self._limits.minutes * 60
        over = {
            LimitKind.MINUTES: elapsed_s >= total_s,
            LimitKind.TURNS: turns >= self._limits.turns,
            LimitKind.SPEND: spend_usd >= self._limits.spend_usd,
        }
        near = {
            LimitKind.MINUTES: elapsed_s >= max(total_s - NEAR_MINUTES_S, total_s / 2),
            LimitKind.TURNS: turns >= _near_count(self._limits.turns),
            LimitKind.SPEND: spend_usd >= self._limits.spend_usd * NEAR
            or spend_usd + self._step_usd(spend_usd) >= self._limits.spend_usd,
        }
        if not self._ended and (kind := _first(over)):
            announced, self._ended, self._wrapped_up = self._wrapped_up, True, True
            return LimitDecision(LimitAction.END, kind, announced)
        if not self._wrapped_up and (kind := _first(near)):
            self._wrapped_up = True
            return LimitDecision(LimitAction.WRAP_UP, kind)
        if not self._told_of_tools and not self._ended and self._tools_near(tool_calls):
            self._told_of_tools = True
            return LimitDecision(LimitAction.WRAP_UP, LimitKind.TOOL_CALLS)
        return LimitDecision(LimitAction.NONE)

    def _step_usd(self, spend_usd: Decimal) -> Decimal:
        """The most that was spent between two looks: the next one may cost as much."""
        if self._spent_usd is not None:
            self._dearest_step_usd = max(self._dearest_step_usd, spend_usd - self._spent_usd)
        self._spent_usd = spend_usd
        return self._dearest_step_usd

    def _tools_near(self, tool_calls: int) -> bool:
        limit = self._limits.tool_calls
        # before the first one nothing is near, whatever the limit
        return limit > 0 and tool_calls >= max(_near_count(limit), 1)

    def next_check_s(self, elapsed_s: float) -> float:
        """Seconds until time alone could change the decision; never less than 0.1."""
        total_s = self._limits.minutes * 60
        marks = (max(total_s - NEAR_MINUTES_S, total_s / 2), total_s)
        ahead = [mark - elapsed_s for mark in marks if mark > elapsed_s]
        return max(min(ahead, default=60.0), 0.1)


def _near_count(limit: int) -> int:
    """From how many on a limit of so many is near: at least one before it is reached."""
    return max(min(max(int(limit * NEAR), limit - NEAR_STEPS), limit - 1), 0)


def _first(flags: dict[LimitKind, bool]) -> LimitKind | None:
    return next((kind for kind, hit in flags.items() if hit), None)
