"""What a running local stack leaves on disk, so that other commands find it: `.parley/state.json` and its folder."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import AwareDatetime, SecretStr, ValidationError, field_serializer

from shared.domain.model import FrozenModel
from shared.errors import StackError

_START_TOLERANCE_S = 2.0
"""A process's start time is computed from the clock and may move a little with it; a reused id is older or
younger by far more."""


class ProcessMark(FrozenModel):
    """One process, told apart from a later one with the same id."""

    pid: int
    """Process id."""
    started_s: float
    """When it started, seconds since 1970."""

    @classmethod
    def of(cls, pid: int) -> ProcessMark:
        """Mark a running process.

        Raises:
            StackError: there is none with this id.
        """
        try:
            return cls(pid=pid, started_s=psutil.Process(pid).create_time())
        except psutil.Error:
            raise StackError(f"there is no process {pid}") from None

    def is_running(self) -> bool:
        """Whether this very process still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_s) <= _START_TOLERANCE_S
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


class PartRecord(FrozenModel):
    """One part of a running stack."""

    pid: int
    """Its process."""
    port: int
    """Its port on 127.0.0.1; 0 for none."""
    log: Path
    """Its log."""
    health_path: str
    """Where it answers 200 while it is well; "" for a part that speaks no HTTP."""


class RunningStack(FrozenModel):
    """All that a command needs to use a stack that runs. Holds secrets: kept in a file of mode 0600."""

    supervisor: ProcessMark
    """Who runs the parts."""
    started_at: AwareDatetime
    """When it was ready."""
    parts: Mapping[str, PartRecord]
    """The parts, in starting order."""
    kafka_bootstrap: str
    """host:port of the brokers."""
    media_secret: SecretStr
    """Signs media tokens."""
    livekit_secret: SecretStr
    """Signs room tokens."""
    engine_key: SecretStr
    """The key that local engines are called with."""
    sealing_key_file: Path
    """Key of personal data."""
    agents_dir: Path
    """Published agents, as the agent process reads them."""
    business_url: str
    """Value of ${BUSINESS_URL} in agent files."""
    llm: str
    """Where replies come from, in words (no key)."""

    @field_serializer("media_secret", "livekit_secret", "engine_key", when_used="json")
    def _keep(self, secret: SecretStr) -> str:
        return secret.get_secret_value()

    def url(self, part: str, path: str = "", *, scheme: str = "http") -> str:
        """Address of a part.

        Raises:
            StackError: this stack has no such part.
        """
        if part not in self.parts:
            raise StackError(f"the running stack has no part {part!r}", hint="Start it with that part.")
        return f"{scheme}://127.0.0.1:{self.parts[part].port}{path}"


@dataclass(frozen=True)
class StateDir:
    """The folder of one stack."""

    path: Path
    """Absolute; need not exist (paths.state_dir() is the usual one)."""

    @property
    def logs(self) -> Path:
        """Folder of all logs."""
        return self.path / "logs"

    @property
    def agents(self) -> Path:
        """Folder of published agents."""
        return self.path / "agents"

    @property
    def spill(self) -> Path:
        """Folder of events that could not be sent."""
        return self.path / "spill"

    @property
    def phrases(self) -> Path:
        """Folder of kept phrase audio."""
        return self.path / "phrases"

    @property
    def sealing_key(self) -> Path:
        """File of the local sealing key."""
        return self.path / "sealing.key"

    @property
    def _state_file(self) -> Path:
        return self.path / "state.json"

    def prepare(self) -> None:
        """Make the folder and its sub-folders, readable by the user only.

        Raises:
            StackError: it can't be made.
        """
        try:
            for folder in (self.path, self.logs, self.agents, self.spill, self.phrases):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StackError(
                f"can't make the folder {self.path}: {error.strerror}",
                hint="Set PARLEY_HOME to a folder that you may write to.",
            ) from error

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Hold the folder for one stack; the system lets go of it when the process dies, however it dies.

        Raises:
            StackError: another stack runs here.
        """
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StackError(
                    f"a stack runs already in {self.path}",
                    hint="`parley down` stops it; another PARLEY_HOME lets a second one run beside it.",
                ) from None
            yield

    def save(self, stack: RunningStack) -> None:
        """Write the state file (0600), whole or not at all."""
        draft = self._state_file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(stack.model_dump(mode="json"), file, indent=2)
        draft.replace(self._state_file)

    def load(self) -> RunningStack | None:
        """The stack that runs here; None when none does.

        What a dead supervisor left behind is removed: its parts ended with it.
        """
        try:
            stack = RunningStack.model_validate_json(self._state_file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            self.clear()
            return None
        if not stack.supervisor.is_running():
            self.clear()
            return None
        return stack

    def require(self) -> RunningStack:
        """The stack that runs here.

        Raises:
            StackError: none does.
        """
        stack = self.load()
        if stack is None:
            raise StackError("no local stack is running here", hint="Start one with `parley up`.")
        return stack

    def clear(self) -> None:
        """Forget the stack; logs, spilled events and keys stay."""
        self._state_file.unlink(missing_ok=True)
