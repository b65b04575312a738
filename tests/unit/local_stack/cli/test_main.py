"""The command line as a newcomer meets it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.cli.run_stack import command_line, environment, llm_target
from local_stack.output import show_unexpected
from local_stack.stack import StackOptions
from local_stack.wiring import LlmTarget
from shared.errors import StackError

REPOSITORY = Path(__file__).parents[4]
HEAVY = ("pydantic", "aiohttp", "livekit", "numpy", "confluent_kafka")


def parley(*arguments: str, cwd: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    program = code or "from local_stack.cli.main import run; run()"
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "COLUMNS": "120"}
    env.pop("PARLEY_HOME", None)
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_names_every_command_and_the_first_step(tmp_path: Path) -> None:
    done = parley("--help", cwd=tmp_path)
    assert done.returncode == 0
    for command in ("demo", "report", "doctor", "up", "call", "status", "down"):
        assert f" {command} " in done.stdout
    assert "New here? `parley demo`" in done.stdout


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = f"import sys, local_stack.cli.main\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    assert parley(cwd=tmp_path, code=code).stdout == "[]\n"


def test_status_without_a_stack_is_one_line_and_a_hint(tmp_path: Path) -> None:
    done = parley("status", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "error[stack_failed]: no local stack is running here\nhint: Start one with `parley up`.\n"
    )


def test_down_without_a_stack_is_no_error(tmp_path: Path) -> None:
    done = parley("down", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "No stack was running here.\n")


def test_a_wrong_option_is_explained_with_status_2(tmp_path: Path) -> None:
    done = parley("up", "--port", "99999", cwd=tmp_path)
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_an_unexpected_error_shows_no_traceback_and_says_where_it_is(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from local_stack.cli import main\n"
        "def boom(): raise KeyError('secret')\n"
        "main.app.command('boom')(boom)\n"
        "main.run()"
    )
    done = parley("boom", cwd=tmp_path, code=code)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error[internal]: something unexpected went wrong: KeyError",
        f"hint: The details are in {tmp_path}/.parley/logs/cli.log.",
    ]
    assert "KeyError: 'secret'" in (tmp_path / ".parley" / "logs" / "cli.log").read_text()


def test_an_interrupt_exits_with_130_and_no_traceback(tmp_path: Path) -> None:
    code = (
        "import signal, sys\n"
        "from local_stack.cli import main\n"
        # whoever runs the tests in the background may have SIGINT ignored, and children inherit that
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def wait():\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    signal.pause()\n"
        "main.app.command('wait')(wait)\n"
        "main.run()"
    )
    done = parley("wait", cwd=tmp_path, code=code)
    assert done.returncode == 128 + signal.SIGINT
    assert "Traceback" not in done.stderr


def test_a_log_folder_that_cannot_be_made_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").write_text("in the way")
    show_unexpected(ValueError("x"), tmp_path / "logs" / "deeper")
    assert "could not be written" in capsys.readouterr().err


def test_a_key_reaches_a_detached_stack_by_its_environment_and_never_by_its_command_line() -> None:
    options = StackOptions(llm=LlmTarget(url="http://127.0.0.1:11434/v1", key="s3cret", model="llama"))
    assert not any("s3cret" in word for word in command_line(options))
    assert environment(options)["PARLEY_LLM_KEY"] == "s3cret"


def test_a_language_model_needs_a_url_and_a_name() -> None:
    assert llm_target(url="", key="ignored", model="") is None
    target = llm_target(url="http://127.0.0.1:11434/v1/", key="", model="llama")
    assert target is not None
    assert (target.url, target.key) == ("http://127.0.0.1:11434/v1", "none")
    for url, model in (("http://x/v1", ""), ("", "llama"), ("ftp://x", "llama")):
        with pytest.raises(StackError, match="--llm-url"):
            llm_target(url=url, key="", model=model)
