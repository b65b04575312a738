"""What a caller's request is about when no form is open: a tool, an answer from the knowledge, or neither."""

from __future__ import annotations

import re
from collections.abc import Sequence

from local_stack.engines.llm import intents
from local_stack.engines.llm.prompt import Answer, Knowledge
from local_stack.engines.llm.schema import Tool
from local_stack.engines.llm.slots import entity_free, fill
from local_stack.engines.llm.text import Bm25, Match, Utterance, content_terms, terms_of

_OPTION_WEIGHT = 0.7
_ACTIONS = frozenset({"book", "order", "cancel", "change", "check", "find"})
_UNDOING = frozenset({"cancel", "change"})
"""Asking for these starts only tools that do them, and those start in no other way."""
_CREATING = frozenset(
    {"book", "order", "place", "create", "make", "add", "register", "request", "schedule", "reserve"}
)
_LOOKING = frozenset({"check", "find", "get", "look", "lookup", "search", "list"})
"""First words of tools that answer questions, so a question may start them."""
_OWN_THING = re.compile(r"\bmy (?:order|booking|reservation|appointment)s?\b")
"""Something that exists already: by itself no reason to make a new one."""


def is_question(utterance: Utterance) -> bool:
    """Whether the caller asks for information rather than for something to be done."""
    text = utterance.text
    asks = utterance.asks or intents.QUESTION.search(text) is not None
    return asks and intents.REQUEST.search(text) is None


class Router:
    """Chooses between tools and knowledge, the same way every time."""

    def __init__(self, tools: Sequence[Tool], knowledge: Knowledge) -> None:
        self._tools = [tool for tool in tools if not tool.is_end_call and not tool.is_transfer]
        self._knowledge = knowledge
        self._undoes = [_UNDOING & set(content_terms(tool.words)) for tool in self._tools]
        self._index = Bm25([_document(tool) for tool in self._tools])

    def answer(self, utterance: Utterance) -> Answer | None:
        """What the knowledge says, if anything."""
        return self._knowledge.find(_without_greeting(utterance).split())

    def tool(self, utterance: Utterance) -> Tool | None:
        """The tool that is plainly asked for by its action, for switching while another form is open."""
        found = self._best_tool(utterance)
        return found[0] if found is not None and found[2] and found[1].coverage >= 0.5 else None

    def choose(self, utterance: Utterance) -> Tool | Answer | None:
        """The tool to start or the answer to give."""
        answer = self.answer(utterance)
        found = self._best_tool(utterance)
        if found is None:
            return answer or self._by_values(utterance)
        if answer is None:
            return found[0]
        tool, match, acts = found
        if is_question(utterance):
            return answer
        wins = acts or match.coverage > answer.coverage
        if not wins and match.coverage == answer.coverage:
            wins = intents.REQUEST.search(utterance.text) is not None
        return tool if wins else answer

    def _by_values(self, utterance: Utterance) -> Tool | None:
        """The tool whose slots a request names two or more of ("can i come in tomorrow at three")."""
        if is_question(utterance):
            return None
        counts = [len(fill(tool, utterance)) for tool in self._tools]
        most = max(counts, default=0)
        return self._tools[counts.index(most)] if most >= 2 else None

    def _best_tool(self, utterance: Utterance) -> tuple[Tool, Match, bool] | None:
        """The tool that fits best if it fits well enough, and whether its action was named."""
        tokens = entity_free(utterance)
        match = self._match(terms := terms_of(tokens))
        if match is None:
            return None
        tool = self._tools[match.index]
        if _OWN_THING.search(utterance.text) and _CREATING & set(tool.words.split()[:1]):
            again = self._match(terms := terms_of(_OWN_THING.sub(" ", " ".join(tokens)).split()))
            if again is None or again.index != match.index:
                return None
            match = again
        acts = bool(_verbs(tool) & set(terms))
        return (tool, match, acts) if match.coverage >= _needed(tool, utterance, acts=acts) else None

    def _match(self, terms: list[str]) -> Match | None:
        """The best tool among those that undo things if that is what was said, among the others if not."""
        undoing = _UNDOING & set(terms)
        among = [i for i, undoes in enumerate(self._undoes) if undoes & undoing or not (undoes or undoing)]
        return self._index.best(terms, among=among)


def _needed(tool: Tool, utterance: Utterance, *, acts: bool) -> float:
    """How much of what was said a tool has to cover."""
    if is_question(utterance):
        return 0.5 if acts or tool.words.split()[0] in _LOOKING else 2.0
    if acts:
        return 0.25
    return 0.3 if intents.REQUEST.search(utterance.text) else 0.5


def _document(tool: Tool) -> dict[str, float]:
    weights: dict[str, float] = {}
    for slot in tool.slots:
        for option in slot.option_texts[:50]:
            weights |= dict.fromkeys(content_terms(option), _OPTION_WEIGHT)
    weights |= dict.fromkeys(content_terms(tool.description.replace("confirm first", "")), 1.0)
    return weights | dict.fromkeys(content_terms(tool.words), 2.0)


def _verbs(tool: Tool) -> set[str]:
    """What the tool does, from its name and the first word of its description."""
    name_terms = content_terms(tool.words)
    first = set(name_terms[:1]) if len(name_terms) > 1 else set()
    opening = content_terms(" ".join(tool.description.split()[:1]))
    return first | (_ACTIONS & set(name_terms)) | set(opening)


def _without_greeting(utterance: Utterance) -> str:
    return intents.GREETING_START.sub("", utterance.text)
