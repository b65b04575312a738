"""Identifiers: a short prefix that tells the kind, and a ULID that sorts by time of creation."""

from __future__ import annotations

import re
from enum import StrEnum

from ulid import ULID

from shared.errors import InvalidIdError


class IdKind(StrEnum):
    """Prefixes in use. No id contains `#`, `:`, `/` or braces, so ids are safe inside composed keys."""

    TENANT = "ten"
    AGENT = "agt"
    AGENT_VERSION = "ver"
    NUMBER = "num"
    CALL = "call"
    TURN = "turn"
    EVENT = "evt"
    WEBHOOK = "whk"
    KEY = "key"
    LEDGER_LINE = "led"


# Crockford base 32; the first character of a 128-bit ULID is at most 7.
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_id(kind: IdKind) -> str:
    """Make a new id, for example `call_01K9Z…`; unique without coordination."""
    return f"{kind.value}_{ULID()}"


def check_id(value: str, kind: IdKind) -> str:
    """Return `value` if it is an id of `kind`.

    Raises:
        InvalidIdError: wrong prefix or not a ULID. The value itself is not repeated: it came from outside.
    """
    prefix, _, rest = value.partition("_")
    if prefix != kind.value or not _ULID.fullmatch(rest):
        raise InvalidIdError(f"not a {kind.value}_ id", kind=kind.value)
    return value
