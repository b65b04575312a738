"""A sealer that hides text from a search, and opens again, without keys."""

from __future__ import annotations

import base64
import json

from shared.contracts.sealed import Sealed, SealedPlace
from shared.errors import SealError

KEY_ID = "fake-key"


class FakeSealer:
    """Sealer whose envelopes are base64 of the reversed text: no canary stands in them in the clear."""

    def __init__(self) -> None:
        self.places: list[SealedPlace] = []
        """Place of each value sealed, in order."""

    def seal(self, text: str, place: SealedPlace) -> Sealed:
        """Hide `text`."""
        self.places.append(place)
        held = json.dumps([place.tenant_id, place.call_id, place.path, text])
        return Sealed(key_id=KEY_ID, ct=base64.b64encode(b"\0" + held[::-1].encode()).decode())

    def unseal(self, sealed: Sealed, place: SealedPlace) -> str:
        """Show it again, in its own place."""
        if sealed.key_id != KEY_ID:
            raise SealError("sealed with another key")
        *held, text = json.loads(base64.b64decode(sealed.ct)[1:].decode()[::-1])
        if held != [place.tenant_id, place.call_id, place.path]:
            raise SealError("moved from another place")
        return str(text)
