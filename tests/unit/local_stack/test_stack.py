"""How the parts of the stack learn of each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agents.settings import AgentSettings
from local_stack.stack import EmbeddedStack, ExtraPart, StackOptions, extra, with_extras
from local_stack.state import StateDir
from local_stack.supervisor.spec import ProcessSpec, RunningPart, RunningParts
from local_stack.wiring import LlmTarget, Wiring
from shared.errors import AgentConfigError, StackError


def wiring(tmp_path: Path, llm: LlmTarget | None = None) -> Wiring:
    return Wiring(
        state=StateDir(tmp_path),
        media_secret="m" * 40,
        livekit_secret="r" * 40,
        engine_key="local-key",
        llm=llm,
    )


def parts(*names: str) -> RunningParts:
    found = {
        name: RunningPart(
            name=name,
            pid=1,
            port=5000 + at,
            ready={"port": 5000 + at},
            log=Path(name),
            health_path="/healthz",
        )
        for at, name in enumerate(names)
    }
    broker = RunningPart("broker", 1, 0, {"bootstrap": "127.0.0.1:9092"}, Path("broker"), "")
    return {**found, "broker": broker}


def agent_settings(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AgentSettings:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return AgentSettings()


def test_the_agent_process_accepts_what_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = dict(wiring(tmp_path).agent_env(parts("stt", "tts", "llm", "business")))
    settings = agent_settings(env, monkeypatch)
    urls = {name: endpoint.url for name, endpoint in settings.endpoints.items()}
    assert urls == {
        "deepgram-stt": "http://127.0.0.1:5000/v1/listen",
        "deepgram-flux": "ws://127.0.0.1:5000/v2/listen",
        "deepgram-tts": "http://127.0.0.1:5001/v1/speak",
        "elevenlabs": "http://127.0.0.1:5001/v1",
        "azure": "http://127.0.0.1:5001/cognitiveservices/v1",
        "openai": "http://127.0.0.1:5002/v1",
    }
    assert settings.kafka_bootstrap == "127.0.0.1:9092"
    assert settings.tool_placeholders == {"BUSINESS_URL": "http://127.0.0.1:5003"}
    assert settings.allow_loopback


def test_another_language_model_takes_the_rule_engines_place(tmp_path: Path) -> None:
    target = LlmTarget(url="http://127.0.0.1:11434/v1", key="k", model="llama")
    other = wiring(tmp_path, target)
    assert "llm" not in {spec.name for spec in other.specs()}
    endpoints = json.loads(other.agent_env(parts("stt", "tts", "business"))["PARLEY_ENDPOINTS"])
    assert endpoints["openai"] == {"url": "http://127.0.0.1:11434/v1", "key": "k"}


def test_secrets_do_not_stand_in_command_lines(tmp_path: Path) -> None:
    for spec in wiring(tmp_path).specs():
        assert not any("m" * 40 in word or "local-key" in word for word in spec.argv)


def test_the_agent_starts_after_all_others(tmp_path: Path) -> None:
    specs = wiring(tmp_path).specs()
    assert specs[-1].name == "agent"
    assert specs[-1].depends_on == {spec.name for spec in specs[:-1]}


def test_the_agent_learns_of_a_further_part_and_waits_for_it(tmp_path: Path) -> None:
    first = ExtraPart(
        ProcessSpec("livekit", ("livekit",)),
        lambda running: {"PARLEY_LIVEKIT_URL": f"ws://127.0.0.1:{running['livekit'].port}"},
    )
    after = ExtraPart(ProcessSpec("rooms", ("rooms",), depends_on=frozenset({"agent"})))
    specs = {spec.name: spec for spec in with_extras(wiring(tmp_path), [first, after])}
    assert "livekit" in specs["agent"].depends_on
    assert "rooms" not in specs["agent"].depends_on
    env = specs["agent"].env_from(parts("stt", "tts", "llm", "business", "livekit"))
    assert env["PARLEY_LIVEKIT_URL"] == "ws://127.0.0.1:5004"


def test_an_unknown_part_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no part 'kafka'") as caught:
        extra("kafka", wiring(tmp_path))
    assert "livekit" in caught.value.hint


async def test_a_malformed_agent_is_told_of_before_anything_starts(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "agent.toml").write_text("name = 3\n")
    state = StateDir(tmp_path / ".parley")
    with pytest.raises(AgentConfigError):
        await EmbeddedStack(state, StackOptions(agents=folder)).start()
    assert list(state.logs.iterdir()) == []
