"""Builds real servers from their public modules into the user's cache: once per version, with progress."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_stack.paths import cache_dir
from shared.errors import StackError

_HERE = Path(__file__).resolve().parent
_MINIMUM_GO = (1, 24)  # older toolchains can't read the `tool` directive that fetches the right one

Progress = Callable[[str], None]
"""Told one line about what is happening now."""


@dataclass(frozen=True)
class GoServer:
    """A server that is built from a Go module.

    The module file and its checksums stand in the repository, so that a build is the same everywhere.
    """

    name: str
    module_dir: Path
    package: str
    takes: str

    @property
    def binary(self) -> Path:
        """Where it ends up."""
        return cache_dir() / "servers" / self.name

    def up_to_date(self) -> bool:
        """Whether the binary in the cache was built from the checksums of this checkout."""
        stamp = self.binary.with_suffix(".sum")
        return self.binary.is_file() and stamp.is_file() and stamp.read_text("utf-8") == self._checksum()

    def build(self, progress: Progress) -> Path:
        """Build it if needed and return the binary.

        Args:
            progress: told what happens.

        Raises:
            StackError: Go is missing, or the build failed (its last lines are in the message).
        """
        if self.up_to_date():
            progress(f"{self.name} is already built: {self.binary}")
            return self.binary
        go = _find_go()
        progress(f"building {self.name} ({self.takes}) ...")
        self.binary.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="parley-build-") as scratch:
            for file in ("go.mod", "go.sum"):
                shutil.copy(self.module_dir / file, scratch)
            # built beside and moved: a broken-off build leaves nothing that looks finished
            fresh = Path(scratch) / self.name
            _run([go, "build", "-o", str(fresh), self.package], cwd=Path(scratch), progress=progress)
            staged = self.binary.with_suffix(f".{os.getpid()}")
            shutil.copy2(fresh, staged)
            staged.replace(self.binary)
        self.binary.with_suffix(".sum").write_text(self._checksum(), "utf-8")
        progress(f"built {self.binary}")
        return self.binary

    def _checksum(self) -> str:
        digest = hashlib.sha256()
        for file in ("go.mod", "go.sum"):
            digest.update((self.module_dir / file).read_bytes())
        return digest.hexdigest()


LIVEKIT = GoServer(
    name="livekit-server",
    module_dir=_HERE / "livekit",
    package="github.com/livekit/livekit-server/cmd/server",
    takes="about 2 minutes on 2 cores, once",
)
"""livekit-server 1.13.5: the newest whose module builds without replace directives (docs/adr/)."""

SERVERS = {"livekit": LIVEKIT}
"""What `parley servers NAME` can build."""


def _find_go() -> str:
    go = shutil.which("go")
    if go is None:
        raise StackError(
            "Go is not installed; livekit-server is built from its Go module",
            hint="install Go 1.24 or later (Debian: the tarball of the Go site; macOS: brew install go), then "
            "run `make servers SERVERS=livekit`. Everything else works without it.",
        )
    version = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    numbers = tuple(int(part) for part in version.strip().removeprefix("go").split(".")[:2] if part.isdigit())
    if numbers < _MINIMUM_GO:
        raise StackError(
            f"Go {version.strip()} is too old", hint="install Go 1.24 or later, then run `make servers`"
        )
    return go


def _run(command: list[str], *, cwd: Path, progress: Progress) -> None:
    """Run a build; show its lines as progress."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod -trimpath"}
    environment.pop("GONOSUMDB", None)
    tail: list[str] = []
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            text = line.strip()
            tail = [*tail[-4:], text]
            if text.startswith("go: downloading"):
                progress(text)
    if process.returncode != 0:
        raise StackError("the build failed: " + " | ".join(tail), hint="is the Go module proxy reachable?")
