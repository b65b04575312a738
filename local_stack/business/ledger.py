"""The sample tenants' books: what was booked and ordered, and what can't be. In memory, no I/O."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from local_stack.business.days import calendar_day, spoken_day, spoken_time
from local_stack.business.requests import AppointmentRequest, OrderRequest, RoomRequest, minutes_of

MAX_ENTRIES = 10_000
"""Entries of one book; a load test must not fill the memory."""

APPOINTMENT_MINUTES = 30
_PRACTICE_OPENS, _PRACTICE_CLOSES = 9 * 60, 17 * 60 + 30
_WORKING_DAYS = 5
ROOMS_PER_CITY = 2
_PRICE_USD = {"small": 9, "medium": 12, "large": 15}
_COUNT_WORDS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class ConflictError(Exception):
    """What is asked for can't be had; the message is a sentence to speak."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Entry:
    """One booking or order."""

    id: str
    """Unique within its book."""
    fields: Mapping[str, str | int]
    """The request's fields as they were accepted."""
    message: str
    """What the agent says about it."""
    on: dt.date | None = None
    """The calendar day, for what has one."""


@dataclass
class Ledger:
    """All books. Each method takes a checked request and the current day, and books it or raises."""

    appointments: list[Entry] = field(default_factory=list)
    orders: list[Entry] = field(default_factory=list)
    bookings: list[Entry] = field(default_factory=list)

    def book_appointment(self, request: AppointmentRequest, today: dt.date) -> Entry:
        """Book a visit of half an hour.

        Raises:
            ConflictError: closed then, or taken.
        """
        on = calendar_day(request.day, today)
        start = minutes_of(request.time)
        fits = _PRACTICE_OPENS <= start <= _PRACTICE_CLOSES - APPOINTMENT_MINUTES
        if on is None or on.weekday() >= _WORKING_DAYS or not fits:
            raise ConflictError(
                "closed", "We are closed then. We are open Monday to Friday, from nine to half past five."
            )
        taken = [minutes_of(str(e.fields["time"])) for e in self.appointments if e.on == on]
        if _collides(start, taken):
            raise ConflictError("slot_taken", _next_free(request, start, taken))
        message = (
            f"You are booked for a {request.reason} {spoken_day(request.day)} at {spoken_time(request.time)}, "
            f"{request.name}."
        )
        return _add(self.appointments, "apt", request.model_dump(), message, on)

    def place_order(self, request: OrderRequest) -> Entry:
        """Take an order for collection."""
        count = _COUNT_WORDS[request.quantity]
        noun = "pizza" if request.quantity == 1 else "pizzas"
        total = _PRICE_USD[request.size] * request.quantity
        message = (
            f"That is {count} {request.size} {request.pizza} {noun} for {request.name}. "
            f"It comes to {total} dollars and is ready in twenty minutes."
        )
        return _add(self.orders, "ord", request.model_dump(), message)

    def book_room(self, request: RoomRequest, today: dt.date) -> Entry:
        """Book a meeting room.

        Raises:
            ConflictError: the day is no day, or all rooms of the city are taken.
        """
        on = calendar_day(request.date, today)
        if on is None:
            raise ConflictError("unknown_day", "I did not understand the day. Please say a day of the week.")
        start = minutes_of(request.time)
        end = start + request.duration_minutes
        overlapping = [
            entry
            for entry in self.bookings
            if entry.on == on and entry.fields["city"] == request.city and _overlaps(entry, start, end)
        ]
        if len(overlapping) >= ROOMS_PER_CITY:
            raise ConflictError(
                "no_room", "All our rooms there are taken at that time. Please choose another."
            )
        message = (
            f"Your room in {request.city.title()} is booked {spoken_day(request.date)} at "
            f"{spoken_time(request.time)}, for {_spoken_length(request.duration_minutes)} and "
            f"{request.people} {'person' if request.people == 1 else 'people'}."
        )
        return _add(self.bookings, "room", request.model_dump(), message, on)


def _add(
    book: list[Entry], prefix: str, fields: Mapping[str, str | int], message: str, on: dt.date | None = None
) -> Entry:
    if len(book) >= MAX_ENTRIES:
        raise ConflictError("book_full", "I am sorry, I can't take any more today.")
    entry = Entry(f"{prefix}-{len(book) + 1}", fields, message, on)
    book.append(entry)
    return entry


def _collides(start: int, taken: list[int]) -> bool:
    return any(abs(start - other) < APPOINTMENT_MINUTES for other in taken)


def _next_free(request: AppointmentRequest, start: int, taken: list[int]) -> str:
    said = f"{spoken_time(request.time)} {spoken_day(request.day)} is taken."
    for free in range(start, _PRACTICE_CLOSES - APPOINTMENT_MINUTES + 1, 15):
        if not _collides(free, taken):
            clock = f"{free // 60:02d}:{free % 60:02d}"
            return f"{said[:1].upper()}{said[1:]} {spoken_time(clock).capitalize()} is free."
    return f"{said[:1].upper()}{said[1:]} Nothing later is free on that day."


def _overlaps(entry: Entry, start: int, end: int) -> bool:
    other = minutes_of(str(entry.fields["time"]))
    return other < end and start < other + int(entry.fields["duration_minutes"])


def _spoken_length(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    if minutes == 30:
        return "half an hour"
    parts = [f"{hours} {'hour' if hours == 1 else 'hours'}"] if hours else []
    return " and ".join([*parts, f"{rest} minutes"] if rest else parts)
