"""When a call has used up what it may use: deciding only, no doing."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.domain.agent import CallLimits

NEAR: Final = Decimal("0.85")
"""Share of a limit from which it counts as near."""
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


class LimitWatch:
    """Watches one call's limits. Each of wrap-up and end is decided at most once.

    Used-up tool calls are told of, but end no call: the tool runner refuses further ones by itself (tools.py),
    and the agent can still talk.
    """

    def __init__(self, limits: CallLimits) -> None:
        self._limits = limits
        self._wrapped_up = False
        self._ended = False

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
            LimitKind.TURNS: turns >= max(int(self._limits.turns * NEAR), self._limits.turns - 3, 1),
            LimitKind.TOOL_CALLS: 0 < self._limits.tool_calls <= tool_calls,
            LimitKind.SPEND: spend_usd >= self._limits.spend_usd * NEAR,
        }
        if not self._ended and (kind := _first(over)):
            self._ended = self._wrapped_up = True
            return LimitDecision(LimitAction.END, kind)
        if not self._wrapped_up and (kind := _first(near)):
            self._wrapped_up = True
            return LimitDecision(LimitAction.WRAP_UP, kind)
        return LimitDecision(LimitAction.NONE)

    def next_check_s(self, elapsed_s: float) -> float:
        """Seconds until time alone could change the decision; never less than 0.1."""
        total_s = self._limits.minutes * 60
        marks = (max(total_s - NEAR_MINUTES_S, total_s / 2), total_s)
        ahead = [mark - elapsed_s for mark in marks if mark > elapsed_s]
        return max(min(ahead, default=60.0), 0.1)


def _first(flags: dict[LimitKind, bool]) -> LimitKind | None:
    return next((kind for kind, hit in flags.items() if hit), None)
