"""What the caller said or was told earlier is known later."""

from __future__ import annotations

from tests.unit.local_stack.engines.llm.calls import (
    DENTAL,
    ROOMS,
    SYSTEM,
    Call,
)


def test_a_fact_of_turn_2_is_known_at_turn_40() -> None:
    call = Call(ROOMS)
    call.says("hello", "my name is anna lee")
    call.says(*["is there parking", "where are you located"] * 19)
    assert call.say("what was my name again") == "Your name is Anna Lee."


def test_a_name_given_early_fills_the_slot_late() -> None:
    call = Call(DENTAL)
    call.says("hi this is john miller", "is there parking", "are you open on sunday")
    assert call.say("i'd like to book an appointment") == "Sure. Which day would you like?"
    call.says("next tuesday at ten", "toothache")
    assert call.calls[0][1]["name"] == "John Miller"


def test_what_was_booked_can_be_asked_for() -> None:
    call = Call(DENTAL, tool_result=lambda *_: '{"confirmation": "A12"}')
    call.say("this is john miller i need an appointment for a cleaning on the fourteenth at three")
    assert call.says(
        "when is my appointment",
        "what date did i say",
        "what time was my appointment",
        "what is my confirmation number",
    ) == [
        "I have you down for the fourteenth at 3:00 pm.",
        "The day is the fourteenth.",
        "The time is 3:00 pm.",
        "The confirmation is A12.",
    ]
    assert call.say("what is my phone number") == "I'm afraid you haven't told me your phone number yet."


def test_facts_and_slots_come_from_the_summary_section() -> None:
    summary = "# Conversation so far (summary)\nname: john miller\ncity: mountain view\ndate: next tuesday\n"
    call = Call(ROOMS, system=SYSTEM + summary)
    assert call.say("what was my name") == "Your name is john miller."
    assert call.say("book a room") == "Sure. At what time?"
    call.says("ten", "one hour", "two")
    assert call.calls[0][1] == {
        "city": "Mountain View",
        "date": "next tuesday",
        "time": "10:00",
        "duration": "one hour",
        "people": 2,
    }


def test_what_a_finished_call_was_made_with_does_not_fill_the_next_one() -> None:
    summary = "# Conversation so far (summary)\nname: Ann\nday: friday\nresult of book_appointment: Booked.\n"
    assert (
        Call(DENTAL, system=SYSTEM + summary).say("book an appointment") == "Sure. Which day would you like?"
    )
