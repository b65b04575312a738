"""Tool results in spoken words. A result is data: its text is said, never obeyed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from local_stack.engines.llm.facts import label, spoken

ANYTHING_ELSE = "Is there anything else I can help you with?"
OFFER_MESSAGE = "Would you like me to take a message instead?"
_MAX_FIELDS = 6
_MAX_CHARS = 600
_HIDDEN = frozenset({"status", "ok", "success", "message", "error", "code", "id"})
_BAD_STATUS = frozenset({"error", "failed", "failure", "rejected", "refused", "unavailable"})
_BAD_STARTS = (
    "error",
    "exception",
    "an internal error",
    "failed",
    "traceback",
    "timeout",
    "unknown function",
)


@dataclass(frozen=True)
class Result:
    """A tool's result, read once."""

    failed: bool
    text: str
    """What it says, without an offer or a question after it; may be empty."""
    fields: Mapping[str, object]
    """Its plain fields, empty when it is no JSON object."""

    @property
    def speech(self) -> str:
        """What to say to the caller about it."""
        if self.failed:
            detail = f" {self.text}" if self.text else ""
            return f"I'm sorry, that did not work.{detail} {OFFER_MESSAGE}"
        text = self.text or "That's done."
        return text if text.endswith("?") else f"{text} {ANYTHING_ELSE}"


def read_result(content: str) -> Result:
    """Read the content of a `tool` message. Never raises."""
    text = content.strip()
    try:
        value = json.loads(text) if text[:1] in {"{", "[", '"'} else text
    except (ValueError, RecursionError):
        value = text
    if isinstance(value, Mapping):
        return _from_fields(value)
    plain = spoken(value) if isinstance(value, list | str) else ""
    failed = plain.lower().startswith(_BAD_STARTS)
    if plain.lower() in {"none", "null", "ok", "true", "done", "success"}:
        plain = ""
    return Result(failed, "" if failed else _sentence(plain[:_MAX_CHARS]), {})


def _from_fields(fields: Mapping[str, object]) -> Result:
    message = fields.get("message")
    status = str(fields.get("status", "")).lower()
    refused = any(fields.get(key) is False for key in ("ok", "success"))
    failed = bool(fields.get("error")) or refused or status in _BAD_STATUS
    if isinstance(message, str) and message.strip():
        text = " ".join(message.split())[:_MAX_CHARS]
    elif failed:
        text = ""
    else:
        shown = [(k, v) for k, v in fields.items() if k not in _HIDDEN and v not in (None, "", [])]
        rendered = ", ".join(f"{label(k)}: {spoken(v)}" for k, v in shown[:_MAX_FIELDS])
        text = rendered[:1].upper() + rendered[1:_MAX_CHARS]
    plain = {k: v for k, v in fields.items() if k not in _HIDDEN}
    return Result(failed, _sentence(text), {} if failed else plain)


def _sentence(text: str) -> str:
    return text if not text or text[-1] in ".!?" else f"{text}."
