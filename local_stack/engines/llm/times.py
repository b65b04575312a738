"""Times of day and durations in spoken words."""

from __future__ import annotations

from dataclasses import dataclass

from local_stack.engines.llm.numbers import below_hundred, cardinal
from local_stack.engines.llm.text import Span

EARLIEST_HOUR = 8
"""Without "am" or "pm" an hour is taken to lie in the 12 hours from here: 8:00 to 19:59, when offices take visits."""

_FIXED = {"noon": (12, 0), "midday": (12, 0), "midnight": (0, 0)}
_QUARTERS = {"half": 30, "quarter": 15}
_PAST = frozenset({"past", "after"})
_TO = frozenset({"to", "before", "till"})
_DAYPARTS = {"morning": "am", "afternoon": "pm", "evening": "pm", "night": "pm"}
_BEFORE_HOUR = frozenset({"at", "around", "by", "until"})
_HOUR_WORDS = frozenset({"hour", "hours", "our"})
_JOINTS = frozenset({"of", "an", "a", "on", "in", "and", "the"})
_UNIT_MINUTES = {"minute": 1, "min": 1, "hour": 60, "our": 60, "day": 1440, "night": 1440, "week": 10080}


@dataclass(frozen=True)
class SpokenTime:
    """A time of day found in an utterance."""

    span: Span
    hour: int
    minute: int
    strong: bool
    """False for a bare number, which is a time only when a time was asked for."""

    @property
    def clock(self) -> str:
        """24-hour "HH:MM"."""
        return f"{self.hour:02d}:{self.minute:02d}"


