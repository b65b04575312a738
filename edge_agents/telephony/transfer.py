"""Transfers. Until the telephone comes, a transfer is refused in words the caller can be told."""

from __future__ import annotations

from shared.errors import ToolError


class NoTransfer:
    """A CallTransfer for media that can't be transferred (WebSocket, browser rooms)."""

    async def transfer(self, *, call_id: str, target: str, address: str) -> None:
        """Refuse.

        Raises:
            ToolError: always.
        """
        raise ToolError("this call can't be transferred", hint="transfers need a telephone call")
