"""How a tool is asked for: which one, slot by slot, with corrections, questions in between and a read-back."""

from __future__ import annotations

from typing import Any

import pytest

from local_stack.engines.llm.dialogue import CallTool, Say, respond
from tests.unit.local_stack.engines.llm.calls import (
    BOOK_APPOINTMENT,
    DENTAL,
    PARKING,
    PIZZA,
    ROOMS,
    SYSTEM,
    UNKNOWN,
    Call,
    function,
    text,
)

ROOM = {"city": "Mountain View", "date": "today", "time": "14:30", "duration": "half an hour", "people": 2}
OFFICES = "You can say Mountain View, San Francisco, New York or London."
DONE = "It is done. Is there anything else I can help you with?"


def test_a_room_is_booked_turn_by_turn() -> None:
    call = Call(ROOMS)
    assert call.says(
        "book a room", "mountain view", "today", "two thirty pm", "half an hour", "two people", "no thanks"
    ) == [
        "Sure. Which office?",
        "For which day?",
        "At what time?",
        "For how long?",
        "How many people?",
        DONE,
        "Thank you for calling. Goodbye!",
    ]
    assert call.calls == [("book_room", ROOM), ("end_call", {})]


def test_a_room_is_booked_from_what_a_recogniser_makes_of_it() -> None:
    call = Call(ROOMS)
    call.says("a book a room", "mount in view", "to day", "two thirty p m", "half of an hour", "to people")
    assert call.calls == [("book_room", ROOM)]


def test_a_room_is_booked_in_one_utterance() -> None:
    call = Call(ROOMS)
    call.say(
        "hi i'd like to book a room in mountain view today at two thirty pm for half an hour for two people"
    )
    assert call.calls == [("book_room", ROOM)]


def test_an_appointment_is_booked() -> None:
    call = Call(DENTAL)
    call.says("hello", "i'd like to book an appointment", "my name is john miller")
    call.says("next tuesday", "two thirty pm", "a cleaning please")
    booked = {"name": "John Miller", "day": "next tuesday", "time": "14:30", "reason": "cleaning"}
    assert call.calls == [("book_appointment", booked)]


def test_two_large_margheritas() -> None:
    call = Call(PIZZA)
    assert call.say("i'd like two large margherita pizzas") == "Sure. What name is the order for?"
    assert call.say("john miller") == DONE
    order = {"pizza": "Margherita", "size": "large", "quantity": 2, "name": "John Miller"}
    assert call.calls == [("place_order", order)]


@pytest.mark.parametrize(
    ("correction", "changed"),
    [
        ("no wednesday", {"date": "wednesday"}),
        ("sorry i meant the fifteenth", {"date": "the fifteenth"}),
        ("actually make it half past four", {"time": "16:30"}),
        ("actually san francisco", {"city": "San Francisco"}),
        ("make that an hour", {"duration": "an hour"}),
    ],
)
def test_a_correction_replaces_what_was_given(correction: str, changed: dict[str, Any]) -> None:
    call = Call(ROOMS)
    call.says("book a room in mountain view", "today", "two thirty pm", "half an hour")
    assert call.say(correction) == "How many people?"
    call.say("two")
    assert call.calls == [("book_room", ROOM | changed)]


def test_a_bare_number_corrects_what_was_given_last() -> None:
    call = Call(PIZZA)
    call.says("a large pepperoni pizza please", "two")
    assert call.say("actually make it three") == "What name is the order for?"
    call.say("anna")
    assert call.calls[0][1]["quantity"] == 3


def test_a_correction_after_the_call_calls_again_with_the_new_value() -> None:
    call = Call(ROOMS)
    call.say("book a room in mountain view today at two thirty pm for half an hour for two people")
    call.say("actually make it three people")
    assert call.calls == [("book_room", ROOM), ("book_room", ROOM | {"people": 3})]
    assert (
        call.say("i said three people")
        == "That is what I have already. Is there anything else I can help you with?"
    )
    assert len(call.calls) == 2


def test_two_thirty_never_makes_two_people() -> None:
    call = Call(ROOMS)
    call.says("book a room in london today for an hour", "two thirty pm")
    assert call.calls == []
    assert call.messages[-1]["content"] == "How many people?"


@pytest.mark.parametrize("words", ["never mind", "cancel that please", "forget it", "stop"])
def test_never_mind_forgets_the_form(words: str) -> None:
    call = Call(ROOMS)
    call.says("book a room", "mountain view")
    assert call.say(words) == "All right, I've cancelled that. Is there anything else I can help you with?"
    assert call.say("book a room") == "Sure. Which office?"


