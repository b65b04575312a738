"""Personal data on its way: an envelope from the first event on; destroying its key erases it everywhere."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.domain.model import FrozenModel


class Sealed(FrozenModel):
    """One encrypted value. Stands only under a key named `pii`."""

    key_id: str = Field(min_length=1, max_length=120)
    """Which key opens it; destroying that key erases the value in every copy of the event."""
    alg: Literal["A256GCM"] = "A256GCM"
    """AES-256 in Galois/Counter Mode (NIST SP 800-38D); 96-bit random nonce."""
    ct: str = Field(min_length=1)
    """Base64 of nonce + ciphertext + tag. The associated data is `key_id`."""
