from __future__ import annotations

import pytest

from local_stack.engines.llm.identity import email_address, person_name, phone_number
from local_stack.engines.llm.text import utterance


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("my name is john miller", "John Miller"),
        ("my name's Anna", "Anna"),
        ("hi this is john miller i want to book a room", "John Miller"),
        ("this is maria garcia calling about a room", "Maria Garcia"),
        ("i'm bob", "Bob"),
        ("the name is o'brien", "O'Brien"),
        ("you can call me jo please", "Jo"),
        ("my name is anna lee and i need help", "Anna Lee"),
    ],
)
def test_a_name_given_unasked_is_heard(said: str, name: str) -> None:
    found = person_name(utterance(said), asked=False)
    assert found is not None
    assert found[1] == name


@pytest.mark.parametrize(
    "said",
    [
        "i'm looking for a dentist",
        "i am calling about parking",
        "this is great",
        "this is the second time",
        "i'm good thanks",
        "book a room",
        "john miller",
        "i am not sure",
    ],
)
def test_other_words_are_no_name_unasked(said: str) -> None:
    assert person_name(utterance(said), asked=False) is None


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("john miller", "John Miller"),
        ("uh it's john miller please", "John Miller"),
        ("for anna", "Anna"),
        ("put it under the name bob smith", "Bob Smith"),
        ("j o h n", "John"),
        ("miller m i l l e r", "Miller"),
        ("sure jean-luc picard", "Jean Luc Picard"),
        ("will smith", None),
    ],
)
def test_a_bare_answer_is_a_name_when_asked(said: str, name: str | None) -> None:
    found = person_name(utterance(said), asked=True)
    assert (found[1] if found else None) == name


@pytest.mark.parametrize(
    "said", ["yes", "what", "next tuesday", "two", "i don't know", "can you repeat that", ""]
)
def test_a_bare_answer_that_is_no_name_is_refused(said: str) -> None:
    assert person_name(utterance(said), asked=True) is None


@pytest.mark.parametrize(
    ("said", "asked", "number"),
    [
        ("five five five one two three four", False, "5551234"),
        ("it is plus 44 20 7946 0958", False, "+442079460958"),
        ("five five five", False, None),
        ("five five five", True, "555"),
        ("book a room", True, None),
    ],
)
def test_a_telephone_number_is_read(said: str, asked: bool, number: str | None) -> None:
    found = phone_number(utterance(said), asked=asked)
    assert (found[1] if found else None) == number


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("anna.lee@example.com", "anna.lee@example.com"),
        ("it is anna dot lee at example dot com", "anna.lee@example.com"),
        ("meet me at noon", None),
    ],
)
def test_an_email_address_is_read(said: str, address: str | None) -> None:
    assert email_address(utterance(said)) == address
