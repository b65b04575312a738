"""Fill a tool's slots from one utterance.

Each word is used once: what a date, a time, a length of time or a telephone number takes is not there for a
number, so "two thirty pm" never makes two people.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from local_stack.engines.llm import choices, identity, numbers
from local_stack.engines.llm.dates import SpokenDate, find_dates, misheard_date
from local_stack.engines.llm.schema import Kind, Slot, Tool
from local_stack.engines.llm.text import Span, Utterance, content_terms, stem, terms_of
from local_stack.engines.llm.times import SpokenDuration, SpokenTime, find_durations, find_times

YES = re.compile(
    r"^(?:(?:well|oh|hi) )?(?:yes|yeah|yep|yup|sure|correct|right|okay|absolutely|exactly|definitely|certainly"
    r"|of course|please do|go ahead|that (?:is|sounds) (?:right|correct|fine|good|great|it)|sounds (?:good|right|great)"
    r"|perfect|that works|i (?:do|would|am|will))\b"
)
NO = re.compile(
    r"^(?:(?:well|oh|um) )?(?:no|nope|nah|not (?:really|yet|now)|wrong|incorrect|that is (?:not|wrong)|i do not)\b"
)
_REASON_LEAD = re.compile(
    r"^(?:it'?s|it is|it was|because(?: of)?|i have|well|the reason is|my reason is|that is)\s+",
    re.IGNORECASE,
)
_COUNT_WORDS = frozenset({"quantity", "count", "number", "amount", "qty", "many"})
_TIME_UNITS = frozenset({"night", "dai", "week", "minut"})
_MAX_TEXT = 500
_NOUN_REACH = 4
"""How many words after a number its noun may stand ("two large margherita pizzas")."""


@dataclass(frozen=True)
class _Scan:
    """Dates, times and the like in one utterance; whose words they are is settled."""

    dates: tuple[SpokenDate, ...]
    times: tuple[SpokenTime, ...]
    durations: tuple[SpokenDuration, ...]
    entities: frozenset[int]
    """Positions that belong to a strong date, time, duration or telephone number."""


@lru_cache(maxsize=4096)
def _scan(utterance: Utterance) -> _Scan:
    # Remembered: every request of a call brings all its earlier turns again.
    tokens = utterance.tokens
    used: set[int] = set()

    def keep(span: Span, *, strong: bool = True) -> bool:
        free = not any(i in used for i in span.covers())
        if free and strong:
            used.update(span.covers())
        return free

    phone = identity.phone_number(utterance, asked=False)
    if phone is not None:
        keep(phone[0])
    all_dates, all_times = find_dates(tokens), find_times(tokens)
    # Strong readings first: "the second of may at two" is one date and one time.
    dates = [d for d in all_dates if d.strong and keep(d.span)]
    durations = [d for d in find_durations(tokens) if keep(d.span)]
    times = [t for t in all_times if t.strong and keep(t.span)]
    entities = frozenset(used)
    dates += [d for d in all_dates if not d.strong and keep(d.span, strong=False)]
    times += [t for t in all_times if not t.strong and keep(t.span, strong=False)]
    return _Scan(tuple(dates), tuple(times), tuple(durations), entities)


@dataclass
class _Reading:
    """One utterance as it is being used up by one tool's slots."""

    utterance: Utterance
    scan: _Scan
    plain: frozenset[str] = frozenset()
    """Stems of the tool's own words, which name no enum value by themselves."""
    today: dt.date | None = None
    taken: set[int] = field(default_factory=set)
    choice_spans: list[Span] = field(default_factory=list)

    def take(self, span: Span) -> bool:
        """Use up the words of `span`; False when one is used already."""
        if any(i in self.taken for i in span.covers()):
            return False
        self.taken.update(span.covers())
        return True


def entity_free(utterance: Utterance) -> tuple[str, ...]:
    """The words that are no date, time, length of time or telephone number."""
    entities = _scan(utterance).entities
    return tuple(token for i, token in enumerate(utterance.tokens) if i not in entities)


def loose_facts(utterance: Utterance) -> dict[str, str]:
    """What anyone would note down from an utterance without knowing any tool: name, phone, email, date, time."""
    scan = _scan(utterance)
    facts: dict[str, str] = {}
    name = identity.person_name(utterance, asked=False)
    phone = identity.phone_number(utterance, asked=False)
    email = identity.email_address(utterance)
    if name is not None:
        facts["name"] = name[1]
    if phone is not None:
        facts["phone"] = phone[1]
    if email is not None:
        facts["email"] = email
    for key, spans in (("date", scan.dates), ("time", scan.times), ("duration", scan.durations)):
        strong = [s for s in spans if getattr(s, "strong", True)]
        if strong:
            facts[key] = getattr(strong[-1], "spoken", "") or _spoken(strong[-1].span, utterance)
    return facts


