from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from local_stack.livekit.part import API_KEY, extra_parts, server_spec
from local_stack.servers.build import LIVEKIT
from local_stack.state import StateDir
from local_stack.supervisor.spec import RunningPart
from local_stack.wiring import Wiring
from shared.errors import StackError

SECRET = "a room secret of at least thirty-two bytes"


@pytest.fixture
def wiring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wiring:
    monkeypatch.setenv("PARLEY_CACHE", str(tmp_path / "cache"))
    return Wiring(
        state=StateDir(tmp_path / "state"),
        media_secret="m" * 40,
        livekit_secret=SECRET,
        engine_key="local-key",
    )


@pytest.fixture
def built(wiring: Wiring) -> Wiring:
    """A machine on which livekit-server stands in the cache."""
    digest = hashlib.sha256(b"".join((LIVEKIT.module_dir / f).read_bytes() for f in ("go.mod", "go.sum")))
    LIVEKIT.binary.parent.mkdir(parents=True)
    LIVEKIT.binary.write_text("")
    LIVEKIT.binary.with_suffix(".sum").write_text(digest.hexdigest())
    return wiring


def test_a_server_that_is_not_built_is_told_of_before_anything_starts(wiring: Wiring) -> None:
    with pytest.raises(StackError, match="not built") as caught:
        extra_parts(wiring)
    assert "make servers" in caught.value.hint


def test_the_server_listens_on_loopback_alone_and_its_secret_is_on_no_command_line() -> None:
    spec = server_spec(SECRET)
    config = json.loads(spec.env["LIVEKIT_CONFIG"])
    assert config["bind_addresses"] == ["127.0.0.1"]
    assert config["rtc"]["node_ip"] == "127.0.0.1"
    assert not config["rtc"]["use_external_ip"]
    assert config["keys"] == {API_KEY: SECRET}
    assert SECRET not in " ".join(spec.argv)
    assert len({config["port"], config["rtc"]["tcp_port"]}) == 2
    assert spec.port == config["port"]


def test_the_worker_starts_after_the_agent_and_learns_where_the_server_is(built: Wiring) -> None:
    server, rooms = (part.spec for part in extra_parts(built))
    assert {"livekit", "agent", "broker", "stt", "tts", "llm"} <= rooms.depends_on
    ports = {name: 40_000 + n for n, name in enumerate(sorted(rooms.depends_on))}
    parts = {
        name: RunningPart(name, 1, port, {"bootstrap": "127.0.0.1:1"}, Path(f"{name}.log"), "/")
        for name, port in ports.items()
    }
    env = rooms.env_from(parts)
    assert env["PARLEY_LIVEKIT_URL"] == f"ws://127.0.0.1:{ports[server.name]}"
    assert env["PARLEY_LIVEKIT_API_SECRET"] == SECRET
    assert env["PARLEY_MEDIA_SECRET"] == built.media_secret
    assert env["PARLEY_KAFKA_BOOTSTRAP"] == "127.0.0.1:1"
    assert env["PARLEY_PORT"] == "0"
