"""The demo's callers: repeatable, fair to the recogniser, and understood by the rule engine."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import pytest

from edge_agents.session.prompt import system_prompt
from local_stack.agents import read_agents
from local_stack.business.ledger import Ledger
from local_stack.business.requests import AppointmentRequest, OrderRequest, RoomRequest
from local_stack.demo.evaluation import BookComparison, compare_book, words_of
from local_stack.demo.scripts import CallScript, ExpectedBooking, Turn, build_scripts
from local_stack.engines.llm.dialogue import CallTool, Say, respond
from local_stack.engines.tts.voices import CALLERS
from local_stack.paths import TENANTS
from shared.domain.agent import AgentConfig

SEEDS = range(150)
WEDNESDAY = dt.date(2026, 5, 6)
WORDS_PER_MINUTE = 165  # of the local voices (local_stack/engines/tts/voices.py)


@cache
def agent(slug: str) -> AgentConfig:
    return read_agents(TENANTS, business_url="http://127.0.0.1:9").by_slug(slug).version.config


def runs(words: list[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}


@cache
def published_runs(slug: str, length: int) -> set[tuple[str, ...]]:
    return set().union(*(runs(words_of(text), length) for text in agent(slug).published_texts()))


def all_scripts(seeds: Iterable[int] = SEEDS) -> list[CallScript]:
    return [script for seed in seeds for script in build_scripts(seed)]


def test_the_same_seed_gives_the_same_calls_and_another_seed_others() -> None:
    assert build_scripts(7) == build_scripts(7)
    assert len({repr(build_scripts(seed)) for seed in SEEDS}) == len(SEEDS)


def test_three_callers_with_different_voices_call_at_once() -> None:
    for seed in SEEDS:
        scripts = build_scripts(seed)
        assert [script.tenant for script in scripts[:2]] == ["dental", "pizza"]
        assert len({script.voice for script in scripts}) == len({script.name for script in scripts}) == 3
        assert {script.voice for script in scripts} <= {voice.name for voice in CALLERS}


def test_no_four_words_in_a_row_stand_in_what_the_tenant_publishes() -> None:
    for script in all_scripts():
        whole = [word for turn in script.turns for word in words_of(turn.text)]
        for said in (whole, *(words_of(turn.text) for turn in script.turns)):
            assert not runs(said, 4) & published_runs(script.tenant, 4), script


def test_one_caller_barges_in_while_a_long_answer_is_being_said() -> None:
    for seed in SEEDS:
        script = build_scripts(seed)[1]
        (at,) = [i for i, turn in enumerate(script.turns) if turn.barge_in_at_s is not None]
        answer = replies(script)[at - 1]
        assert len(words_of(answer)) / WORDS_PER_MINUTE * 60 > 6
        assert 1.5 <= (script.turns[at].barge_in_at_s or 0) <= 4.5
        assert at < len(script.turns) - 1, "a question follows the interruption"


def test_turns_have_no_punctuation_that_makes_a_voice_pause() -> None:
    for script in all_scripts():
        for turn in script.turns:
            assert turn.text.replace("'", "").replace(" ", "").isalpha(), turn


def test_the_rule_engine_answers_and_books_what_the_scripts_expect() -> None:
    for script in all_scripts(range(60)):
        ledger = Ledger()
        answers = replies(script, ledger)
        assert answers[-1] == "", "the last turn ends the call"
        for turn, answer in zip(script.turns, answers, strict=True):
            assert turn.reply_includes in answer.lower()
        if script.expected is not None:
            booked = [entry.fields for entry in (*ledger.appointments, *ledger.orders)]
            assert compare_book([script.expected], booked) == BookComparison(((),), 0)


def test_the_recorded_caller_books_a_room() -> None:
    said = ("book a room", "mountain view", "today", "two thirty pm", "half an hour", "two people")
    fields: dict[str, str | int] = {
        "city": "mountain view",
        "date": "today",
        "time": "14:30",
        "duration_minutes": 30,
        "people": 2,
    }
    script = CallScript(
        "recorded", "rooms", "", tuple(map(Turn, said)), ExpectedBooking("/rooms/bookings", fields)
    )
    ledger = Ledger()
    replies(script, ledger)
    assert [dict(entry.fields) for entry in ledger.bookings] == [fields]


def replies(script: CallScript, ledger: Ledger | None = None) -> list[str]:
    """What the agent says to each turn, in text; "" where it ends the call."""
    config = agent(script.tenant)
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": system_prompt(config)},
        {"role": "assistant", "content": config.greeting},
    ]
    said: list[str] = []
    for turn in script.turns:
        messages.append({"role": "user", "content": turn.text})
        reply = respond(messages, tools_of(config))
        if isinstance(reply, CallTool) and reply.name == "end_call":
            said.append("")
            break
        if isinstance(reply, CallTool):
            message = book(ledger or Ledger(), reply.name, reply.arguments)
            call = {"name": reply.name, "arguments": json.dumps(dict(reply.arguments))}
            messages.append(
                {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": call}]}
            )
            messages.append(
                {"role": "tool", "tool_call_id": "1", "content": json.dumps({"message": message})}
            )
            reply = respond(messages, tools_of(config))
        assert isinstance(reply, Say)
        said.append(reply.text)
        messages.append({"role": "assistant", "content": reply.text})
    return said


def tools_of(config: AgentConfig) -> list[dict[str, Any]]:
    functions: list[dict[str, Any]] = [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in config.tools
    ]
    functions.append({"name": "end_call", "description": "End the call.", "parameters": {"type": "object"}})
    return [{"type": "function", "function": function} for function in functions]


def book(ledger: Ledger, tool: str, arguments: Mapping[str, object]) -> str:
    match tool:
        case "book_appointment":
            entry = ledger.book_appointment(AppointmentRequest.model_validate(arguments), WEDNESDAY)
        case "place_order":
            entry = ledger.place_order(OrderRequest.model_validate(arguments))
        case "book_room":
            entry = ledger.book_room(RoomRequest.model_validate(arguments), WEDNESDAY)
        case _:
            pytest.fail(f"unknown tool {tool}")
    return entry.message
