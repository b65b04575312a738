"""A tool call in the making: which slots are filled, which is asked for, what a caller corrects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from local_stack.engines.llm import intents
from local_stack.engines.llm.schema import Kind, Slot, Tool
from local_stack.engines.llm.slots import fill
from local_stack.engines.llm.text import Utterance

_UNTYPED = frozenset({Kind.TEXT, Kind.PERSON, Kind.BOOLEAN, Kind.OBJECT, Kind.CHOICE})
"""Kinds that take almost any words when asked for: a correction must not land in them by accident."""


class Stage(Enum):
    """Where a form is."""

    FILLING = auto()
    CONFIRMING = auto()
    """Values were read back; a yes makes the call."""


@dataclass
class Form:
    """One tool and what is known for it."""

    tool: Tool
    values: dict[str, object] = field(default_factory=dict)
    """Slot name to value; the one given last comes last."""
    asked: Slot | None = None
    attempts: int = 0
    """How many answers in a row were not understood."""
    stage: Stage = Stage.FILLING

    def hear(self, utterance: Utterance, today: dt.date | None) -> set[str]:
        """Take what an utterance says for this form.

        Args:
            utterance: the caller's words.
            today: the current date if known.

        Returns:
            Names of the slots that were given or corrected, empty when nothing was understood.
        """
        correcting = bool(self.values) and intents.CORRECTION.search(utterance.text) is not None
        free_text = self.asked is not None and self.asked.kind is Kind.TEXT
        new: Mapping[str, object] = {}
        if correcting and free_text:
            new = fill(self.tool, utterance, today=today)
        new = new or fill(self.tool, utterance, asked=self.asked, today=today)
        if not new and correcting:
            new = self._corrected(utterance, today)
        for name, value in new.items():
            self.values.pop(name, None)
            self.values[name] = value
        return set(new)

    def _corrected(self, utterance: Utterance, today: dt.date | None) -> Mapping[str, object]:
        """A bare value after "actually" or "no" replaces the newest slot that can hold it."""
        for name in reversed(self.values):
            slot = self.tool.slot(name)
            if slot is None or slot.kind in _UNTYPED:
                continue
            found = fill(self.tool, utterance, asked=slot, today=today)
            if name in found:
                return found
        return {}

    def missing(self) -> Slot | None:
        """The first slot that still has to be asked for, in the schema's order."""
        for slot in self.tool.slots:
            if (
                slot.required
                and not slot.nullable
                and slot.kind is not Kind.OBJECT
                and slot.name not in self.values
            ):
                return slot
        return None

    def arguments(self) -> dict[str, object]:
        """Arguments for the call in the schema's order; required ones that were not given are null or empty."""
        arguments: dict[str, object] = {}
        for slot in self.tool.slots:
            if slot.name in self.values:
                arguments[slot.name] = self.values[slot.name]
            elif slot.required:
                arguments[slot.name] = None if slot.nullable else {}
        return arguments


def control_arguments(tool: Tool, utterance: Utterance) -> dict[str, object]:
    """Arguments for hanging up or transferring: nobody is asked, so what is missing gets a plain value."""
    form = Form(tool, fill(tool, utterance))
    for slot in tool.slots:
        if slot.name in form.values or not slot.required or slot.nullable:
            continue
        by_kind: dict[Kind, object] = {
            Kind.BOOLEAN: False,
            Kind.INTEGER: 0,
            Kind.NUMBER: 0,
            Kind.OBJECT: {},
            Kind.CHOICE: next(iter(slot.options), ""),
        }
        value = by_kind.get(slot.kind, utterance.raw)
        form.values[slot.name] = [value] if slot.many else value
    return form.arguments()
