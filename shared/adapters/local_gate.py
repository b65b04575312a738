"""Admission within one process: counts of calls, nothing shared with other processes.

The cell's Redis script takes its place where several processes share limits. A lease here does not expire:
its holder and the gate are one process, and end together.
"""

from __future__ import annotations

from shared.domain.call import RefusalReason
from shared.ports import Lease, Refusal


class LocalGate:
    """AdmissionGate of one process; for one event loop.

    Args:
        max_calls: calls at once.
    """

    def __init__(self, *, max_calls: int) -> None:
        self._max_calls = max_calls
        self._last_segment = 0
        self._held: dict[str, int] = {}
        """call_id -> segment of the lease that holds."""

    @property
    def active(self) -> int:
        """Calls that hold a lease."""
        return len(self._held)

    async def admit(self, *, tenant_id: str, call_id: str) -> Lease | Refusal:
        """Grant a lease, or refuse.

        A call that holds a lease already is granted a new one, which ends the old (another worker takes the
        call over); it counts once.
        """
        if call_id not in self._held and len(self._held) >= self._max_calls:
            return Refusal(reason=RefusalReason.AT_CAPACITY)
        self._last_segment += 1
        self._held[call_id] = self._last_segment
        return Lease(call_id=call_id, segment=self._last_segment)

    async def renew(self, lease: Lease) -> bool:
        """Whether the lease still holds."""
        return self._holds(lease)

    async def release(self, lease: Lease) -> None:
        """Give the lease back. A second time, or with a lease that was replaced, this does nothing."""
        if self._holds(lease):
            del self._held[lease.call_id]

    def _holds(self, lease: Lease) -> bool:
        return self._held.get(lease.call_id) == lease.segment
