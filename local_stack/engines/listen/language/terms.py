"""Find the terms in what an agent's owner publishes: what callers will name, in sentences of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_LONGEST_SENTENCE_TERM = 4
"""Words; a sentence up to this length, such as a heading or a keyterm, is a term as a whole."""

_LONGEST_RUN_TERM = 3
"""Words; a longer run of content words is cut into overlapping pairs."""

_MOST_TERMS = 400
"""Of each kind, the first ones; more would make each too rare to matter, and the model slow to build."""

_FUNCTION_WORDS = """
a an the and or but if of to in on at by for from with without about as into until till than then so not no nor
is are was were be been being am do does did have has had can could may might must shall should will would
i you he she it we they me him her us them my your his its our their this that these those there here who whom
whose which what when where why how all any both each every few more most other some such only own same too very
just also please i'm i'd i'll i've you're we're we've we'll it's that's there's don't doesn't isn't aren't can't
won't let's thank hello hi yes up out over after before again once per between during under above off down
one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand first second third
a.m. p.m. o'clock oh zero monday tuesday wednesday thursday friday saturday sunday
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that belong to nobody's business: grammar, numbers, days. Terms end at them."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What callers may name."""

    things: tuple[tuple[str, ...], ...]
    """Terms of one or more words: services, products, places. At most 400, keyterms first."""

    topics: tuple[str, ...]
    """Single content words, at most 400."""


def find_terms(sentences: Sequence[Sequence[str]], keyterms: Sequence[Sequence[str]]) -> Terms:
    """Find what callers may name.

    Args:
        sentences: spoken words of what the owner publishes.
        keyterms: spoken words of each term that the owner wants to be understood above all.

    Returns:
        Each term once, in the order in which they are found.
    """
    things: dict[tuple[str, ...], None] = dict.fromkeys(tuple(keyterm) for keyterm in keyterms)
    topics: dict[str, None] = {}
    for sentence in sentences:
        if len(sentence) <= _LONGEST_SENTENCE_TERM:
            things[tuple(sentence)] = None
        for run in _content_runs(sentence):
            topics.update(dict.fromkeys(run))
            things.update(dict.fromkeys(_run_terms(run)))
    topics.update(
        dict.fromkeys(word for keyterm in keyterms for word in keyterm if word not in FUNCTION_WORDS)
    )
    return Terms(tuple(things)[:_MOST_TERMS], tuple(topics)[:_MOST_TERMS])


def _content_runs(sentence: Sequence[str]) -> Iterator[list[str]]:
    """The content words between two function words, from left to right."""
    run: list[str] = []
    for word in sentence:
        if word not in FUNCTION_WORDS:
            run.append(word)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _run_terms(run: Sequence[str]) -> list[tuple[str, ...]]:
    if len(run) <= _LONGEST_RUN_TERM:
        return [tuple(run)]
    return list(pairwise(run))
