"""A transfer that is only noted."""

from __future__ import annotations

from shared.errors import ToolError


class FakeTransfer:
    """CallTransfer that remembers, or fails when told to."""

    def __init__(self) -> None:
        self.transfers: list[tuple[str, str, str]] = []
        """(call_id, target, address)."""
        self.fail_with: ToolError | None = None

    async def transfer(self, *, call_id: str, target: str, address: str) -> None:
        """Note it."""
        if self.fail_with:
            raise self.fail_with
        self.transfers.append((call_id, target, address))
