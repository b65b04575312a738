"""Files with callers' words are for the user alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from local_stack.callers.timeline import CallTimeline
from local_stack.output import show_unexpected
from local_stack.private_files import make_private_folder, open_private, write_private
from tests.unit.local_stack.reporting.made_up_call import booking


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_private_whatever_the_umask_says(tmp_path: Path) -> None:
    write_private(tmp_path / "a.txt", "grüezi")
    assert (mode(tmp_path / "a.txt"), (tmp_path / "a.txt").read_text("utf-8")) == (0o600, "grüezi")


def test_a_file_that_everybody_could_read_becomes_private(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("long ago")
    write_private(path, "now")
    with open_private(path, "ab") as file:
        file.write(b", and then")
    assert (mode(path), path.read_text()) == (0o600, "now, and then")


def test_a_new_folder_is_private_and_one_of_the_user_s_own_is_left_alone(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "out" / "call_1")
    (tmp_path / "mine").mkdir(mode=0o755)
    make_private_folder(tmp_path / "mine")
    assert (mode(tmp_path / "out" / "call_1"), mode(tmp_path / "mine")) == (0o700, 0o755)


def test_what_a_call_leaves_behind_is_private(tmp_path: Path) -> None:
    booking().report().write(tmp_path / "call.json")
    timeline = CallTimeline()
    timeline.begin(0.0)
    timeline.spoke(np.ones(1600, np.int16))
    timeline.advance(0.1)
    timeline.write_recording(tmp_path / "recording.wav")
    show_unexpected(ValueError("what was said"), tmp_path / "logs")

    assert {path.name: oct(mode(path)) for path in sorted(tmp_path.iterdir())} == {
        "call.json": "0o600",
        "logs": "0o700",
        "recording.wav": "0o600",
    }
    assert mode(tmp_path / "logs" / "cli.log") == 0o600
