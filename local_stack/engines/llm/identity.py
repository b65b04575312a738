"""Who the caller is: names, telephone numbers and e-mail addresses in spoken words."""

from __future__ import annotations

import re

from local_stack.engines.llm import dates, numbers
from local_stack.engines.llm.text import Span, Utterance, words_of

_CUES = (
    re.compile(r"\b(?:my|the|our)(?: (?:full|first|last))? name (?:is|was|would be)\b"),
    re.compile(r"\b(?:you can )?call me\b"),
    re.compile(r"\bname is\b"),
    re.compile(r"\bthis is\b"),
    re.compile(r"\bi am\b"),
)
_BARE_CUES = frozenset({"this is", "i am"})
"""Cues that other things follow too ("i am looking for"): the rest has to look like a name."""
_LEADS = words_of(
    """it is yes yeah sure okay so well please the name under for on to put in as of my that would be hi hello oh and
    just you can use write down make actually no sorry"""
)
_ENDS = words_of(
    """and i for at on in the a an from with to we my our your me is are was that but so because by it if or of
    please calling speaking here again next this thanks thank you just about not like when what how can could would
    do does will have has need want there as who where yes no okay hi hello"""
)
_NEVER_NAMES = (
    words_of(
        """looking calling trying going having wondering interested sorry fine good great well done sure happy
        afraid late sick new ready back still also not very really at all some any someone anyone nothing something
        maybe idk know don idea think want right correct repeat same whatever never mind cancel hold wait what why how
        when where which help hurt hurting pain"""
    )
    | _ENDS
    | dates.WORDS
    | numbers.WORDS
)
_MAX_WORDS = 4
_AT = r"(?: at |@)"
_SPOKEN_EMAIL = re.compile(rf"\b((?:[a-z0-9]+(?: dot | underscore |[._-]))*[a-z0-9]+){_AT}"
                           r"((?:[a-z0-9-]+(?: dot |\.)){1,3}[a-z]{2,10})\b")  # fmt: skip
_EMAIL_CHARS = 300
"""Only so much of an utterance is searched for an address."""
_NEEDED_DIGITS = 7
"""Shorter digit strings are a telephone number only when one was asked for."""


def person_name(utterance: Utterance, *, asked: bool) -> tuple[Span, str] | None:
    """A person's name with capitals, and where it was said.

    "my name is X", "this is X", "i am X" and the like count always; "it's X", "for X" and the bare words only
    when the caller was just asked for a name.
    """
    tokens, text = utterance.tokens, utterance.text
    for cue in _CUES:
        match = cue.search(text)
        if match is None:
            continue
        start = text.count(" ", 0, match.end()) + 1
        found = _run(tokens, start)
        if found is not None and (match[0] not in _BARE_CUES or asked or _looks_said(tokens, found)):
            return found
    return _bare_name(tokens) if asked else None


def _bare_name(tokens: tuple[str, ...]) -> tuple[Span, str] | None:
    start = 0
    while start < len(tokens) and tokens[start] in _LEADS:
        start += 1
    found = _run(tokens, start)
    if found is None:
        return None
    rest = len(tokens) - found[0].end
    return found if rest <= 6 else None


def _run(tokens: tuple[str, ...], start: int) -> tuple[Span, str] | None:
    """The words of a name from `start`: at most four, up to a word that ends names."""
    end = start
    while end < len(tokens) and end - start < _MAX_WORDS and _may_be_name(tokens[end]):
        end += 1
    words = list(tokens[start:end])
    if not words or (end < len(tokens) and end - start == _MAX_WORDS and _may_be_name(tokens[end])):
        return _spelled(tokens, start)
    if all(len(word) == 1 for word in words):
        return _spelled(tokens, start)
    while len(words[-1]) == 1:  # "john miller j o h n": the spelling repeats the name
        words.pop()
    return Span(start, end), " ".join(_capitalised(word) for word in words)


def _spelled(tokens: tuple[str, ...], start: int) -> tuple[Span, str] | None:
    end = start
    while end < len(tokens) and len(tokens[end]) == 1 and tokens[end].isalpha():
        end += 1
    letters = "".join(tokens[start:end])
    return (Span(start, end), letters.capitalize()) if len(letters) >= 2 else None


def _may_be_name(word: str) -> bool:
    return word.replace("'", "").isalpha() and word not in _NEVER_NAMES


def _looks_said(tokens: tuple[str, ...], found: tuple[Span, str]) -> bool:
    span = found[0]
    short = span.end - span.start <= 3
    following = tokens[span.end : span.end + 1]
    return short and (
        not following or following[0] in {"and", "i", "calling", "speaking", "from", "here", "can"}
    )


def _capitalised(word: str) -> str:
    return "'".join(
        part.capitalize() if len(part) > 1 or i == 0 else part for i, part in enumerate(word.split("'"))
    )


def phone_number(utterance: Utterance, *, asked: bool) -> tuple[Span, str] | None:
    """A telephone number as digits, with "+" when it was said or typed.

    Seven digits or more count always; three or more when a number was just asked for.
    """
    needed = 3 if asked else _NEEDED_DIGITS
    for span, digits in numbers.digit_runs(utterance.tokens):
        if len(digits) < needed or len(digits) > 15:
            continue
        said_plus = span.start > 0 and utterance.tokens[span.start - 1] == "plus"
        return span, ("+" if said_plus or f"+{digits[:1]}" in utterance.raw else "") + digits
    return None


def email_address(utterance: Utterance) -> str | None:
    """An e-mail address, typed or spoken ("anna dot lee at example dot com")."""
    match = _SPOKEN_EMAIL.search(utterance.raw[:_EMAIL_CHARS].lower())
    if match is None:
        return None
    local = match[1].replace(" dot ", ".").replace(" underscore ", "_")
    return f"{local.split()[-1]}@{match[2].replace(' dot ', '.')}"
