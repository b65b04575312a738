"""What the demo's synthetic callers say: three calls at once, the same for the same seed.

Callers use the words that people use, not the tenant's: no four words in a row of a script stand in what the
tenant publishes, so that a recogniser which learnt only the tenant's texts by heart would fail here
(tests/unit/local_stack/demo/test_scripts.py keeps this true).

Turns hold no commas: a voice pauses there, and a pause may end the caller's turn. Names and wording are such as
the synthetic voices say clearly (tried through the local recogniser, Nov 2026): the demo shows the system at work;
how well it understands people is measured with recordings.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Turn:
    """One stretch of a caller's speech."""

    text: str
    """Plain words, without punctuation inside."""
    barge_in_at_s: float | None = None
    """None: the caller waits until the agent has finished. A number: the caller starts so many seconds after
    the first audible sample of the agent's reply to the turn before, while the agent still speaks."""
    reply_includes: str = ""
    """Words that a right answer to this turn holds, in any case; "" where any answer will do."""


@dataclass(frozen=True)
class ExpectedBooking:
    """What must stand in the tenant's books after the call."""

    path: str
    """Path on the business server, also the one that lists."""
    fields: Mapping[str, str | int]
    """Fields by the tool's own names."""


@dataclass(frozen=True)
class CallScript:
    """One call."""

    name: str
    """Unique within a demo; used for file names."""
    tenant: str
    """The tenant's slug."""
    voice: str
    """Voice of the local speech engine: caller-1, caller-2, ..."""
    turns: tuple[Turn, ...]
    """What the caller says, in order."""
    expected: ExpectedBooking | None = field(default=None)
    """None when nothing is to be booked."""


# fmt: off
_FIRST = (
    "Elizabeth", "Patricia", "Barbara", "Jessica", "Christopher", "Kimberly", "Timothy", "Rebecca",
    "Benjamin", "Samantha", "Alexander", "Victoria",
)
_LAST = (
    "Johnson", "Garcia", "Martinez", "Jackson", "Thompson", "Robinson", "Campbell", "Peterson",
    "Richardson", "Rodriguez", "Taylor", "Murphy",
)
# fmt: on
_TIMES = {
    "nine thirty": "09:30",
    "ten o'clock": "10:00",
    "ten thirty": "10:30",
    "eleven o'clock": "11:00",
    "two o'clock": "14:00",
    "two thirty": "14:30",
    "three o'clock": "15:00",
    "three thirty": "15:30",
    "four o'clock": "16:00",
}
_COUNTS = {"one": 1, "three": 3, "five": 5}
_GOODBYES = ("no thank you that's all", "that's all thank you goodbye", "no thank you goodbye")


def build_scripts(seed: int) -> tuple[CallScript, ...]:
    """Write the demo's three calls.

    Args:
        seed: decides names, days, times, questions and phrasing; the same seed gives the same scripts.

    Returns:
        A dental booking, a pizza call with a barge-in, and a third call (an order or questions).
    """
    second_caller = random.Random(f"{seed}-third")
    third = _pizza_order if second_caller.random() < 0.6 else _dental_questions
    return (
        _dental_booking(random.Random(f"{seed}-dental")),
        _pizza_questions(random.Random(f"{seed}-pizza")),
        third(second_caller),
    )


def _dental_booking(rng: random.Random) -> CallScript:
    reason = rng.choice(("checkup", "cleaning"))
    day = rng.choice(("monday", "tuesday", "wednesday", "thursday", "friday"))
    time = rng.choice(list(_TIMES))
    name = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
    opening = rng.choice(
        (
            f"I would like to make an appointment for a {reason}",
            f"Hi can I book an appointment for a {reason} please",
            f"I need an appointment for a {reason} please",
        )
    )
    when = rng.choice((f"{day} please", f"on {day} please", f"{day} would be great"))
    hour = rng.choice((f"at {time} please", f"{time} please", f"let's say {time}"))
    who = rng.choice((f"my name is {name}", f"it's {name}", f"{name}"))
    return CallScript(
        name="dental-booking",
        tenant="dental",
        voice="caller-1",
        turns=_turns([opening, when, hour, who, rng.choice(_GOODBYES)]),
        expected=ExpectedBooking(
            "/dental/appointments", {"reason": reason, "day": day, "time": _TIMES[time], "name": name}
        ),
    )


def _pizza_questions(rng: random.Random) -> CallScript:
    menu = rng.choice(
        (
            "can you tell me about your menu",
            "what kinds of pizza can you make",
        )
    )
    interruption = rng.choice(
        (
            Turn("and would you deliver to my office", reply_includes="five miles"),
            Turn("sorry how much would a large pizza be", reply_includes="fifteen dollars"),
            Turn("do you have anything for dessert", reply_includes="tiramisu"),
        )
    )
    follow_up = rng.choice(
        (
            Turn("and what time do you close on friday", reply_includes="midnight"),
            Turn("do you accept credit cards", reply_includes="by card"),
            Turn("are there special offers this week", reply_includes="half price"),
        )
    )
    return CallScript(
        name="pizza-questions",
        tenant="pizza",
        voice="caller-2",
        turns=(
            Turn(menu, reply_includes="six kinds"),
            Turn(
                interruption.text,
                barge_in_at_s=round(rng.uniform(2.0, 4.0), 1),
                reply_includes=interruption.reply_includes,
            ),
            follow_up,
            Turn(rng.choice(_GOODBYES[:2])),
        ),
    )


def _pizza_order(rng: random.Random) -> CallScript:
    pizza = rng.choice(("pepperoni", "mushroom", "vegetarian"))
    size = rng.choice(("small", "medium", "large"))
    count = rng.choice(list(_COUNTS))
    name = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
    noun = "pizza" if count == "one" else "pizzas"
    who = rng.choice((f"my name is {name}", f"{name}"))
    step_by_step = (
        rng.choice(("I would like to order a pizza", "can I order a pizza please")),
        rng.choice((f"the {pizza} please", f"I'll have the {pizza}")),
        rng.choice((f"{size} please", f"a {size} one please")),
        rng.choice((f"{count} please", f"{count} {noun} please")),
        who,
    )
    at_once = (f"I'd like to order {count} {size} {pizza} {noun}", who)
    ordering = step_by_step if count == "one" else rng.choice((step_by_step, at_once))
    return CallScript(
        name="pizza-order",
        tenant="pizza",
        voice="caller-3",
        turns=_turns([*ordering, rng.choice(_GOODBYES)]),
        expected=ExpectedBooking(
            "/pizza/orders", {"pizza": pizza, "size": size, "quantity": _COUNTS[count], "name": name}
        ),
    )


def _dental_questions(rng: random.Random) -> CallScript:
    questions = (
        Turn("how much is a cleaning please", reply_includes="ninety dollars"),
        Turn("is there parking nearby", reply_includes="free parking"),
        Turn("which insurance do you accept", reply_includes="most dental insurance"),
        Turn("are you open at the weekend", reply_includes="we are closed"),
        Turn("can you tell me the address", reply_includes="market street"),
    )
    first, second, third = rng.sample(questions, 3)
    return CallScript(
        name="dental-questions",
        tenant="dental",
        voice="caller-3",
        turns=(
            first,
            second,
            third,
            Turn(rng.choice(_GOODBYES[:2])),
        ),
    )


def _turns(texts: Sequence[str]) -> tuple[Turn, ...]:
    return tuple(Turn(text) for text in texts)
