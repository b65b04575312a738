"""Personal data on its way: an envelope from the first event on; destroying its key erases it everywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from shared.domain.model import FrozenModel


class Sealed(FrozenModel):
    """One encrypted value. Stands only under a key named `pii`, and opens only in its own place (SealedPlace)."""

    key_id: str = Field(min_length=1, max_length=120)
    """Which key opens it; destroying that key erases the value in every copy of the event."""
    alg: Literal["A256GCM.2"] = "A256GCM.2"
    """AES-256 in Galois/Counter Mode (NIST SP 800-38D), 96-bit random nonce; form 2 is bound to its place."""
    ct: str = Field(min_length=1)
    """Base64 of nonce + ciphertext + tag. The associated data is the JSON array
    `[alg, key_id, tenant_id, call_id, path]`, without spaces, in UTF-8 (see SealedPlace)."""


@dataclass(frozen=True, slots=True)
class SealedPlace:
    """Where a sealed value belongs: an envelope that was moved to another call, turn or field does not open."""

    tenant_id: str
    """Whose it is."""
    call_id: str
    """The call it is of."""
    path: str
    """The turn's id, a slash, and the field in the event: `turn_…/pii.caller_text`,
    `turn_…/tools.0.pii.arguments`."""

    def associated_data(self, *, alg: str, key_id: str) -> bytes:
        """What is authenticated beside the ciphertext (see `Sealed.ct`)."""
        parts = [alg, key_id, self.tenant_id, self.call_id, self.path]
        return json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()
