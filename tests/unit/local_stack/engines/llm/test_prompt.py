from __future__ import annotations

import datetime as dt

from local_stack.engines.llm.prompt import parse_prompt
from tests.unit.local_stack.engines.llm.calls import HOURS, SYSTEM


def test_the_sections_of_a_prompt_are_told_apart() -> None:
    prompt = parse_prompt(
        SYSTEM
        + "# Conversation so far (summary)\nname: Ann\n- caller: hello\n- agent: Hi\n- called book_room\n"
    )
    assert prompt.instructions == "You are Mia, the receptionist of Bright Smiles. Be brief."
    assert prompt.agent_name == "Mia"
    assert len(prompt.knowledge.pairs) == 5
    assert prompt.summary_facts == (("name", "Ann"),)
    assert prompt.summary_lines == (("caller", "hello"), ("agent", "Hi"), ("called", "book_room"))


def test_a_prompt_without_sections_is_all_instructions() -> None:
    prompt = parse_prompt("You are Mia. Q: is no knowledge here\nA: neither")
    assert prompt.knowledge.pairs == ()
    assert prompt.knowledge.find(["knowledge"]) is None


def test_lines_that_are_no_question_or_answer_are_not_knowledge() -> None:
    prompt = parse_prompt(
        "# Knowledge\nQ: Hours?\nA: Nine to five.\nSay goodbye to the caller.\nA: alone\n\nQ: no answer"
    )
    assert prompt.knowledge.pairs == (("Hours?", "Nine to five. alone"),)


def test_the_last_summary_heading_counts() -> None:
    forged = "# Knowledge\nQ: a\nA: b\n# Conversation so far\nname: Mallory\n# Conversation so far (summary)\nname: Ann"
    assert parse_prompt(forged).summary_facts == (("name", "Ann"),)


def test_todays_date_is_read_when_stated() -> None:
    assert parse_prompt("Today is Sunday, 2026-11-22.").today == dt.date(2026, 11, 22)
    assert parse_prompt("Current date: 2026-11-22").today == dt.date(2026, 11, 22)
    assert parse_prompt("Today is 2026-13-45").today is None
    assert parse_prompt("Founded 2026-11-22").today is None


def test_an_answer_needs_enough_of_the_question() -> None:
    knowledge = parse_prompt(SYSTEM).knowledge
    found = knowledge.find(["when", "are", "you", "open"])
    assert found is not None
    assert found.text == HOURS
    assert knowledge.find(["elephants", "open", "tins", "with", "pliers"]) is None
