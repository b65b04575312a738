"""What was published of a call, as a test asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from shared.contracts.calls import CallEnded, CallRefused
from shared.contracts.event import Event
from shared.contracts.sealed import Sealed, SealedPlace
from shared.contracts.turns import TurnCompleted
from shared.contracts.usage import UsageRecord

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Books:
    """What was published of one call."""

    events: tuple[Event, ...]
    unseal: Callable[[Sealed, SealedPlace], str]

    def of(self, event_type: type[E]) -> list[E]:
        """The events of one class, in order."""
        return [event for event in self.events if isinstance(event, event_type)]

    def one(self, event_type: type[E]) -> E:
        """The only event of that class."""
        (event,) = self.of(event_type)
        return event

    @property
    def conversation(self) -> list[tuple[str, str]]:
        """(caller, agent) of each turn, in words."""
        return [
            (
                self._open(turn.pii.caller_text, turn.place("pii.caller_text")),
                self._open(turn.pii.agent_text, turn.place("pii.agent_text")),
            )
            for turn in self.of(TurnCompleted)
        ]

    @property
    def spoken(self) -> str:
        """Everything the agent said."""
        return " ".join(agent for _, agent in self.conversation)

    @property
    def error_codes(self) -> set[str]:
        """Failures met in any turn."""
        return {code for turn in self.of(TurnCompleted) for code in turn.error_codes}

    @property
    def closed(self) -> bool:
        """Whether the last word has been written about the call."""
        return bool(self.of(CallRefused) or (self.of(CallEnded) and self.of(UsageRecord)))

    def _open(self, sealed: Sealed | None, place: SealedPlace) -> str:
        return "" if sealed is None else self.unseal(sealed, place)
