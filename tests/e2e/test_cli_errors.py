"""What goes wrong at the command line is one line with a code, and says what to do; never a traceback."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli


def _wav(path: Path, samples: bytes, *, rate: int = 16_000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return path


def _assert_plain_error(done: object, code: str) -> None:
    text = f"{done.stdout}{done.stderr}"  # type: ignore[attr-defined]
    assert done.returncode == 1, text  # type: ignore[attr-defined]
    assert f"error[{code}]" in text
    assert "Traceback" not in text


def test_an_empty_wav_is_refused_before_anything_starts(cli: Cli) -> None:
    empty = _wav(cli.folder / "empty.wav", b"")

    done = cli.run("call", "--tenant", "rooms", "--wav", str(empty), timeout_s=30)

    _assert_plain_error(done, "invalid_audio")


def test_a_file_that_is_no_wav_is_refused(cli: Cli) -> None:
    text = cli.folder / "notes.wav"
    text.write_text("this is not audio")

    done = cli.run("call", "--tenant", "rooms", "--wav", str(text), timeout_s=30)

    _assert_plain_error(done, "invalid_audio")


def test_a_missing_file_is_refused(cli: Cli) -> None:
    done = cli.run("call", "--tenant", "rooms", "--wav", "nowhere.wav", timeout_s=30)

    _assert_plain_error(done, "invalid_audio")


def test_an_unknown_tenant_is_told_which_there_are(cli: Cli) -> None:
    tone = struct.pack("<h", 3000) * 16_000
    wav = _wav(cli.folder / "tone.wav", tone)

    done = cli.run("call", "--tenant", "nobody", "--wav", str(wav))

    _assert_plain_error(done, "unknown_tenant")
    assert "dental" in done.stdout + done.stderr


@pytest.mark.parametrize("command", [["status"], ["down"]])
def test_without_a_running_stack_a_command_says_so(cli: Cli, command: list[str]) -> None:
    done = cli.run(*command, timeout_s=30)

    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode in {0, 1}


def test_a_report_of_an_empty_folder_says_how_to_make_one(cli: Cli) -> None:
    done = cli.run("report", str(cli.folder), timeout_s=30)

    _assert_plain_error(done, "stack_failed")
    assert "parley demo" in done.stderr + done.stdout
