"""Hold audio back to a multiple of real time, as the vendors' services do.

Without it a whole reply is synthesised and sent at once: work thrown away at every barge-in, and a burst of CPU
just when the caller waits for the next turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

BURST_S = 2.0
"""Audio that goes out at once after a pause: more than any client buffers before it plays."""


class Pacer:
    """A bucket of seconds of audio that refills at `realtime_factor` per second, up to BURST_S."""

    def __init__(
        self,
        realtime_factor: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Start with a full bucket.

        Args:
            realtime_factor: seconds of audio per second in the long run; 0 never waits.
            clock: monotonic seconds.
            sleep: waits for so many seconds; cancelled together with the caller.
        """
        self._factor = realtime_factor
        self._clock = clock
        self._sleep = sleep
        self._level_s = BURST_S
        self._filled_at = clock()

    async def sent(self, audio_s: float) -> None:
        """Account for audio that was sent; returns when the next piece may go."""
        if self._factor <= 0:
            return
        now = self._clock()
        self._level_s = min(BURST_S, self._level_s + (now - self._filled_at) * self._factor) - audio_s
        self._filled_at = now
        if self._level_s < 0:
            await self._sleep(-self._level_s / self._factor)