def fill(
    tool: Tool, utterance: Utterance, *, asked: Slot | None = None, today: dt.date | None = None
) -> dict[str, object]:
    """Values for the tool's slots in one utterance.

    Args:
        tool: the form.
        utterance: what the caller said.
        asked: the slot whose question was asked just before; it is looked for first and less strictly.
        today: the current date if the prompt states it, for slots with `format: date`.

    Returns:
        Slot name to value, in the schema's types; empty when nothing was recognised.
    """
    if not utterance.tokens:
        return {}
    if asked is not None and asked.kind is Kind.TEXT:
        text = _free_text(asked, utterance)
        return {asked.name: [text] if asked.many else text} if text else {}
    plain = frozenset(content_terms(f"{tool.words} {tool.description}"))
    reading = _Reading(utterance, _scan(utterance), plain, today)
    found: dict[str, object] = {}
    others = [slot for slot in tool.slots if asked is None or slot.name != asked.name]
    for slot in ([asked] if asked is not None else []) + sorted(others, key=_order):
        look = _EXTRACTORS.get(slot.kind)
        value = look(slot, reading, slot is asked) if look is not None else None
        if value is not None:
            found[slot.name] = value
    if asked is not None and asked.kind is Kind.PERSON and asked.name not in found:
        name = identity.person_name(utterance, asked=True)
        if name is not None and not (reading.scan.entities | reading.taken).intersection(name[0].covers()):
            found[asked.name] = name[1]
    return found


def _order(slot: Slot) -> int:
    return _ORDER.index(slot.kind) if slot.kind in _ORDER else len(_ORDER)


def _choice(slot: Slot, reading: _Reading, asked: bool) -> object | None:
    tokens = reading.utterance.tokens
    hits = choices.choose(slot.option_texts, tokens, asked=asked, taken=reading.taken, plain=reading.plain)
    if not hits:
        return None
    for hit in hits if slot.many else hits[:1]:
        reading.take(hit.span)
        reading.choice_spans.append(hit.span)
    chosen = [slot.options[hit.index] for hit in (hits if slot.many else hits[:1])]
    return chosen if slot.many else chosen[0]


def _date(slot: Slot, reading: _Reading, asked: bool) -> object | None:
    hits = [d for d in reading.scan.dates if d.strong or asked]
    # The last one wins: "today, no, tomorrow".
    hit = next((d for d in reversed(hits) if reading.take(d.span)), None)
    if hit is None and asked:
        hit = misheard_date(reading.utterance.tokens)
    if hit is None:
        return None
    resolved = hit.resolve(reading.today) if reading.today and slot.json_format == "date" else None
    return resolved.isoformat() if resolved else hit.spoken


def _time(slot: Slot, reading: _Reading, asked: bool) -> object | None:
    strong = [t for t in reading.scan.times if t.strong]
    hits = strong or ([t for t in reading.scan.times if _may_be_hour(t, reading)] if asked else [])
    hit = next((t for t in reversed(hits) if reading.take(t.span)), None)
    if hit is None:
        return None
    return hit.clock if slot.json_format == "time" else _spoken(hit.span, reading.utterance)


def _may_be_hour(time: SpokenTime, reading: _Reading) -> bool:
    """A bare number is an hour unless a noun follows it ("two people")."""
    tokens = reading.utterance.tokens
    following = tokens[time.span.end : time.span.end + 1]
    return not following or following[0] in {
        "please",
        "thanks",
        "would",
        "if",
        "or",
        "is",
        "on",
        "for",
        "then",
    }


def _when(slot: Slot, reading: _Reading, asked: bool) -> object | None:
    day = next(
        (d for d in reversed(reading.scan.dates) if (d.strong or asked) and reading.take(d.span)), None
    )
    hour = next(
        (t for t in reversed(reading.scan.times) if (t.strong or asked) and reading.take(t.span)), None
    )
    if day is None and (hour is None or not asked):
        return None
    resolved = (
        day.resolve(reading.today) if day and reading.today and slot.json_format == "date-time" else None
    )
    if resolved is not None and hour is not None:
        return f"{resolved.isoformat()}T{hour.clock}:00"
    parts = ([day.spoken] if day else []) + ([f"at {_spoken(hour.span, reading.utterance)}"] if hour else [])
    return " ".join(parts).removeprefix("at ")


def _duration(slot: Slot, reading: _Reading, asked: bool) -> object | None:
    hit = next((d for d in reversed(reading.scan.durations) if reading.take(d.span)), None)
    in_hours = "hour" in slot.words
    if hit is None:
        bare = _number_in(reading) if asked and slot.numeric else None
        return _bounded(slot, bare) if bare is not None else None
    if not slot.numeric:
        return hit.iso if slot.json_format == "duration" else _spoken(hit.span, reading.utterance)
    amount = hit.minutes / 60 if in_hours else hit.minutes
    return _bounded(slot, amount)