@dataclass(frozen=True)
class SpokenDuration:
    """A length of time found in an utterance."""

    span: Span
    minutes: int

    @property
    def iso(self) -> str:
        """ISO 8601 duration in hours and minutes, such as "PT1H30M"."""
        hours, minutes = divmod(self.minutes, 60)
        text = "PT" + (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
        return text if text != "PT" else "PT0M"


def find_times(tokens: tuple[str, ...]) -> list[SpokenTime]:
    """Every time of day, left to right, strong and weak ones."""
    found: list[SpokenTime] = []
    at = 0
    while at < len(tokens):
        hit = _fixed(tokens, at) or _relative(tokens, at) or _clock(tokens, at) or _hour(tokens, at)
        if hit is None:
            at += 1
            continue
        found.append(hit)
        at = hit.span.end
    return found


def _fixed(tokens: tuple[str, ...], at: int) -> SpokenTime | None:
    if tokens[at] not in _FIXED:
        return None
    hour, minute = _FIXED[tokens[at]]
    return SpokenTime(Span(at, at + 1), hour, minute, strong=True)


def _relative(tokens: tuple[str, ...], at: int) -> SpokenTime | None:
    """Such as "half past two", "a quarter to three", "ten minutes past four"."""
    start = at
    if tokens[at] == "a" and tokens[at + 1 : at + 2] == ("quarter",):
        at += 1
    if tokens[at] in _QUARTERS:
        offset, at = _QUARTERS[tokens[at]], at + 1
    else:
        number = below_hundred(tokens, at)
        if number is None or number[0] >= 60:
            return None
        offset, at = number
        at += tokens[at : at + 1] == ("minutes",)
    direction = tokens[at] if at < len(tokens) else ""
    hour = _hour_number(tokens, at + 1)
    if hour is None or (direction not in _PAST and direction not in _TO) or not 1 <= hour[0] <= 12:
        return None
    if direction in _TO and offset == 30:
        return None
    marker, end = _marker(tokens, hour[1])
    hour24 = _to_24(hour[0], marker)
    total = hour24 * 60 + (offset if direction in _PAST else -offset)
    return SpokenTime(Span(start, end), total // 60 % 24, total % 60, strong=True)


def _clock(tokens: tuple[str, ...], at: int) -> SpokenTime | None:
    """Such as "14:30" and "2:30 pm"."""
    head, colon, tail = tokens[at].partition(":")
    if not colon or int(head) > 23 or int(tail) > 59:
        return None
    marker, end = _marker(tokens, at + 1)
    hour = int(head)
    if marker or (len(head) == 1 and hour):
        hour = _to_24(hour, marker)
    return SpokenTime(Span(at, end), hour, int(tail), strong=True)


def _hour(tokens: tuple[str, ...], at: int) -> SpokenTime | None:
    """Such as "two thirty pm", "three o'clock", "at three", and the weak bare "three"."""
    hour = _hour_number(tokens, at)
    if hour is None or not 1 <= hour[0] <= 12:
        return None
    minute = _minute_number(tokens, hour[1])
    end = minute[1] if minute else hour[1]
    marker, marked_end = _marker(tokens, end)
    led = at > 0 and tokens[at - 1] in _BEFORE_HOUR
    strong = minute is not None or marked_end > end or led
    value = minute[0] if minute else 0
    return SpokenTime(Span(at, marked_end), _to_24(hour[0], marker), value, strong=strong)


def _hour_number(tokens: tuple[str, ...], at: int) -> tuple[int, int] | None:
    if at < len(tokens) and tokens[at].isdecimal() and len(tokens[at]) <= 2:
        return int(tokens[at]), at + 1
    return below_hundred(tokens, at)


def _minute_number(tokens: tuple[str, ...], at: int) -> tuple[int, int] | None:
    """Minutes after an hour: "thirty", "oh five", "45"; a single digit alone is not minutes."""
    word = tokens[at] if at < len(tokens) else ""
    if word in {"oh", "o"}:
        unit = below_hundred(tokens, at + 1)
        return unit if unit and 1 <= unit[0] <= 9 else None
    if word.isdecimal() and len(word) == 2 and int(word) < 60:
        return int(word), at + 1
    value = below_hundred(tokens, at)
    return value if value and 10 <= value[0] <= 59 else None


def _marker(tokens: tuple[str, ...], at: int) -> tuple[str, int]:
    """Which half of the day is said here ("pm", "in the morning"): (am | pm | "", position after it)."""
    if at < len(tokens) and tokens[at] == "o'clock":
        marker, end = _marker(tokens, at + 1)
        return marker, end
    if at < len(tokens) and tokens[at] in {"am", "pm"}:
        return tokens[at], at + 1
    for lead in (("in", "the"), ("at",), ("this",)):
        end = at + len(lead)
        if tokens[at:end] == lead and end < len(tokens) and tokens[end] in _DAYPARTS:
            return _DAYPARTS[tokens[end]], end + 1
    return "", at


def _to_24(hour: int, marker: str) -> int:
    if hour > 12 or hour == 0:
        return hour
    if marker == "am":
        return hour % 12
    if marker == "pm":
        return hour % 12 + 12
    return hour if hour >= EARLIEST_HOUR else hour + 12


def find_durations(tokens: tuple[str, ...]) -> list[SpokenDuration]:
    """Every length of time: "half an hour", "an hour and a half", "two hours", "ninety minutes", "a week"."""
    found: list[SpokenDuration] = []
    at = 0
    while at < len(tokens):
        hit = _fraction_of_hour(tokens, at) or _counted(tokens, at)
        if hit is None:
            at += 1
            continue
        minutes, end = hit
        if tokens[end : end + 3] == ("and", "a", "half"):
            minutes, end = minutes + minutes // 2, end + 3
        elif tokens[end : end + 1] == ("and",) and minutes >= 60 and (more := _counted(tokens, end + 1)):
            minutes, end = minutes + more[0], more[1]
        found.append(SpokenDuration(Span(at, end), minutes))
        at = end
    return found


def _fraction_of_hour(tokens: tuple[str, ...], at: int) -> tuple[int, int] | None:
    """Such as "half an hour", and what recognisers make of it ("half of an hour", "half in our")."""
    if tokens[at] not in _QUARTERS:
        return None
    minutes, end = _QUARTERS[tokens[at]], at + 1
    while end < len(tokens) and tokens[end] in _JOINTS and end - at <= 3:
        end += 1
    return (minutes, end + 1) if end < len(tokens) and tokens[end] in _HOUR_WORDS else None


def _counted(tokens: tuple[str, ...], at: int) -> tuple[int, int] | None:
    number = cardinal(tokens, at) if at < len(tokens) else None
    if number is None and at < len(tokens) and tokens[at] in {"a", "an"}:
        number = (1.0, at + 1)
    if number is None or number[1] >= len(tokens):
        return None
    value, unit_at = number
    half = tokens[unit_at] == "half" and unit_at + 1 < len(tokens)  # "a half hour"
    if half:
        value, unit_at = value * 0.5, unit_at + 1
    unit = _UNIT_MINUTES.get(tokens[unit_at].removesuffix("s"))
    if unit is None or (tokens[unit_at] == "our" and not half and tokens[at] not in {"a", "an", "one"}):
        return None
    return int(min(value * unit, 10**9)), unit_at + 1
