"""Decide what to start and stop next, without doing it.

    part:   waiting -> starting -> ready -> stopping -> stopped        (any of them -> stopped when it exits)
    stack:  starting -> running -> stopping -> finished

A part starts when everything it depends on is ready, and is told to stop when everything that depends on it
has stopped. The first part that fails takes the whole stack down: half a stack answers calls with silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter

from local_stack.supervisor.spec import ProcessSpec
from shared.errors import StackError


class PartState(StrEnum):
    """Where one part is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"


class FailureKind(StrEnum):
    """What brought the stack down."""

    ENDED_EARLY = "ended_early"
    """Exited before it was ready."""
    NOT_READY = "not_ready"
    """Said nothing before its deadline."""
    ENDED = "ended"
    """Exited while it was in use."""
    ILL = "ill"
    """Stopped answering health checks."""


@dataclass(frozen=True)
class Failure:
    """The part that failed first, and how."""

    name: str
    kind: FailureKind
    status: int | None = None
    """Exit status, where it exited (128 + n: killed by signal n)."""


@dataclass(frozen=True)
class Begin:
    """Start the stack."""


@dataclass(frozen=True)
class PartReady:
    """A part can be used."""

    name: str


@dataclass(frozen=True)
class PartExited:
    """A part's process is gone."""

    name: str
    status: int


@dataclass(frozen=True)
class ReadyTimedOut:
    """A part was not ready in time."""

    name: str


@dataclass(frozen=True)
class HealthLost:
    """A part failed its health checks."""

    name: str


@dataclass(frozen=True)
class StopRequested:
    """Somebody wants the stack stopped."""


Event = Begin | PartReady | PartExited | ReadyTimedOut | HealthLost | StopRequested


@dataclass(frozen=True)
class StartPart:
    """Start the process."""

    name: str


@dataclass(frozen=True)
class StopPart:
    """SIGTERM, grace, SIGKILL."""

    name: str


@dataclass(frozen=True)
class AllReady:
    """Every part can be used."""


@dataclass(frozen=True)
class Finished:
    """Every part is gone."""

    failure: Failure | None


Command = StartPart | StopPart | AllReady | Finished


class StackMachine:
    """The stack's state. Feed it what happened with `on`; do what it returns, in order.

    Args:
        specs: the parts.

    Raises:
        StackError: two parts share a name, a dependency is unknown, or dependencies form a circle.
    """

    def __init__(self, specs: Sequence[ProcessSpec]) -> None:
        self._needs = {spec.name: spec.depends_on for spec in specs}
        if len(self._needs) != len(specs):
            raise StackError("two parts of the stack have the same name")
        unknown = frozenset[str]().union(*self._needs.values()) - self._needs.keys()
        if unknown:
            raise StackError("a part depends on parts that are not there", parts=tuple(sorted(unknown)))
        try:
            self._order = tuple(TopologicalSorter(self._needs).static_order())
        except CycleError:
            raise StackError("parts of the stack depend on each other in a circle") from None
        self._states = dict.fromkeys(self._order, PartState.WAITING)
        self._stopping = False
        self._announced = False
        self._finished = False
        self.failure: Failure | None = None

    @property
    def states(self) -> dict[str, PartState]:
        """State of every part, in starting order (a copy)."""
        return dict(self._states)

    def on(self, event: Event) -> list[Command]:
        """Take in what happened.

        Returns:
            Commands to carry out now. `Finished` comes exactly once and last.
        """
        match event:
            case Begin():
                pass
            case PartReady(name):
                if self._states[name] is PartState.STARTING:
                    self._states[name] = PartState.READY
            case PartExited(name, status):
                self._exited(name, status)
            case ReadyTimedOut(name):
                if self._states[name] is PartState.STARTING:
                    self._fail(Failure(name, FailureKind.NOT_READY))
            case HealthLost(name):
                if self._states[name] is PartState.READY:
                    self._fail(Failure(name, FailureKind.ILL))
            case StopRequested():
                self._stopping = True
        return self._stop_next() if self._stopping else self._start_next()

    def _exited(self, name: str, status: int) -> None:
        before, self._states[name] = self._states[name], PartState.STOPPED
        if before is PartState.STARTING:
            self._fail(Failure(name, FailureKind.ENDED_EARLY, status))
        elif before is PartState.READY:
            self._fail(Failure(name, FailureKind.ENDED, status))

    def _fail(self, failure: Failure) -> None:
        # Once stopping, parts end because we asked, or because what they depend on went: no news.
        if not self._stopping:
            self.failure = failure
            self._stopping = True

    def _start_next(self) -> list[Command]:
        commands: list[Command] = []
        for name in self._order:
            ready = all(self._states[need] is PartState.READY for need in self._needs[name])
            if ready and self._states[name] is PartState.WAITING:
                self._states[name] = PartState.STARTING
                commands.append(StartPart(name))
        if not self._announced and all(state is PartState.READY for state in self._states.values()):
            self._announced = True
            commands.append(AllReady())
        return commands

    def _stop_next(self) -> list[Command]:
        commands: list[Command] = []
        for name in reversed(self._order):
            if self._states[name] is PartState.WAITING:
                self._states[name] = PartState.STOPPED
            in_use = any(
                name in needs and self._states[other] is not PartState.STOPPED
                for other, needs in self._needs.items()
            )
            if not in_use and self._states[name] in (PartState.STARTING, PartState.READY):
                self._states[name] = PartState.STOPPING
                commands.append(StopPart(name))
        if not self._finished and all(state is PartState.STOPPED for state in self._states.values()):
            self._finished = True
            commands.append(Finished(self.failure))
        return commands
