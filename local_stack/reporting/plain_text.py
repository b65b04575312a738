"""Words of callers, agents and models, made fit for places that give some characters a meaning."""

from __future__ import annotations

import json
import re
from typing import Any, Final

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_STEERS_TERMINALS: Final = re.compile(
    # C0, DEL and C1 begin escape sequences; marks, embeddings, overrides and isolates turn text around
    # (Unicode Technical Report 36, 2.10.1)
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def encodable(text: str) -> str:
    """`text` as UTF-8 can hold it: models may write half a character (`"\\ud83d"` in JSON)."""
    return _SURROGATES.sub(REPLACEMENT, text)


def encodable_object(text: str) -> dict[str, Any]:
    """Read a JSON object so that it can be written as JSON again: no halves of characters, no NaN.

    Raises:
        ValueError: it is no JSON object.
    """
    # what is escaped in `text` becomes a character only when it is read: so it is read twice
    clean = encodable(json.dumps(json.loads(text, parse_constant=str), ensure_ascii=False))
    found = json.loads(clean)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - what json.loads raises for other bad text
    return found


def for_terminal(text: str) -> str:
    """`text` without what could steer a terminal; line ends become spaces."""
    return _STEERS_TERMINALS.sub(REPLACEMENT, " ".join(text.splitlines()))
