"""The command line as a user meets it: a real process in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest


@dataclass(frozen=True)
class Cli:
    """Runs `parley` in a scratch folder."""

    folder: Path

    def run(
        self, *arguments: str, timeout_s: float = 240, through: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command and return what it printed.

        Args:
            arguments: after `parley`.
            timeout_s: bound of the whole command.
            through: a program that runs it, in front of the command.
        """
        command = [*through, sys.executable, "-m", "local_stack.cli.main", *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PARLEY_HOME": str(self.folder / ".parley"), "COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def processes_left(self) -> list[str]:
        """Command lines of processes that still use the scratch folder."""
        return [
            " ".join(process.info["cmdline"] or [])
            for process in psutil.process_iter(["cmdline", "cwd"])
            if str(self.folder) in str(process.info["cwd"] or "") and process.pid != os.getpid()
        ]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A fresh folder for each test."""
    return Cli(tmp_path)
