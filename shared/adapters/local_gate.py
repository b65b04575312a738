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
        max_calls_per_tenant: calls of one tenant at once; None for no bound of its own.
    """

    def __init__(self, *, max_calls: int, max_calls_per_tenant: int | None = None) -> None:
        self._max_calls = max_calls
        self._max_calls_per_tenant = max_calls_per_tenant
        self._last_segment = 0
        self._draining = False
        self._held: dict[str, tuple[str, int]] = {}
        """call_id -> (tenant_id, segment) of the lease that holds."""

    @property
    def active(self) -> int:
        """Calls that hold a lease."""
        return len(self._held)

    @property
    def draining(self) -> bool:
        """Whether new calls are refused for good."""
        return self._draining

    def drain(self) -> None:
        """Grant no more calls; those that hold a lease go on."""
        self._draining = True

    async def admit(self, *, tenant_id: str, call_id: str) -> Lease | Refusal:
        """Grant a lease, or refuse.

        A call that holds a lease already is granted a new one, which ends the old (another worker takes the
        call over); it counts once.
        """
        if self._draining:
            return Refusal(reason=RefusalReason.DRAINING)
        others = [tenant for call, (tenant, _) in self._held.items() if call != call_id]
        cap = self._max_calls_per_tenant
        if len(others) >= self._max_calls or (cap is not None and others.count(tenant_id) >= cap):
            return Refusal(reason=RefusalReason.AT_CAPACITY)
        self._last_segment += 1
        self._held[call_id] = (tenant_id, self._last_segment)
        return Lease(call_id=call_id, segment=self._last_segment)

    async def renew(self, lease: Lease) -> bool:
        """Whether the lease still holds."""
        return self._holds(lease)

    async def release(self, lease: Lease) -> None:
        """Give the lease back. A second time, or with a lease that was replaced, this does nothing."""
        if self._holds(lease):
            del self._held[lease.call_id]

    def _holds(self, lease: Lease) -> bool:
        held = self._held.get(lease.call_id)
        return held is not None and held[1] == lease.segment
