"""Finds out which utterance of the caller each of the agent's exchanges answers.

The two ends count turns for themselves: an utterance that was not understood is none for the agent, one with a long
pause may be two. What both know is roughly when things happened, and how long the caller waited:

    caller   ~~1~~            ~~2~~               ~~3~~
    agent            exchange A        "pardon?"          exchange B       2 was not understood: 1-A, 3-B

Utterance and exchange go together only when the one fell into the time of the other; of all ways to pair them in
order, the one with the most pairs is taken, and of those the one whose latencies at both ends differ least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BEGAN_TOLERANCE_S: Final = 0.5
"""Clocks of both ends start within this; less than the 0.8 s of quiet for which a caller waits before it speaks."""
ENDED_TOLERANCE_S: Final = 1.5
"""A reply that was cut may be noted as over so long after the words that cut it."""
_UNKNOWN_DIFFERENCE_MS: Final = 300.0
"""Stands for the difference where an end measured nothing: worse than a good pair, better than a bad one."""


@dataclass(frozen=True, slots=True)
class AgentExchange:
    """An exchange as the agent noted it. Seconds since the call was answered."""

    over_s: float
    """When it was over."""
    previous_over_s: float | None
    """When the agent's turn before it was over, exchange or not; None for the first."""
    speak_to_hear_ms: float | None
    """What the agent measured."""


@dataclass(frozen=True, slots=True)
class CallerUtterance:
    """An utterance as the caller noted it. Seconds since the call was answered."""

    start_s: float
    """First voiced sample."""
    end_s: float
    """Last voiced sample."""
    speak_to_hear_ms: float | None
    """What the caller measured."""


@dataclass(frozen=True, slots=True)
class _Pairing:
    """The best way to pair the rest: more pairs first, then less difference."""

    pairs: int
    difference_ms: float
    takes: bool
    """Whether it pairs the first exchange with the first utterance of the rest."""
    skips_exchange: bool = False

    @property
    def rank(self) -> tuple[int, float]:
        return self.pairs, -self.difference_ms


def join_turns(exchanges: Sequence[AgentExchange], utterances: Sequence[CallerUtterance]) -> list[int | None]:
    """Pair exchanges with utterances; both in the order in which they happened.

    Returns:
        For each exchange the index of its utterance, growing; None where there is none that fits.
    """
    table = _table(exchanges, utterances)
    joined: list[int | None] = [None] * len(exchanges)
    row = column = 0
    while row < len(exchanges) and column < len(utterances):
        best = table[row][column]
        if best.takes:
            joined[row] = column
            row, column = row + 1, column + 1
        elif best.skips_exchange:
            row += 1
        else:
            column += 1
    return joined


def _table(exchanges: Sequence[AgentExchange], utterances: Sequence[CallerUtterance]) -> list[list[_Pairing]]:
    """For each pair of positions the best pairing of all that comes from there on."""
    nothing = _Pairing(0, 0.0, takes=False)
    table = [[nothing] * (len(utterances) + 1) for _ in range(len(exchanges) + 1)]
    for row in reversed(range(len(exchanges))):
        for column in reversed(range(len(utterances))):
            below, right = table[row + 1][column], table[row][column + 1]
            options = [
                _Pairing(below.pairs, below.difference_ms, takes=False, skips_exchange=True),
                _Pairing(right.pairs, right.difference_ms, takes=False),
            ]
            if _fits(exchanges[row], utterances[column]):
                rest = table[row + 1][column + 1]
                difference_ms = rest.difference_ms + _difference_ms(exchanges[row], utterances[column])
                options.append(_Pairing(rest.pairs + 1, difference_ms, takes=True))
            table[row][column] = max(options, key=lambda option: option.rank)
    return table


def _fits(exchange: AgentExchange, utterance: CallerUtterance) -> bool:
    if utterance.start_s > exchange.over_s + BEGAN_TOLERANCE_S:
        return False
    previous_over_s = exchange.previous_over_s
    return previous_over_s is None or utterance.end_s >= previous_over_s - ENDED_TOLERANCE_S


def _difference_ms(exchange: AgentExchange, utterance: CallerUtterance) -> float:
    if exchange.speak_to_hear_ms is None or utterance.speak_to_hear_ms is None:
        return _UNKNOWN_DIFFERENCE_MS
    return abs(exchange.speak_to_hear_ms - utterance.speak_to_hear_ms)
