"""What was said or done earlier in a call, and answers to "what was my name?".

Facts come from the caller's turns, from tool arguments and results, and from the summary that replaced older
turns; the newest wins. A date that was merely mentioned never replaces one that a tool was called with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from local_stack.engines.llm.text import Utterance, stem

MAX_FACTS = 200
_MAX_VALUE_CHARS = 300
_MAX_DEPTH = 3
_RECALL = re.compile(
    r"\b(?:what|which|when|who|how (?:many|much|long)|where|remember|remind|do you (?:have|know)|(?:can you )?tell me"
    r"|repeat|read back|confirm)\b"
)
_MINE = re.compile(
    r"\bmy\b|\b(?:did|have|had) i\b|\bi (?:just )?(?:say|said|told|tell|gave|give|chose|choose|book(?:ed)?|order(?:ed)?"
    r"|ask(?:ed)? for|pick(?:ed)?|mentioned)\b|\bam i\b|\bdo i have\b"
)
_READ_BACK = re.compile(
    r"\bwhat (?:did|have) i (?:just )?(?:order|book|ask|request|say i)|\bmy (?:order|booking)\b$"
)
# Different words for the same fact. Each group is one idea.
_GROUPS = (
    frozenset({"dat", "dai", "when"}),
    frozenset({"tim", "hour", "when", "clock"}),
    frozenset({"phon", "number", "telephon", "mobil"}),
    frozenset({"peopl", "person", "guest", "parti"}),
    frozenset({"duration", "long", "length"}),
    frozenset({"email", "mail"}),
    frozenset({"confirmation", "referenc", "cod"}),
)
_LOOSE_ONLY = frozenset({"date", "time", "duration"})


def spoken(value: object, depth: int = 0) -> str:
    """A value as it is said: no underscores, clock times with am or pm, lists with "and"."""
    if depth > _MAX_DEPTH or value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        parts = [spoken(item, depth + 1) for item in value[:20]]
        return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
    if isinstance(value, Mapping):
        return ", ".join(f"{label(str(k))} {spoken(v, depth + 1)}" for k, v in list(value.items())[:20])
    text = " ".join(str(value).split())[:_MAX_VALUE_CHARS]
    clock = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text)
    if clock:
        hour = int(clock[1])
        return f"{hour % 12 or 12}:{clock[2]} {'am' if hour < 12 else 'pm'}"
    return text.replace("_", " ")


def label(key: str) -> str:
    """A field's name as words."""
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key)).strip().lower()


@dataclass(frozen=True)
class Recalled:
    """An answer about something said before."""

    text: str
    known: bool


class Facts:
    """Facts of one conversation, newest last."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        """Field name to value as text, in the order of their last mention."""
        self.results: dict[str, str] = {}
        """Tool name to what its last result said."""
        self._firm: set[str] = set()

    def note(self, key: str, value: object, *, firm: bool = True) -> None:
        """Remember a value; the oldest is forgotten beyond `MAX_FACTS`."""
        name = label(key).replace(" ", "_")
        text = (
            " ".join(str(value).split())[:_MAX_VALUE_CHARS] if not isinstance(value, list) else spoken(value)
        )
        if not name or not text or value is None or (not firm and key in _LOOSE_ONLY and self._has_firm(key)):
            return
        self.values.pop(name, None)
        self.values[name] = text
        if firm:
            self._firm.add(name)
            self._drop_mentions(name)
        if len(self.values) > MAX_FACTS:
            self._firm.discard(oldest := next(iter(self.values)))
            del self.values[oldest]

    def note_fields(self, fields: Mapping[str, object]) -> None:
        """Remember the plain fields of a tool's arguments or result."""
        for key, value in list(fields.items())[:50]:
            if isinstance(value, str | int | float | list) and not isinstance(value, bool):
                self.note(key, value)

    def note_result(self, tool: str, text: str) -> None:
        """Remember what a tool's result said."""
        self.results[tool] = " ".join(text.split())[:_MAX_VALUE_CHARS]

    def about(self, *keys: str) -> str | None:
        """The newest value under one of these names."""
        return next((v for k, v in reversed(self.values.items()) if k in keys), None)

    def _drop_mentions(self, name: str) -> None:
        """Forget a date or time merely mentioned once a tool has one of its kind."""
        for key in _LOOSE_ONLY - self._firm - {name}:
            if key in self.values and self._has_firm(key):
                del self.values[key]

    def _has_firm(self, key: str) -> bool:
        ideas = [group for group in _GROUPS if stem(key) in group]
        return any(set(_stems(name)) & {stem(key), *(w for g in ideas for w in g)} for name in self._firm)

    def recall(self, utterance: Utterance) -> Recalled | None:
        """Answer a question about an earlier fact; None when the caller asks for none.

        "what was my name", "what date did I say", "when is my appointment", "how many people did I say".
        """
        text = utterance.text
        if not (_RECALL.search(text) and _MINE.search(text)):
            return None
        asked = [stem(word) for word in utterance.tokens]
        key = self._best_key(asked, text)
        if key is not None:
            return Recalled(self._sentence(key, text), known=True)
        if _READ_BACK.search(text) and self.values:
            parts = [f"{label(k)} {spoken(v)}" for k, v in list(self.values.items())[-8:] if k != "message"]
            return Recalled(f"I have {', '.join(parts)}.", known=True)
        for word in ("name", "date", "day", "time", "phone number", "number"):
            if re.search(rf"\bmy (?:\w+ )?{word}\b|\b(?:what|which) {word} (?:did|have) i\b", text):
                return Recalled(f"I'm afraid you haven't told me your {word} yet.", known=False)
        return None

    def _best_key(self, asked: list[str], text: str) -> str | None:
        best: tuple[int, int, str] | None = None
        wanted = set(asked)
        for age, key in enumerate(self.values):
            own = set(_stems(key))
            near = {w for group in _GROUPS if own & group for w in group}
            # The field's own words count more than words for the same idea.
            score = 3 * len(own & wanted) + len(near & wanted) + (key in self._firm)
            if not (own | near) & wanted or ("how many" in text and not self.values[key].isdecimal()):
                continue
            if best is None or (score, age) >= best[:2]:
                best = (score, age, key)
        return best[2] if best else None

    def _sentence(self, key: str, text: str) -> str:
        words = label(key)
        if words in {"when", "datetime"}:
            words = "appointment"
        if "when" in text.split():
            both = [self._newest_of(group) for group in _GROUPS[:2]]
            values = [spoken(self.values[k]) for k in dict.fromkeys(both) if k is not None]
            if values:
                return f"I have you down for {' at '.join(values)}."
        subject = f"Your {words}" if {"name", "phone", "email"} & set(words.split()) else f"The {words}"
        return f"{subject} is {spoken(self.values[key])}."

    def _newest_of(self, group: frozenset[str]) -> str | None:
        keys = [key for key in self.values if set(_stems(key)) & group]
        firm = [key for key in keys if key in self._firm]
        candidates = firm or keys
        return candidates[-1] if candidates else None


def _stems(key: str) -> list[str]:
    return [stem(word) for word in key.split("_")]
