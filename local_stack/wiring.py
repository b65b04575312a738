"""Which processes make up the embedded stack, and how each learns where the others are."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from local_stack.state import StateDir
from local_stack.supervisor.spec import HealthCheck, ProcessSpec, RunningParts

LOCAL_MODEL = "gpt-4.1-mini"
"""The model that sample agents name. The rule engine answers to it here; another model takes its place when one
is given."""

_DRAIN_S = 4.0
"""Calls in progress get this long to end when the stack stops."""
_AGENT_GRACE_S = 32.0
"""Drain, then up to 15 s to close the calls' books and 10 s to flush events (edge_agents/main.py)."""
_SLOW_START_S = 60.0
"""Models are loaded at start; a cold laptop disk is slow."""


@dataclass(frozen=True)
class LlmTarget:
    """An OpenAI-compatible server that takes the rule engine's place."""

    url: str
    """Base URL, for example http://127.0.0.1:11434/v1."""
    key: str
    """Its API key; local servers take any."""
    model: str
    """The model that all agents use."""


@dataclass(frozen=True)
class Wiring:
    """Addresses and secrets of one run of the stack."""

    state: StateDir
    """Where it keeps its files."""
    media_secret: str
    """Signs media tokens; at least 32 bytes."""
    livekit_secret: str
    """Of the LiveKit API key, signs room tokens; at least 32 bytes."""
    engine_key: str
    """Key for the local engines; made for each run."""
    llm: LlmTarget | None = None
    """None: the rule engine."""
    agent_port: int = 0
    """Port for callers; 0 takes a free one."""

    def specs(self) -> tuple[ProcessSpec, ...]:
        """The parts of the embedded stack, the agent last."""
        engines = [
            _module("stt", "local_stack.engines.listen"),
            _module("tts", "local_stack.engines.tts"),
            _module("business", "local_stack.business"),
        ]
        if self.llm is None:
            engines.append(_module("llm", "local_stack.engines.llm"))
        broker = ProcessSpec(
            "broker", (sys.executable, "-m", "local_stack.broker"), health=None, ready_timeout_s=_SLOW_START_S
        )
        agent = ProcessSpec(
            name="agent",
            argv=(sys.executable, "-m", "edge_agents.main"),
            env={"PARLEY_PORT": str(self.agent_port)},
            env_from=self.agent_env,
            health=HealthCheck(),
            ready_timeout_s=_SLOW_START_S,
            depends_on=frozenset({"broker", *(spec.name for spec in engines)}),
            grace_s=_AGENT_GRACE_S,
        )
        return (broker, *engines, agent)

    def agent_env(self, parts: RunningParts) -> Mapping[str, str]:
        """Settings of an agent process (edge_agents/settings.py) for these running parts."""
        placeholders = {"BUSINESS_URL": business_url(parts)}
        return {
            "PARLEY_HOST": "127.0.0.1",
            "PARLEY_REGION": "local",
            "PARLEY_MEDIA_SECRET": self.media_secret,
            "PARLEY_ENDPOINTS": json.dumps(self._endpoints(parts)),
            "PARLEY_KAFKA_BOOTSTRAP": kafka_bootstrap(parts),
            "PARLEY_SPILL_DIR": str(self.state.spill),
            "PARLEY_PHRASE_DIR": str(self.state.phrases),
            "PARLEY_SEALING_KEY_FILE": str(self.state.sealing_key),
            "PARLEY_AGENTS_DIR": str(self.state.agents),
            "PARLEY_TOOL_PLACEHOLDERS": json.dumps(placeholders),
            "PARLEY_ALLOW_LOOPBACK": "true",
            "PARLEY_DRAIN_TIMEOUT_S": str(_DRAIN_S),
            "PARLEY_EXIT_WITH_PARENT": "1",
        }

    def _endpoints(self, parts: RunningParts) -> dict[str, dict[str, str]]:
        stt, tts = parts["stt"].port, parts["tts"].port
        urls = {
            "deepgram-stt": f"http://127.0.0.1:{stt}/v1/listen",
            "deepgram-flux": f"ws://127.0.0.1:{stt}/v2/listen",
            "deepgram-tts": f"http://127.0.0.1:{tts}/v1/speak",
            "elevenlabs": f"http://127.0.0.1:{tts}/v1",
            "azure": f"http://127.0.0.1:{tts}/cognitiveservices/v1",
        }
        endpoints = {name: {"url": url, "key": self.engine_key} for name, url in urls.items()}
        if self.llm is None:
            url, key = f"http://127.0.0.1:{parts['llm'].port}/v1", self.engine_key
        else:
            url, key = self.llm.url, self.llm.key
        return {**endpoints, "openai": {"url": url, "key": key}}


def business_url(parts: RunningParts) -> str:
    """Base URL of the sample tenants' own server."""
    return f"http://127.0.0.1:{parts['business'].port}"


def kafka_bootstrap(parts: RunningParts) -> str:
    """host:port of the brokers, from what the broker part said."""
    return str(parts["broker"].ready["bootstrap"])


def _module(name: str, module: str) -> ProcessSpec:
    return ProcessSpec(name, (sys.executable, "-m", module), ready_timeout_s=_SLOW_START_S)