def test_an_answer_that_is_not_understood_is_asked_for_differently_each_time() -> None:
    call = Call(ROOMS)
    call.say("book a room")
    assert call.says("blah", "blub", "zip") == [
        "Sorry, I didn't catch that. Which office?",
        f"I'm sorry, I still didn't get that. {OFFICES} Which office?",
        f"I'm having trouble understanding. You can say never mind, or ask for a person. {OFFICES} Which office?",
    ]
    assert call.say("london") == "For which day?"


def test_a_question_in_the_middle_is_answered_and_the_form_goes_on() -> None:
    call = Call(ROOMS)
    call.say("book a room")
    assert call.say("is there parking") == f"{PARKING} Which office?"
    assert call.say("which ones are there") == (
        "You can say Mountain View, San Francisco, New York or London. Which office?"
    )
    assert call.say("london") == "For which day?"


def test_values_are_read_back_when_the_tool_says_confirm_first() -> None:
    careful = function(
        "book_room", "Book a room. Confirm first.", ROOMS[0]["function"]["parameters"]["properties"]
    )
    call = Call([careful])
    asked = call.say("book a room in london tomorrow at three for an hour for ten people")
    assert asked == (
        "Let me confirm: city London, date tomorrow, time 3:00 pm, duration an hour, people 10. Is that right?"
    )
    assert call.say("no") == "What should I change?"
    assert "people 12" in call.say("twelve people")
    assert call.calls == []
    call.say("yes that's right")
    assert [arguments["people"] for _, arguments in call.calls] == [12]


def test_optional_properties_are_not_asked_for_and_nullable_ones_are_null() -> None:
    tool = function(
        "book_table",
        "Book a table.",
        {
            "people": {"type": "integer", "description": "How many people?"},
            "time": {"type": ["string", "null"], "description": "At what time?"},
            "note": text("Any wishes?"),
        },
        required=["people", "time"],
    )
    call = Call([tool])
    call.say("book a table for four people")
    assert call.calls == [("book_table", {"people": 4, "time": None})]


def test_another_request_switches_the_form() -> None:
    call = Call([*ROOMS, PIZZA[0]])
    call.say("book a room")
    assert call.say("i want to order a pizza") == "Sure. Which pizza would you like?"


def test_an_existing_booking_starts_no_new_one() -> None:
    call = Call(DENTAL)
    assert call.say("cancel my appointment") == UNKNOWN
    assert call.say("i have a question about my appointment") != "Sure. What is your name?"
    assert call.calls == []


def test_the_tool_that_undoes_is_chosen_over_the_one_that_does() -> None:
    cancel = function("cancel_appointment", "Cancel an appointment.", {"name": text("What is your name?")})
    call = Call([BOOK_APPOINTMENT, cancel])
    call.says("i need to cancel my appointment", "john miller")
    assert call.calls == [("cancel_appointment", {"name": "John Miller"})]


def test_an_interrupted_reply_does_not_confuse_the_form() -> None:
    call = Call(ROOMS)
    call.says("book a room", "mountain view")
    call.messages[-1]["content"] = "For wh"
    call.messages.append({"role": "user", "content": "today"})
    assert respond(call.messages, ROOMS) == Say("At what time?")


def test_a_call_that_was_never_made_is_made_at_the_next_turn() -> None:
    said = [
        {"role": "user", "content": t}
        for t in ("book a room in london tomorrow at three for an hour", "ten people")
    ]
    reply = respond(
        [{"role": "system", "content": SYSTEM}, *said, {"role": "user", "content": "hello?"}], ROOMS
    )
    assert isinstance(reply, Say)
    reply = respond([{"role": "system", "content": SYSTEM}, *said], ROOMS)
    assert isinstance(reply, CallTool)


HOTEL = [
    function(
        "cancel_reservation",
        "Cancel a hotel reservation.",
        {"number": text("What is the confirmation number?")},
    ),
    function("check_availability", "Check whether rooms are free.", {"date": text("Which day?")}),
    function("make_reservation", "Make a hotel reservation.", {"guest_name": text("Full name of the guest")}),
]


@pytest.mark.parametrize(
    ("request_words", "question"),
    [
        ("i'd like to make a reservation", "Sure. What is the full name of the guest?"),
        ("i want to cancel my reservation", "Sure. What is the confirmation number?"),
        ("do you have any rooms free", "Sure. Which day?"),
        ("i have a question about my reservation", UNKNOWN),
    ],
)
def test_the_right_one_of_several_tools_is_started(request_words: str, question: str) -> None:
    assert Call(HOTEL).say(request_words) == question
