"""The real clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Clock of the operating system."""

    def now(self) -> datetime:
        """Wall clock, UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """time.monotonic(): the same clock in all processes of one machine on Linux and macOS."""
        return time.monotonic()
