"""The agent as a real process (or in the test's) against the load-model engine, with tenants made for a test."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from edge_agents.audio.speech_edges import Pcm
from edge_agents.bootstrap import AgentRuntime, agent_runtime
from edge_agents.host.server import agent_app
from edge_agents.settings import AgentSettings
from local_stack.callers.caller import SyntheticCaller
from local_stack.callers.script import Manners, Utterance
from local_stack.callers.websocket_media import WebSocketMedia
from shared.adapters.kafka_consumer import EventReader
from shared.adapters.sealing import AesGcmSealer
from shared.contracts.event import Event
from shared.ids import IdKind, new_id
from shared.media_token import MediaClaims, issue_media_token
from tests.integration.call_books import Books
from tests.integration.caller_line import Line, Placed

GREETING, REPLY = "Hello there.", "One two three four five."
PROFILE: dict[str, Any] = {
    "stt": {
        "final_ms": [60, 60],
        "pause_ms": 200,
        "transcripts": ["book a room", "yes please", "for two people"],
    },
    "llm": {"ttft_ms": [60, 60], "tokens_per_s": [200, 200], "replies": [REPLY]},
    "tts": {"ttfb_ms": [40, 40], "speedup": 50, "ms_per_char": 25},
}
"""Short replies, and latencies that are fixed and small."""

_EVENTS_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Publication:
    """A tenant of a test, with its agent."""

    slug: str
    tenant_id: str
    agent_id: str


def publish(folder: Path, slug: str, **agent: Any) -> Publication:
    """Write a tenant's files with new ids; `agent` replaces fields of a small agent."""
    home = folder / slug
    home.mkdir(parents=True)
    tenant = Publication(slug, new_id(IdKind.TENANT), new_id(IdKind.AGENT))
    fields: dict[str, Any] = {"name": "Ada", "greeting": GREETING, "instructions": "You are Ada. Be brief."}
    (home / "agent.toml").write_text(_toml(fields | agent), "utf-8")
    who = {
        "tenant_id": tenant.tenant_id,
        "slug": slug,
        "name": slug.title(),
        "agent_id": tenant.agent_id,
        "version_id": new_id(IdKind.AGENT_VERSION),
    }
    (home / "tenant.toml").write_text(_toml(who), "utf-8")
    return tenant


