"""Read a phrase book: lines of text with alternatives, optional parts and word classes, as a tree.

    hour = one | two | three
    (at) {hour} [o'clock | thirty]

means "at one o'clock", "two thirty" and so on. Classes may use other classes but not themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


class PhraseBookError(ValueError):
    """A phrase book line can't be read; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word."""

    text: str


@dataclass(frozen=True, slots=True)
class ClassReference:
    """A place that any member of a class fills."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Exactly one of the options, all equally likely; an empty sequence stands for "left out"."""

    options: tuple[Sequence, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Parts that follow one another."""

    parts: tuple[Word | ClassReference | Choice, ...]


@dataclass(frozen=True, slots=True)
class PhraseBook:
    """Phrases and the classes that they use."""

    phrases: tuple[tuple[Sequence, int], ...]
    """Whole utterances, each with the number of times that it counts."""

    classes: Mapping[str, Choice]
    """Members by class name."""


_DEFINITION = re.compile(r"^(?P<name>[a-z_]+) = (?P<options>.+)$")
_WEIGHTED = re.compile(r"^(?P<weight>\d{1,3})x (?P<phrase>.+)$")
_CLASS_NAME = re.compile(r"[a-z_]+")
_SYMBOL = re.compile(r"[\[\](){}|]|[^\s\[\](){}|]+")
_CLOSING = {"[": "]", "(": ")"}


def parse_phrase_book(text: str) -> PhraseBook:
    """Read a phrase book.

    Args:
        text: UTF-8 lines; blank ones and those that start with "#" are ignored.

    Raises:
        PhraseBookError: a bracket is not closed, a weight is 0, or a class is defined twice or by itself.

    Returns:
        Phrases in the order of their lines, and the classes; a class that they use need not be defined.
    """
    phrases: list[tuple[Sequence, int]] = []
    classes: dict[str, Choice] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            if definition := _DEFINITION.match(stripped):
                _define(classes, definition["name"], _parse_options(definition["options"]))
            else:
                phrases.append(_parse_weighted(stripped))
        except PhraseBookError as error:
            raise PhraseBookError(f"line {number}: {error}") from None
    _refuse_circles(classes)
    return PhraseBook(tuple(phrases), classes)


def _define(classes: dict[str, Choice], name: str, members: Choice) -> None:
    if name in classes:
        raise PhraseBookError(f"class {name} is defined twice")
    classes[name] = members


def _parse_weighted(line: str) -> tuple[Sequence, int]:
    weighted = _WEIGHTED.match(line)
    if weighted is None:
        return parse_phrase(line), 1
    weight = int(weighted["weight"])
    if weight == 0:
        raise PhraseBookError("a phrase counts at least once")
    return parse_phrase(weighted["phrase"]), weight


def _refuse_circles(classes: Mapping[str, Choice]) -> None:
    """Take away classes whose own classes are all settled, until none is left or none can be taken."""
    open_classes = {name: set(_references(members)) & classes.keys() for name, members in classes.items()}
    while open_classes:
        settled = {name for name, uses in open_classes.items() if not uses & open_classes.keys()}
        if not settled:
            raise PhraseBookError(f"classes are defined by themselves: {', '.join(sorted(open_classes))}")
        open_classes = {name: uses for name, uses in open_classes.items() if name not in settled}


def _references(choice: Choice) -> Iterator[str]:
    for option in choice.options:
        for part in option.parts:
            if isinstance(part, ClassReference):
                yield part.name
            elif isinstance(part, Choice):
                yield from _references(part)


def parse_phrase(text: str) -> Sequence:
    """Read one phrase.

    Args:
        text: such as "(at) {hour} [o'clock | thirty]".

    Returns:
        The phrase; one with alternatives at its top level is a sequence of a single choice.

    Raises:
        PhraseBookError: a bracket is not closed or not opened, or a class has no name.
    """
    options = _parse_options(text).options
    return options[0] if len(options) == 1 else Sequence((Choice(options),))


def plain_choice(entries: Iterable[Iterable[str]]) -> Choice:
    """Make a class out of plain lists of words, as for the terms that an agent's owner publishes.

    Args:
        entries: the words of each member, which are taken as they are: brackets mean nothing in them.

    Returns:
        The class; without any entry nothing can be said in its place.
    """
    return Choice(tuple(Sequence(tuple(Word(word) for word in words)) for words in entries))


def _parse_options(text: str) -> Choice:
    symbols = _SYMBOL.findall(text)
    symbols.reverse()
    choice = _read_options(symbols, closing=None)
    if symbols:
        raise PhraseBookError(f"{symbols[-1]!r} closes nothing")
    return choice


def _read_options(symbols: list[str], closing: str | None) -> Choice:
    options: list[Sequence] = []
    parts: list[Word | ClassReference | Choice] = []
    while symbols and symbols[-1] not in "])}":
        symbol = symbols.pop()
        if symbol == "|":
            options.append(Sequence(tuple(parts)))
            parts = []
        elif symbol == "{":
            parts.append(_read_class(symbols))
        elif symbol in _CLOSING:
            inner = _read_options(symbols, _CLOSING[symbol])
            parts.append(Choice((*inner.options, Sequence(()))) if symbol == "(" else inner)
        else:
            parts.append(Word(symbol))
    options.append(Sequence(tuple(parts)))
    if closing is not None:
        _expect(symbols, closing)
    return Choice(tuple(options))


def _read_class(symbols: list[str]) -> ClassReference:
    if not symbols:
        raise PhraseBookError("'{' is not closed")
    name = symbols.pop()
    if not _CLASS_NAME.fullmatch(name):
        raise PhraseBookError(f"{name!r} is no name of a class")
    _expect(symbols, "}")
    return ClassReference(name)


def _expect(symbols: list[str], closing: str) -> None:
    if not symbols or symbols.pop() != closing:
        raise PhraseBookError(f"{closing!r} is missing")
