"""What the supervisor is asked to run: one process each, and what is known of it once it is up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class HealthCheck:
    """How a running part is asked whether it is well: `GET http://127.0.0.1:<its port><path>` answers 200."""

    path: str = "/healthz"
    """Path of the request."""
    every_s: float = 3.0
    """Pause between two checks, seconds."""
    timeout_s: float = 5.0
    """Time that one answer may take, seconds."""
    failures: int = 3
    """Checks in a row that must fail before the part counts as ill: a busy laptop answers late at times."""


@dataclass(frozen=True)
class RunningPart:
    """A part that said it is ready."""

    name: str
    """Its name."""
    pid: int
    """Process id of the program itself."""
    port: int
    """TCP port on 127.0.0.1; 0 when it names none."""
    ready: Mapping[str, object]
    """Everything its ready line said, for example the broker's `bootstrap`."""
    log: Path
    """What it prints goes here."""
    health_path: str
    """Where it answers 200 while it is well; "" for a part that speaks no HTTP."""


RunningParts = Mapping[str, RunningPart]
"""Parts that are up, by name."""


def no_wiring(_: RunningParts) -> Mapping[str, str]:
    """The default of `ProcessSpec.env_from`: nothing to learn from other parts."""
    return {}


@dataclass(frozen=True)
class ProcessSpec:
    """One process to start and watch."""

    name: str
    """Unique short name; its log is `<name>.log`."""
    argv: tuple[str, ...]
    """Command line; nothing is passed through a shell."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables added to the supervisor's own."""
    env_from: Callable[[RunningParts], Mapping[str, str]] = no_wiring
    """Further variables, computed when `depends_on` are up: ports are known only then."""
    ready_timeout_s: float = 20.0
    """Time from start to ready, seconds."""
    health: HealthCheck | None = field(default_factory=HealthCheck)
    """None for a part that speaks no HTTP."""
    depends_on: frozenset[str] = frozenset()
    """Names of parts that must be ready before this one starts, and that stop after it."""
    announces: bool = True
    """Whether it prints `{"event":"ready",...}`. A foreign server is ready when `port` accepts instead."""
    port: int = 0
    """The port of a part that announces nothing."""
    grace_s: float = 5.0
    """Time from SIGTERM to SIGKILL, seconds."""
