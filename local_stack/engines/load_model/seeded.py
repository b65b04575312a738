"""Repeatable chance: one random sequence per named quantity, so that no quantity's draws shift another's."""

from __future__ import annotations

import math
import random

_Z95 = 1.6448536269514722
"""95th percentile of the standard normal distribution."""

_CAP = 10.0
"""No draw is more than this many times the median: a bench measures a tail, not a freak."""


class SeededSource:
    """Draws by name. The n-th draw of a name depends on the seed, the name and n only, on any machine."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._sequences: dict[str, random.Random] = {}

    def chance(self, name: str) -> float:
        """A number from 0 up to 1 (1 excluded)."""
        return self._sequence(name).random()

    def draw(self, name: str, spread: tuple[float, float]) -> float:
        """A lognormal draw in the unit of `spread` = (p50, p95); exactly p50 when both are equal.

        Takes one step of the sequence in either case, so changing a spread leaves later draws' luck as it
        was.
        """
        p50, p95 = spread
        deviate = self._sequence(name).normalvariate()
        if p50 == p95:
            return p50
        sigma = math.log(p95 / p50) / _Z95
        return min(p50 * math.exp(sigma * deviate), p50 * _CAP)

    def _sequence(self, name: str) -> random.Random:
        sequence = self._sequences.get(name)
        if sequence is None:
            sequence = self._sequences[name] = random.Random(f"{self.seed}:{name}")
        return sequence
