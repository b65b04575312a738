"""A gate that a test opens and closes."""

from __future__ import annotations

from shared.domain.call import RefusalReason
from shared.ports import Lease, Refusal


class FakeGate:
    """AdmissionGate that grants until `refuse_with` is set, and remembers who asked."""

    def __init__(self) -> None:
        self.refuse_with: RefusalReason | None = None
        self.lost: set[str] = set()
        """Calls whose lease can't be renewed any more."""
        self.asked: list[tuple[str, str]] = []
        self.renewed: list[Lease] = []
        self.released: list[Lease] = []
        self._segment = 0

    async def admit(self, *, tenant_id: str, call_id: str) -> Lease | Refusal:
        """Grant or refuse."""
        self.asked.append((tenant_id, call_id))
        if self.refuse_with is not None:
            return Refusal(reason=self.refuse_with)
        self._segment += 1
        return Lease(call_id=call_id, segment=self._segment)

    async def renew(self, lease: Lease) -> bool:
        """Say whether it holds."""
        self.renewed.append(lease)
        return lease.call_id not in self.lost

    async def release(self, lease: Lease) -> None:
        """Note it."""
        self.released.append(lease)
