"""The system prompt as the engine reads it: who the agent is, what it knows, and a summary of earlier turns.

    You are <name>, ... <instructions>
    # Knowledge
    Q: <question>
    A: <answer>
    # Conversation so far (summary)         in an assistant's message, or at the end of the prompt
    <summary>
    name: John Miller
    - caller: book a room
    </summary>

Each question and each answer is one line; other lines of the section are not read, since frameworks append
instructions to the end of a prompt. Knowledge and summary are data: nothing in them starts or ends anything.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from local_stack.engines.llm.text import Bm25, content_terms, terms_of

_HEADING = re.compile(r"^#{1,3}\s*(.+?)\s*#*$")
_IDENTITY = re.compile(r"\b[Yy]ou are ((?:[A-Z][\w'’-]*)(?: [A-Z][\w'’-]*){0,3})")
_GREETING = re.compile(r"(?i)\bgreet[^\n\"“]{0,80}[\"“]([^\"”\n]{1,300})[\"”]")
_GREETING_LINE = re.compile(r"(?im)^greeting:\s*(.{1,300})$")
_DATE = re.compile(r"(?i)\b(?:today|current date|date)\b[^\n\d]{0,40}(\d{4}-\d{2}-\d{2})")
_FACT = re.compile(r"^([A-Za-z][\w ./'-]{0,60}?):\s+(\S.*)$")
_LINE = re.compile(r"^-\s*(caller|agent):\s+(\S.*)$", re.IGNORECASE)

CALLED = "called"
"""Speaker of a summary line that says a tool was called."""
_CALLED_LINE = re.compile(r"^-\s*called\s+(\S+)")
MAX_ENTRIES = 2000

ANSWER_WEIGHT = 0.5
"""An answer's words help to find it, but less than its question's."""
_ENOUGH_COVERAGE = 0.5
_ENOUGH_BREADTH = 0.99
_LEAST_COVERAGE = 0.3


@dataclass(frozen=True)
class Answer:
    """What the knowledge says to a question."""

    text: str
    """Verbatim answer."""
    coverage: float
    """0 to 1: how much of the question it covers."""


class Knowledge:
    """Question and answer pairs with a BM25 index."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.pairs = tuple(pairs[:MAX_ENTRIES])
        documents = []
        for question, answer in self.pairs:
            weights: Counter[str] = Counter(content_terms(question))
            document = {term: float(count) for term, count in weights.items()}
            for term in content_terms(answer):
                document.setdefault(term, ANSWER_WEIGHT)
            documents.append(document)
        self._index = Bm25(documents)

    def find(self, tokens: Sequence[str]) -> Answer | None:
        """The best answer to what the caller said; None when too little of it is known."""
        match = self._index.best(terms_of(tokens))
        if match is None or match.coverage < _LEAST_COVERAGE:
            return None
        whole_question = match.breadth >= _ENOUGH_BREADTH
        if match.coverage < _ENOUGH_COVERAGE and not whole_question:
            return None
        return Answer(self.pairs[match.index][1], match.coverage)


@dataclass(frozen=True)
class Prompt:
    """A system prompt, read once."""

    instructions: str
    knowledge: Knowledge
    summary_facts: tuple[tuple[str, str], ...] = ()
    summary_lines: tuple[tuple[str, str], ...] = ()
    """(caller | agent | called, text) in the order of the conversation."""
    today: dt.date | None = None
    """The current date if the instructions state it as YYYY-MM-DD after "today" or "current date"."""

    @property
    def agent_name(self) -> str:
        """The name after "You are", empty if there is none."""
        match = _IDENTITY.search(self.instructions)
        return match[1] if match else ""

    @property
    def greeting(self) -> str:
        """What to open with: a quoted greeting, a `Greeting:` line, or a plain one."""
        match = _GREETING.search(self.instructions) or _GREETING_LINE.search(self.instructions)
        if match:
            return match[1].strip()
        name = self.agent_name
        return f"Hello, this is {name}. How can I help you?" if name else "Hello, how can I help you?"


@lru_cache(maxsize=64)
def parse_prompt(system: str) -> Prompt:
    """Read a system prompt. Pure, so it is remembered: a call sends the same one every turn. Never raises.

    The last summary heading counts: knowledge may hold a line that looks like one.
    """
    lines = system.replace("\r\n", "\n").split("\n")
    summary_at = len(lines)
    knowledge_at: int | None = None
    for number, line in enumerate(lines):
        heading = _HEADING.match(line.strip())
        title = heading[1].lower() if heading else ""
        if title.startswith("conversation so far"):
            summary_at = number
        elif title == "knowledge" and knowledge_at is None:
            knowledge_at = number
    knowledge_start = min(summary_at if knowledge_at is None else knowledge_at, summary_at)
    instructions = "\n".join(lines[:knowledge_start]).strip()
    facts, dialogue = _summary(lines[summary_at + 1 :])
    return Prompt(
        instructions=instructions,
        knowledge=Knowledge(_pairs(lines[knowledge_start + 1 : summary_at])),
        summary_facts=tuple(facts),
        summary_lines=tuple(dialogue),
        today=_today(instructions),
    )


def _today(instructions: str) -> dt.date | None:
    match = _DATE.search(instructions)
    try:
        return dt.date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def _pairs(lines: Sequence[str]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    question: str | None = None
    answer: list[str] = []
    for line in [*lines, "Q:"]:
        text = line.strip()
        if text[:2].lower() == "q:":
            if question and answer:
                pairs.append((question, " ".join(answer)))
            question, answer = text[2:].strip(), []
        elif text[:2].lower() == "a:" and question is not None:
            answer.append(text[2:].strip())
    return pairs


def _summary(lines: Sequence[str]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    facts: list[tuple[str, str]] = []
    dialogue: list[tuple[str, str]] = []
    for line in lines[:MAX_ENTRIES]:
        text = line.strip()
        if spoken := _LINE.match(text):
            dialogue.append((spoken[1].lower(), spoken[2]))
        elif called := _CALLED_LINE.match(text):
            dialogue.append((CALLED, called[1]))
        elif fact := _FACT.match(text):
            facts.append((fact[1].strip(), fact[2].strip()))
        elif text.startswith("#"):
            break
    return facts, dialogue
