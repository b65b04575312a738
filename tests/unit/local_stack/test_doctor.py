"""The doctor says what is missing, what it would add, and how to get it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from local_stack.cli.show_doctor import show_doctor
from local_stack.doctor import ThisMachine, examine


@dataclass
class FakeMachine:
    """A machine with nothing but what is said."""

    version: tuple[int, int, int] = (3, 12, 4)
    macos: bool = False
    lacks: tuple[str, ...] = ()
    espeak: str = "0.2.4"
    has: tuple[str, ...] = ()
    listens: bool = True

    def python(self) -> tuple[int, int, int]:
        return self.version

    def is_macos(self) -> bool:
        return self.macos

    def missing_packages(self) -> Sequence[str]:
        return self.lacks

    def program(self, name: str, version_option: str) -> str:
        return "1.2" if name in self.has else ""

    def library(self, name: str) -> str:
        return f"lib{name}.so.1" if name in self.has else ""

    def file(self, path: Path | None) -> str:
        return str(path) if path is not None and path.name in self.has else ""

    def package(self, name: str) -> str:
        return self.espeak

    def can_listen(self) -> bool:
        return self.listens


def seen(machine: FakeMachine) -> tuple[bool, str]:
    screen = io.StringIO()
    works = show_doctor(machine, Console(file=screen, width=200, highlight=False))
    return works, screen.getvalue()


def test_a_bare_machine_can_run_the_demo() -> None:
    works, text = seen(FakeMachine())
    assert works
    assert "`parley demo` works here" in text
    assert "sudo apt-get install libflite1" in text
    assert "calls through LiveKit rooms" in text


@pytest.mark.parametrize(
    ("machine", "missing"),
    [
        (FakeMachine(version=(3, 10, 2)), "Python 3.11 to 3.13"),
        (FakeMachine(version=(3, 14, 0)), "Python 3.11 to 3.13"),
        (FakeMachine(lacks=("soxr", "rich")), "pip packages"),
        (FakeMachine(espeak=""), "espeak-ng (pip wheel)"),
        (FakeMachine(listens=False), "ports of 127.0.0.1"),
    ],
)
def test_what_the_demo_needs_is_named_when_it_is_missing(machine: FakeMachine, missing: str) -> None:
    works, text = seen(machine)
    assert not works
    assert f"Missing: {missing}." in text


def test_missing_packages_are_listed() -> None:
    assert "missing: soxr, rich" in seen(FakeMachine(lacks=("soxr", "rich")))[1]


def test_what_is_here_needs_no_command() -> None:
    rows = {part.name: part for part in examine(FakeMachine(has=("redis-server", "flite")))}
    assert rows["redis-server"].found == "1.2"
    assert rows["flite"].found == "libflite.so.1"
    assert rows["Java"].found == ""


def test_a_mac_is_told_brew_commands() -> None:
    rows = {part.name: part.get for part in examine(FakeMachine(macos=True))}
    assert rows["redis-server"] == "brew install redis"
    assert not any("apt-get" in get for get in rows.values())


def test_this_machine_can_be_examined() -> None:
    parts = examine(ThisMachine())
    assert not [part.name for part in parts if part.blocks]