def _spoken(span: Span, utterance: Utterance) -> str:
    words = span.words(utterance.tokens)
    # "half of an hour", "half in our": what recognisers make of "half an hour"
    return re.sub(r"\b(half|quarter)(?: (?:of|an|a|on|in|and|the))+ (?:hour|our)s?\b", _plain_fraction, words)


def _plain_fraction(match: re.Match[str]) -> str:
    return "half an hour" if match[1] == "half" else "quarter of an hour"


def _count(slot: Slot, reading: _Reading, asked: bool) -> object | None:
    tokens = reading.utterance.tokens
    blocked = reading.scan.entities | reading.taken
    if _nouns(slot) & _TIME_UNITS:
        # "three nights" is a length of time and also the answer to "how many nights"
        blocked -= {i for duration in reading.scan.durations for i in duration.span.covers()} - reading.taken
    found = numbers.find_numbers(tokens, blocked)
    if asked:
        number = found[0] if found else numbers.homophone(tokens) if not blocked else None
    else:
        number = next((n for n in found if _has_noun(slot, n, reading)), None)
    value = _bounded(slot, number.value) if number is not None else None
    if value is None or number is None or not reading.take(number.span):
        return None
    return [value] if slot.many else value


def _number_in(reading: _Reading) -> float | None:
    found = numbers.find_numbers(reading.utterance.tokens, reading.taken)
    return found[0].value if found else None


def _has_noun(slot: Slot, number: numbers.Number, reading: _Reading) -> bool:
    """Whether a number stands with the slot's noun: "two people", "quantity three", "two large margheritas"."""
    tokens = reading.utterance.tokens
    nouns = _nouns(slot)
    end = number.span.end
    after = [stem(t) for t in tokens[end : end + _NOUN_REACH]]
    before = terms_of(tokens[max(0, number.span.start - 2) : number.span.start])
    if nouns & {*after, *before} or {"quantiti", "parti"} & set(before):
        return True
    counts = bool(_COUNT_WORDS & set(f"{slot.words} {slot.description.lower()}".split()))
    return counts and any(span.start == end for span in reading.choice_spans)


def _nouns(slot: Slot) -> set[str]:
    """Stems of what the slot counts."""
    nouns = {stem(w) for w in slot.words.split()} | set(content_terms(slot.description))
    nouns |= (
        {"guest", "person", "peopl"} if nouns & {"guest", "person", "peopl", "parti", "attende"} else set()
    )
    return nouns - {"number", "quantiti", "count", "amount", "many", "how"}


def _bounded(slot: Slot, value: float) -> object | None:
    if (slot.minimum is not None and value < slot.minimum) or (
        slot.maximum is not None and value > slot.maximum
    ):
        return None
    if slot.kind is Kind.INTEGER and value != int(value):
        return None
    return int(value) if value == int(value) else value


def _identity(slot: Slot, reading: _Reading, asked: bool) -> object | None:
    if slot.kind is Kind.PHONE:
        phone = identity.phone_number(reading.utterance, asked=asked)
        return phone[1] if phone is not None and reading.take(phone[0]) else None
    if slot.kind is Kind.EMAIL:
        return identity.email_address(reading.utterance)
    if slot.kind is Kind.PERSON and (slot.names_the_caller or asked):
        name = identity.person_name(reading.utterance, asked=False)
        return name[1] if name is not None and reading.take(name[0]) else None
    return None


def _free_text(slot: Slot, utterance: Utterance) -> str:
    text = " ".join(utterance.raw.split())[:_MAX_TEXT].strip(" .!")
    shorter = _REASON_LEAD.sub("", text) if "reason" in slot.words else text
    return shorter or text


def _boolean(_slot: Slot, reading: _Reading, asked: bool) -> object | None:
    if asked and YES.match(reading.utterance.text):
        return True
    return False if asked and NO.match(reading.utterance.text) else None


_EXTRACTORS: Mapping[Kind, Callable[[Slot, _Reading, bool], object | None]] = {
    Kind.CHOICE: _choice,
    Kind.DATE: _date,
    Kind.DURATION: _duration,
    Kind.TIME: _time,
    Kind.WHEN: _when,
    Kind.PHONE: _identity,
    Kind.EMAIL: _identity,
    Kind.INTEGER: _count,
    Kind.NUMBER: _count,
    Kind.PERSON: _identity,
    Kind.BOOLEAN: _boolean,
}
"""How a value of each kind is looked for, in the order in which kinds use up words."""
_ORDER = tuple(_EXTRACTORS)
