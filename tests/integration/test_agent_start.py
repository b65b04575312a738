"""The agent's process says in one line why it does not start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.agent_process import agent_env

STARTS_WITHIN_S = 60.0
LIVEKIT = {
    "PARLEY_LIVEKIT_URL": "ws://127.0.0.1:9",
    "PARLEY_LIVEKIT_API_KEY": "key",
    "PARLEY_LIVEKIT_API_SECRET": "secret-of-32-characters-at-least",
}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return agent_env(tmp_path, "http://127.0.0.1:9", "127.0.0.1:9")


def start(*arguments: str, env: Mapping[str, str]) -> tuple[int, str]:
    """Exit status and the last line of standard error; the only one that is no record of the log."""
    others = {
        name: value for name, value in os.environ.items() if not name.startswith(("PARLEY_", "LIVEKIT_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "edge_agents.main", *arguments],
        env={**others, **env},
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN_S,
        check=False,
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (complaint,) = (line for line in done.stderr.splitlines() if not line.startswith("{"))
    return done.returncode, complaint


@pytest.mark.parametrize("arguments", [["room"], ["rooms", "now"]])
def test_arguments_that_do_not_exist_are_refused(arguments: list[str], env: dict[str, str]) -> None:
    status, complaint = start(*arguments, env=env)

    assert status == 2
    assert complaint.startswith("error[invalid_usage]: unknown arguments: ")
    assert "`rooms`" in complaint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARLEY_ENDPOINTS", "notjson"),
        ("PARLEY_TOOL_PLACEHOLDERS", "{"),
        ("PARLEY_PORT", "http"),
        ("PARLEY_LOG_LEVEL", "BOGUS"),
    ],
)
def test_a_malformed_setting_is_named_and_its_value_is_not_shown(
    name: str, value: str, env: dict[str, str]
) -> None:
    status, complaint = start(env={**env, name: value})

    assert status == 2
    assert complaint.startswith(f"error[invalid_settings]: missing or malformed: {name}. ")
    assert "notjson" not in complaint


def test_missing_settings_are_all_named() -> None:
    status, complaint = start(env={})

    assert status == 2
    assert {"PARLEY_ENDPOINTS", "PARLEY_MEDIA_SECRET"} <= set(complaint.replace(",", " ").split())


@pytest.mark.parametrize("missing", [list(LIVEKIT), list(LIVEKIT)[:1]])
def test_rooms_without_a_livekit_server_are_refused(missing: list[str], env: dict[str, str]) -> None:
    given = {name: value for name, value in LIVEKIT.items() if name not in missing}

    status, complaint = start("rooms", env=env | given)

    assert status == 2
    assert complaint.startswith(f"error[invalid_settings]: missing: {', '.join(missing)}. ")


@pytest.mark.parametrize("url", ["ws://[bad", "ws://", "ws://h:99999", "ftp://h"])
def test_a_livekit_server_that_can_not_be_an_address_is_refused(url: str, env: dict[str, str]) -> None:
    status, complaint = start("rooms", env={**env, **LIVEKIT, "PARLEY_LIVEKIT_URL": url})

    assert status == 2
    assert complaint.startswith("error[invalid_settings]: malformed: PARLEY_LIVEKIT_URL. ")


def test_a_folder_of_phrases_that_is_none_is_named(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "file").touch()

    status, complaint = start(env={**env, "PARLEY_PHRASE_DIR": str(tmp_path / "file" / "phrases")})

    assert status == 2
    assert complaint.startswith("error[invalid_settings]: PARLEY_PHRASE_DIR can't be used: not a directory. ")


@pytest.mark.parametrize("mode", [[], ["rooms"]])
def test_a_host_that_is_no_name_is_named(mode: list[str], env: dict[str, str]) -> None:
    status, complaint = start(*mode, env={**env, **LIVEKIT, "PARLEY_HOST": "a..b"})

    assert status == 1
    assert complaint.startswith("error[listen_failed]: can't listen on a..b:")


@pytest.mark.parametrize("mode", [[], ["rooms"]])
def test_a_port_that_is_taken_is_named_with_what_to_do(mode: list[str], env: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        status, complaint = start(*mode, env={**env, **LIVEKIT, "PARLEY_PORT": str(port)})

    assert status == 1
    assert complaint.startswith(
        f"error[listen_failed]: can't listen on 127.0.0.1:{port}: address already in use. "
    )
    assert "PARLEY_PORT" in complaint


def test_an_address_of_another_machine_is_named(env: dict[str, str]) -> None:
    status, complaint = start(env={**env, "PARLEY_HOST": "192.0.2.1"})

    assert status == 1
    assert complaint.startswith("error[listen_failed]: can't listen on 192.0.2.1:")
    assert "PARLEY_HOST" in complaint