def _toml(fields: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in fields.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(
    module: str, *arguments: str, env: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """A process of ours and its ready line; ended after, if it has not ended itself."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, **(env or {}), "PARLEY_EXIT_WITH_PARENT": "1"}
    with (
        (log or Path(os.devnull)).open("wb") as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, env=environment) as child,
    ):
        assert child.stdout is not None
        try:
            yield child, json.loads(child.stdout.readline())
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
            child.wait(30)


@dataclass(frozen=True)
class Parts:
    """What an agent needs around it."""

    engine_url: str
    bootstrap: str

    def inject(self, *rules: dict[str, Any]) -> None:
        """Put these faults of the load-model engine in force instead of those before."""
        self._put("faults", list(rules))

    def use_profile(self, **changes: dict[str, Any]) -> None:
        """The quick profile with `changes` to its sections."""
        self._put("profile", {stage: {**PROFILE[stage], **changes.get(stage, {})} for stage in PROFILE})

    def counters(self) -> list[dict[str, Any]]:
        """What the engine counted, by stage and key."""
        with urllib.request.urlopen(f"{self.engine_url}/local/counters") as answer:
            return list(json.load(answer)["counters"])

    def struck(self, key: str) -> int:
        """How often faults of a model or voice of that name have struck."""
        with urllib.request.urlopen(f"{self.engine_url}/local/faults") as answer:
            states = json.load(answer)["faults"]
        return sum(state["struck"] for state in states if state["rule"]["key"] == key)

    def _put(self, what: str, body: Any) -> None:
        request = urllib.request.Request(
            f"{self.engine_url}/local/{what}", json.dumps(body).encode(), method="PUT"
        )
        urllib.request.urlopen(request).close()


@contextmanager
def broker_and_engine() -> Iterator[Parts]:
    """A broker, and a load-model engine with the quick profile."""
    with (
        process("local_stack.broker") as (_, broker),
        process("local_stack.engines.load_model") as (_, engine),
    ):
        parts = Parts(f"http://127.0.0.1:{engine['port']}", broker["bootstrap"])
        parts.use_profile()
        yield parts


def agent_env(folder: Path, engine_url: str, bootstrap: str, **more: str) -> dict[str, str]:
    """Settings of an agent whose providers are the load-model engine.

    Every provider has two more endpoints: `refused`, where nobody listens, and `other`, the same engine with
    another key.
    """
    key = folder / "key"
    if not key.exists():
        key.write_bytes(base64.b64encode(secrets.token_bytes(32)))
        key.chmod(0o600)
    dead = f"http://127.0.0.1:{closed_port()}"
    paths = {"deepgram-stt": "/v1/listen", "deepgram-tts": "/v1/speak", "openai": "/v1"}
    endpoints: dict[str, Any] = {}
    for provider, path in paths.items():
        endpoints[provider] = {"url": engine_url + path, "key": "parley"}
        endpoints[f"{provider}/refused"] = {"url": dead + path, "key": "refused"}
    (folder / "agents").mkdir(exist_ok=True)
    return {
        "PARLEY_PORT": "0",
        "PARLEY_MEDIA_SECRET": secrets.token_urlsafe(48),
        "PARLEY_ENDPOINTS": json.dumps(endpoints),
        "PARLEY_KAFKA_BOOTSTRAP": bootstrap,
        "PARLEY_SPILL_DIR": str(folder / "spill"),
        "PARLEY_PHRASE_DIR": str(folder / "phrases"),
        "PARLEY_SEALING_KEY_FILE": str(key),
        "PARLEY_AGENTS_DIR": str(folder / "agents"),
        "PARLEY_ALLOW_LOOPBACK": "true",
        "PARLEY_MAX_CALLS": "40",
        **more,
    }


@dataclass(frozen=True)
class Agent:
    """An agent that listens, in a process of its own or in this one."""

    port: int
    secret: str
    bootstrap: str
    sealer: AesGcmSealer

    def url(self, tenant: Publication, call_id: str) -> str:
        """Where a caller with a fresh token for that call connects."""
        now = datetime.now(UTC)
        claims = MediaClaims(
            tenant_id=tenant.tenant_id,
            agent_id=tenant.agent_id,
            call_id=call_id,
            exp=now + timedelta(minutes=2),
        )
        token = issue_media_token(claims, self.secret, now)
        return f"ws://127.0.0.1:{self.port}/v1/media?token={token}"

    async def call(
        self, tenant: Publication, utterances: Sequence[Pcm], manners: Manners | None = None
    ) -> Placed:
        """Let a caller say the utterances in turn."""
        call_id = new_id(IdKind.CALL)
        async with aiohttp.ClientSession() as http:
            media = WebSocketMedia(self.url(tenant, call_id), http=http)
            caller = SyntheticCaller(media, [Utterance(pcm) for pcm in utterances], manners=manners)
            return Placed(call_id, await caller.call(), caller)

    async def books(self, *call_ids: str) -> list[Books]:
        """What was published of these calls, once all are closed."""

        def all_closed(found: Sequence[Any]) -> bool:
            return all(books.closed for books in self._books(found, call_ids))

        found = await EventReader(bootstrap=self.bootstrap).read(
            until=all_closed, timeout_s=_EVENTS_TIMEOUT_S
        )
        return self._books(found, call_ids)

    def _books(self, found: Sequence[Any], call_ids: Sequence[str]) -> list[Books]:
        by_call: dict[str, list[Event]] = {call_id: [] for call_id in call_ids}
        for received in found:
            if received.key in by_call:
                by_call[received.key].append(received.event)
        return [Books(tuple(by_call[call_id]), self.sealer.unseal) for call_id in call_ids]

    async def health(self) -> tuple[int, dict[str, Any]]:
        """Status and body of GET /healthz."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{self.port}/healthz") as response,
        ):
            return response.status, await response.json()

    async def knock(self, tenant: Publication, call_id: str) -> tuple[int, dict[str, Any], str | None]:
        """Ask for a call that is refused before the upgrade; status, body and Retry-After of the answer."""
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        url = self.url(tenant, call_id).replace("ws://", "http://")
        async with aiohttp.ClientSession() as http, http.get(url, headers=upgrade) as response:
            return response.status, await response.json(), response.headers.get("Retry-After")

    @asynccontextmanager
    async def line(self, tenant: Publication, call_id: str = "") -> AsyncIterator[Line]:
        """A call that the test leads itself; still open at the end, it is hung up."""
        call_id = call_id or new_id(IdKind.CALL)
        async with aiohttp.ClientSession() as http:
            line = Line(call_id, WebSocketMedia(self.url(tenant, call_id), http=http))
            await line.dial()
            try:
                yield line
            finally:
                await line.hang_up()


@dataclass(frozen=True)
class AgentProcess(Agent):
    """An agent in a process of its own."""

    log: Path
    process: subprocess.Popen[bytes]

    def records(self) -> list[dict[str, Any]]:
        """The log."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines() if line.startswith("{")]


@dataclass(frozen=True)
class AgentHere(Agent):
    """An agent in the test's own process and loop."""

    runtime: AgentRuntime


@contextmanager
def running_agent(folder: Path, env: Mapping[str, str]) -> Iterator[AgentProcess]:
    """An agent process with these settings."""
    log = folder / "agent.log"
    with process("edge_agents.main", env=env, log=log) as (child, ready):
        yield AgentProcess(port=ready["port"], **_reached_by(env), log=log, process=child)


@asynccontextmanager
async def agent_here(
    env: Mapping[str, str], *, away_after_s: float | None = None
) -> AsyncIterator[AgentHere]:
    """The same in this process.

    Args:
        env: settings.
        away_after_s: when a silent caller is asked whether they are there.
    """
    with pytest.MonkeyPatch.context() as environment:
        for name, value in env.items():
            environment.setenv(name, value)
        settings = AgentSettings()
    async with agent_runtime(settings) as runtime:
        if away_after_s is not None:
            runtime.desk._host = replace(runtime.desk._host, away_after_s=away_after_s)
        runner = web.AppRunner(agent_app(runtime), access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield AgentHere(port=runner.addresses[0][1], **_reached_by(env), runtime=runtime)
        finally:
            await runner.cleanup()


def _reached_by(env: Mapping[str, str]) -> dict[str, Any]:
    return {
        "secret": env["PARLEY_MEDIA_SECRET"],
        "bootstrap": env["PARLEY_KAFKA_BOOTSTRAP"],
        "sealer": AesGcmSealer.from_file(Path(env["PARLEY_SEALING_KEY_FILE"])),
    }
