"""`make setup` on machines that lack something: one line that says what to install, and nothing half made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "setup.sh"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder that stands for PATH: the few programs that the script needs, and no Python."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "uname", "cmp", "rm", "cp"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    return programs


def _program(machine: Path, name: str, text: str) -> None:
    path = machine / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _set_up(machine: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(machine / "sh"), str(SCRIPT), "demo"],
        cwd=machine.parent,
        env={"PATH": str(machine), **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _assert_one_line(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("make setup: ")
    assert words in line


def test_without_any_python_it_names_the_package(machine: Path) -> None:
    _assert_one_line(_set_up(machine), "sudo apt-get install python3 python3-venv")
    assert not (machine.parent / ".venv").exists()


def test_a_python_without_venv_is_told_apart_from_none(machine: Path) -> None:
    _program(machine, "python3", 'case "$*" in *ensurepip*) exit 1 ;; *) exit 0 ;; esac')
    _assert_one_line(_set_up(machine), "python3 has no venv module")


def test_a_chosen_interpreter_of_another_version_is_refused(machine: Path) -> None:
    _program(machine, "python2", "exit 1")
    _assert_one_line(_set_up(machine, PYTHON="python2"), "PYTHON=python2 is not Python 3.11, 3.12 or 3.13")


def test_another_platform_is_said_to_be_unsupported(machine: Path) -> None:
    _program(machine, "uname", "echo FreeBSD")
    _assert_one_line(_set_up(machine), "runs on Linux and macOS")


def test_an_environment_that_was_left_half_made_is_made_anew(machine: Path) -> None:
    half = machine.parent / ".venv" / "bin"
    half.mkdir(parents=True)
    _program(half, "python", 'case "$*" in *"import pip"*) exit 1 ;; *) exit 0 ;; esac')
    _assert_one_line(_set_up(machine), "no Python 3.11, 3.12 or 3.13 found")
    assert not (machine.parent / ".venv").exists()
