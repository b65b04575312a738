"""A sealer that hides text from a search, and opens again, without keys."""

from __future__ import annotations

import base64

from shared.contracts.sealed import Sealed
from shared.errors import SealError

KEY_ID = "fake-key"


class FakeSealer:
    """Sealer whose envelopes are base64 of the reversed text: no canary stands in them in the clear."""

    def __init__(self) -> None:
        self.tenants: list[str] = []
        """Tenant of each value sealed, in order."""

    def seal(self, text: str, *, tenant_id: str) -> Sealed:
        """Hide `text`."""
        self.tenants.append(tenant_id)
        return Sealed(key_id=KEY_ID, ct=base64.b64encode(b"\0" + text[::-1].encode()).decode())

    def unseal(self, sealed: Sealed) -> str:
        """Show it again."""
        if sealed.key_id != KEY_ID:
            raise SealError("sealed with another key")
        return base64.b64decode(sealed.ct)[1:].decode()[::-1]
