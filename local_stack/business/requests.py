"""What the sample tenants' tools send, checked and brought into one form."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_CLOCK = re.compile(r"(?P<hour>\d{1,2})(?::(?P<minute>[0-5]\d))?(?::[0-5]\d)?\s*(?P<half>[ap])?\.?m?\.?")


def _plain_words(value: object) -> object:
    """Models and recognisers differ in case and spaces; "New_York " is "new york"."""
    return " ".join(value.replace("_", " ").lower().split()) if isinstance(value, str) else value


def clock_time(text: str) -> str:
    """Read "14:30", "2:30 pm" or "9 am" as a 24-hour "HH:MM".

    Raises:
        ValueError: it is none of these.
    """
    found = _CLOCK.fullmatch(text.strip().lower())
    hour = int(found["hour"]) if found else 24
    if found is None or hour > 23 or (found["half"] and not 1 <= hour <= 12):
        raise ValueError("a time such as 14:30 is needed")
    if found["half"]:
        hour = hour % 12 + (12 if found["half"] == "p" else 0)
    return f"{hour:02d}:{found['minute'] or '00'}"


def minutes_of(clock: str) -> int:
    """Minutes since midnight of "HH:MM"."""
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


Words = BeforeValidator(_plain_words)
Clock = Annotated[str, Field(max_length=20), AfterValidator(clock_time)]
Name = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(lambda name: " ".join(name.split()))]


class Request(BaseModel):
    """Base of all requests: closed, so that a misspelt field is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class AppointmentRequest(Request):
    """`POST /dental/appointments`."""

    reason: Annotated[Literal["checkup", "cleaning", "filling", "toothache", "whitening"], Words]
    """What the visit is for."""
    day: Annotated[
        Literal["monday", "tuesday", "wednesday", "thursday", "friday", "today", "tomorrow"], Words
    ]
    """The next such day."""
    time: Clock
    """Start, "HH:MM"."""
    name: Name
    """First and last name."""


class OrderRequest(Request):
    """`POST /pizza/orders`."""

    pizza: Annotated[
        Literal["margherita", "pepperoni", "hawaiian", "mushroom", "vegetarian", "four cheese"], Words
    ]
    """One kind per order."""
    size: Annotated[Literal["small", "medium", "large"], Words]
    """Its size."""
    quantity: int = Field(ge=1, le=10)
    """How many."""
    name: Name
    """Name on the order."""


class RoomRequest(Request):
    """`POST /rooms/bookings`."""

    city: Annotated[
        Literal["mountain view", "san francisco", "palo alto", "san jose", "oakland", "new york"], Words
    ]
    """Where."""
    date: Annotated[str, Field(min_length=1, max_length=40), Words]
    """A spoken day ("today", "next tuesday") or YYYY-MM-DD."""
    time: Clock
    """Start, "HH:MM"."""
    duration_minutes: int = Field(ge=15, le=480)
    """Length, minutes."""
    people: int = Field(ge=1, le=40)
    """How many will come."""
