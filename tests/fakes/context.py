"""Checkpoints in memory."""

from __future__ import annotations


class FakeContextStore:
    """ContextStore in a dict; `away` makes it behave as Redis's does when Redis is lost: it keeps nothing."""

    def __init__(self) -> None:
        self.checkpoints: dict[tuple[str, str], bytes] = {}
        self.saves = 0
        self.away = False

    async def save(self, *, tenant_id: str, call_id: str, checkpoint: bytes) -> None:
        """Keep the newest."""
        self.saves += 1
        if not self.away:
            self.checkpoints[tenant_id, call_id] = checkpoint

    async def load(self, *, tenant_id: str, call_id: str) -> bytes | None:
        """Give it back."""
        return None if self.away else self.checkpoints.get((tenant_id, call_id))
