"""Providers fail in every way at every stage, and the caller is never left in silence.

The calls run side by side, each with a tenant of its own whose faulty provider is told apart by its name; the tests
look at what each caller heard and at what was published.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from edge_agents.audio.phrases import APOLOGY_TEXT, FAREWELL_TEXT
from local_stack.callers.script import Manners
from shared.contracts.calls import CallAdmitted, CallEnded, CallRequested, CallStarted
from shared.contracts.usage import UsageRecord
from shared.domain.call import EndReason
from tests.integration.agent_process import (
    REPLY,
    agent_env,
    broker_and_engine,
    publish,
    running_agent,
)
from tests.integration.call_books import Books
from tests.integration.caller_line import Placed, silences, speech

LONGEST_SILENCE_S = 8.0
"""The longest deadline of a provider is 4 s (a model's first word); the rest is for a busy machine."""

QUIET_S = 1.5
"""The agent has finished then: on a busy machine its voice may falter, and who talks into an apology ends it."""
AT_ONCE = 10
"""Calls side by side: what half of two cores carries together with the callers (24 are enough to use them up)."""
PHRASES = {"apology": "Sorry, one moment please.", "failure": "I have to end this call. Goodbye."}
STAGES = ("stt", "llm", "tts")
KINDS: dict[str, dict[str, Any]] = {
    "401": {"kind": "status", "status": 401},
    "429": {"kind": "status", "status": 429, "retry_after_s": 1},
    "500": {"kind": "status", "status": 500},
    "stall": {"kind": "stall"},
    "silent": {"kind": "silent"},
    "half": {"kind": "half_chunk", "after_chunks": 1},
    "close": {"kind": "close"},
    "refused": {},
}
PASSING = {
    # as many strikes as it takes until the failure counts
    ("stt", "401"): 4,
    ("stt", "silent"): 1,
    ("llm", "500"): 2,
    ("llm", "silent"): 1,
    ("tts", "close"): 2,
    ("tts", "silent"): 1,
}
DEAF = [("stt", "silent"), ("stt", "stall")]
"""These recognisers connect, and never answer: it takes up to five utterances until they are given up."""
BREAKING_OFF = [("stt", "half"), ("stt", "close")]
"""These break off whenever somebody speaks: it takes two utterances."""
UTTERANCES = dict.fromkeys(DEAF, 5) | dict.fromkeys(BREAKING_OFF, 2)
"""What it takes without a fallback; one for all others."""
EVERY = [(stage, kind) for stage in STAGES for kind in KINDS]


@dataclass(frozen=True)
class Outcome:
    """A call that is over."""

    placed: Placed
    books: Books


Outcomes = dict[tuple[str, str, str], Outcome]
"""(stage, kind, way) -> what happened; the ways are `fallback`, `alone` and `passing`."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """Every call of this file."""
    folder = tmp_path_factory.mktemp("faults")
    with broker_and_engine() as parts:
        env = agent_env(folder, parts.engine_url, parts.bootstrap)
        keys = [
            *((stage, kind, "alone") for stage, kind in (*DEAF, *EVERY)),  # the longest first
            *((stage, kind, "passing") for stage, kind in PASSING),
            *((stage, kind, "fallback") for stage, kind in EVERY),
        ]
        keys = list(dict.fromkeys(keys))
        tenants = {key: publish(folder / "agents", "-".join(key), **config(*key)) for key in keys}
        parts.inject(*(rule(*key) for key in keys if key[1] != "refused"))
        with running_agent(folder, env) as agent:

            async def place(key: tuple[str, str, str], lines: asyncio.Semaphore) -> Placed:
                stage, kind, way = key
                utterances = UTTERANCES.get((stage, kind), 1) if way == "alone" else 1
                manners = Manners(
                    answer_timeout_s=12, quiet_s=QUIET_S, waits_for_end=way == "alone", end_timeout_s=15
                )
                async with lines:
                    return await agent.call(tenants[key], [speech()] * utterances, manners)

            async def everything() -> Outcomes:
                lines = asyncio.Semaphore(AT_ONCE)
                placed = await asyncio.gather(*(place(key, lines) for key in keys))
                books = await agent.books(*(one.call_id for one in placed))
                return {
                    key: Outcome(*both)
                    for key, both in zip(keys, zip(placed, books, strict=True), strict=True)
                }

            yield asyncio.run(everything())


def name(stage: str, kind: str, way: str) -> str:
    """Model or voice of the faulty provider (the plugin takes key terms for nova-3 only)."""
    return f"{'nova-3-' if stage == 'stt' else ''}{stage}-{kind}-{way}"


def rule(stage: str, kind: str, way: str) -> dict[str, Any]:
    times = {"times": PASSING[stage, kind]} if way == "passing" else {}
    return {"stage": stage, "key": name(stage, kind, way), **KINDS[kind], **times}


def config(stage: str, kind: str, way: str) -> dict[str, Any]:
    """An agent whose first choice at a stage is faulty."""
    field = "voice" if stage == "tts" else "model"
    well = {
        "stt": ("deepgram", "nova-3"),
        "llm": ("openai", "gpt-4.1-mini"),
        "tts": ("deepgram", "aura-2-luna-en"),
    }
    provider, healthy = well[stage]
    faulty = {"provider": provider, field: name(stage, kind, way)}
    if kind == "refused":
        faulty = {"provider": provider, field: healthy, "endpoint": "refused"}
    fallbacks = [{"provider": provider, field: healthy}] if way == "fallback" else []
    return {"phrases": PHRASES, stage: [faulty, *fallbacks]}


@pytest.mark.parametrize(("stage", "kind"), EVERY)
def test_a_fallback_answers_the_turn(outcomes: Outcomes, stage: str, kind: str) -> None:
    outcome = outcomes[stage, kind, "fallback"]

    assert outcome.placed.heard.unanswered == 0
    assert REPLY in outcome.books.spoken
    assert outcome.books.of(CallEnded)[0].end_reason is EndReason.CALLER_HUNG_UP
    assert outcome.books.error_codes == {f"{stage}_failed"}
    # words that were spoken can't be taken back: only then does the caller hear of the failure
    assert (PHRASES["apology"] in outcome.books.spoken) == ((stage, kind) == ("llm", "half"))


@pytest.mark.parametrize(("stage", "kind"), [key for key in EVERY if key not in DEAF])
def test_without_a_fallback_the_caller_hears_an_apology_and_then_a_farewell(
    outcomes: Outcomes, stage: str, kind: str
) -> None:
    outcome = outcomes[stage, kind, "alone"]
    # without a voice, or in the first second of a tenant's first call, there is no audio of the agent's own words
    apologies = {PHRASES["apology"]} if stage == "llm" else {APOLOGY_TEXT}
    if stage == "stt":
        apologies.add(PHRASES["apology"])
    farewell = FAREWELL_TEXT if stage == "tts" else PHRASES["failure"]

    (apology,) = (text for text in apologies if text in outcome.books.spoken)
    before, after = outcome.books.spoken.split(apology)
    assert farewell in after
    assert farewell not in before
    assert outcome.placed.heard.over.reason == EndReason.PROVIDER_FAILED
    assert f"{stage}_failed" in outcome.books.error_codes
    assert outcome.books.one(CallEnded).error_code == "provider_failed"


@pytest.mark.parametrize(("stage", "kind"), DEAF)
def test_a_recogniser_that_never_answers_is_given_up(outcomes: Outcomes, stage: str, kind: str) -> None:
    outcome = outcomes[stage, kind, "alone"]

    assert "I did not catch that" in outcome.books.spoken
    assert PHRASES["failure"] in outcome.books.spoken
    assert outcome.placed.heard.over.reason == EndReason.PROVIDER_FAILED


@pytest.mark.parametrize(("stage", "kind"), PASSING)
def test_after_a_failure_that_passes_the_caller_gets_what_they_did_not_hear(
    outcomes: Outcomes, stage: str, kind: str
) -> None:
    outcome = outcomes[stage, kind, "passing"]
    greeting, *_ = outcome.books.conversation

    assert "Hello there." in greeting[1]
    assert REPLY in outcome.books.spoken
    assert outcome.books.one(CallEnded).end_reason is EndReason.CALLER_HUNG_UP
    # a recogniser may hear late what it missed: the answer then overtakes the apology
    if stage != "stt":
        assert PHRASES["apology"] in outcome.books.spoken or APOLOGY_TEXT in outcome.books.spoken


def test_nobody_is_left_in_silence(outcomes: Outcomes) -> None:
    longest = {key: max(silences(outcome.placed)) for key, outcome in outcomes.items()}

    assert {key: silence for key, silence in longest.items() if silence > LONGEST_SILENCE_S} == {}


def test_every_call_has_its_books_written_once(outcomes: Outcomes) -> None:
    for outcome in outcomes.values():
        for fact in (CallRequested, CallAdmitted, CallStarted, CallEnded, UsageRecord):
            outcome.books.one(fact)
        ended, record = outcome.books.one(CallEnded), outcome.books.one(UsageRecord)
        assert record.end_reason is ended.end_reason
