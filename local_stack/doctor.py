"""What this machine has of the parts that Parley can use, and what each missing one would add."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from local_stack.paths import REPOSITORY, chromium_executable, livekit_server_binary

_PYTHON_FROM, _PYTHON_TO = (3, 11), (3, 13)
_VERSION_TIMEOUT_S = 10.0
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
_NUMBER = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True)
class Part:
    """One row of the doctor's table."""

    name: str
    """What it is."""
    found: str
    """Version or place; "" when it is missing."""
    adds: str
    """What it is good for."""
    get: str
    """How to get it, for this system."""
    needed: bool = False
    """Whether the demo (embedded mode) needs it."""

    @property
    def blocks(self) -> bool:
        """Whether the demo can't run for want of it."""
        return self.needed and not self.found


class Machine(Protocol):
    """What the doctor looks at."""

    def python(self) -> tuple[int, int, int]:
        """Version of the running Python."""
        ...

    def is_macos(self) -> bool:
        """Whether commands to install things are brew's."""
        ...

    def missing_packages(self) -> Sequence[str]:
        """Pip packages of the demo that are not installed."""
        ...

    def program(self, name: str, version_option: str) -> str:
        """Version (or path) of a program; "" without it."""
        ...

    def library(self, name: str) -> str:
        """File of a shared library; "" without it."""
        ...

    def file(self, path: Path | None) -> str:
        """The path as text; "" when there is no such file."""
        ...

    def package(self, name: str) -> str:
        """Version of an installed pip package; "" without it."""
        ...

    def can_listen(self) -> bool:
        """Whether a port of 127.0.0.1 can be had."""
        ...


def examine(machine: Machine) -> list[Part]:
    """Look at every part, needed ones first."""
    return [*_needed(machine), *_optional(machine)]


def _needed(machine: Machine) -> list[Part]:
    version = machine.python()
    missing = list(machine.missing_packages())
    suits = _PYTHON_FROM <= version[:2] <= _PYTHON_TO
    get = _how(machine, apt="python3 python3-venv", brew="python@3.13")
    return [
        Part(
            "Python 3.11 to 3.13",
            ".".join(map(str, version)) if suits else "",
            "runs everything",
            get,
            needed=True,
        ),
        Part(
            "pip packages",
            "" if missing else "all installed",
            f"needed; missing: {', '.join(missing)}" if missing else "speech, events, the agent itself",
            "make setup",
            needed=True,
        ),
        Part(
            "espeak-ng (pip wheel)",
            machine.package("espeakng-loader"),
            "voices of callers, and of agents where flite is missing",
            "make setup",
            needed=True,
        ),
        Part(
            "ports of 127.0.0.1",
            "can be opened" if machine.can_listen() else "",
            "parts talk to each other over loopback",
            "allow programs to listen on 127.0.0.1",
            needed=True,
        ),
    ]


def _optional(machine: Machine) -> list[Part]:
    return [
        Part(
            "flite",
            machine.library("flite"),
            "clearer voices for agents",
            "not in Homebrew; espeak-ng speaks instead"
            if machine.is_macos()
            else _how(machine, apt="libflite1"),
        ),
        Part(
            "redis-server",
            machine.program("redis-server", "--version"),
            "tests of the Redis adapter on the real thing",
            _how(machine, apt="redis-server", brew="redis"),
        ),
        Part(
            "Go",
            machine.program("go", "version"),
            "builds livekit-server",
            "tarball of go.dev, 1.24 or later" if not machine.is_macos() else "brew install go",
        ),
        Part(
            "livekit-server",
            machine.file(livekit_server_binary()),
            "calls through LiveKit rooms (--with livekit, --media livekit)",
            'make servers SERVERS="livekit"',
        ),
        Part(
            "Java",
            machine.program("java", "-version"),
            "nothing yet; Apache Kafka and DynamoDB Local come later",
            _how(machine, apt="openjdk-17-jre-headless", brew="openjdk@17"),
        ),
        Part(
            "Maven",
            machine.program("mvn", "--version"),
            "nothing yet; fetches Kafka and DynamoDB Local later",
            _how(machine, apt="maven", brew="maven"),
        ),
        Part(
            "Chromium",
            machine.file(chromium_executable()),
            "tests with a real browser",
            _how(machine, apt="chromium", brew="--cask google-chrome"),
        ),
    ]


def _how(machine: Machine, *, apt: str, brew: str = "") -> str:
    return f"brew install {brew}" if machine.is_macos() and brew else f"sudo apt-get install {apt}"


class ThisMachine:
    """The machine the doctor runs on. Every look takes at most some seconds and raises nothing."""

    def python(self) -> tuple[int, int, int]:
        """Version of the running Python."""
        return sys.version_info[0], sys.version_info[1], sys.version_info[2]

    def is_macos(self) -> bool:
        """Whether this is macOS."""
        return platform.system() == "Darwin"

    def missing_packages(self) -> Sequence[str]:
        """What requirements/demo.in names and pip has not installed."""
        return [name for name in _demo_packages(REPOSITORY) if not self.package(name)]

    def program(self, name: str, version_option: str) -> str:
        """First version number that the program prints, or its path."""
        path = shutil.which(name)
        if path is None:
            return ""
        return _quietly(lambda: _printed_version([path, version_option])) or path

    def library(self, name: str) -> str:
        """The library's file name."""
        return _quietly(lambda: ctypes.util.find_library(name) or "")

    def file(self, path: Path | None) -> str:
        """The path, if it is a file."""
        return str(path) if path is not None and path.is_file() else ""

    def package(self, name: str) -> str:
        """The package's version."""
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return ""

    def can_listen(self) -> bool:
        """Tries it with a free port."""
        try:
            with socket.create_server(("127.0.0.1", 0)):
                return True
        except OSError:
            return False


def _demo_packages(repository: Path) -> list[str]:
    file = repository / "requirements" / "demo.in"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []  # installed without the repository: pip has seen to its packages
    return [found[0] for line in lines if (found := _NAME.match(line.strip()))]


def _printed_version(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=False)
    found = _NUMBER.search(done.stdout + done.stderr)
    return found[0] if found else ""


def _quietly(look: Callable[[], str]) -> str:
    try:
        return look()
    except (OSError, subprocess.SubprocessError):
        return ""
