"""When the frames of a live track came, although a busy event loop gets some of them late."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_S: Final = 1.0
"""The clock follows the frames of this time: longer than a loop is ever busy, short enough to notice a real stall."""


class LiveClock:
    """Follows one track: its samples are the clock, its earliest frames say where that clock stands.

    libwebrtc takes a frame out of the jitter buffer every 10 ms, silence included, on a thread of its own:

        came          |    |    |    |    |    |    |
        reached us    |    |           |||     |    |      late frames do not move the clock

    Args:
        rate_hz: samples per second.
        frame_s: length of the frames, seconds.
    """

    def __init__(self, rate_hz: int, *, frame_s: float) -> None:
        self._rate_hz = rate_hz
        self._samples = 0
        self._lags: deque[float] = deque(maxlen=max(1, round(WINDOW_S / frame_s)))
        self._newest_s = float("-inf")

    def came(self, samples: int, now_s: float) -> float:
        """When the next frame's last sample came: at `now_s` or before, never before an earlier frame.

        Args:
            samples: length of the frame.
            now_s: when it reached us, monotonic seconds.
        """
        self._samples += samples
        elapsed_s = self._samples / self._rate_hz
        self._lags.append(now_s - elapsed_s)
        self._newest_s = max(self._newest_s, elapsed_s + min(self._lags))
        return self._newest_s
