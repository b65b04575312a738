"""The embedded stack: the whole product on one machine, from pip packages only."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import secrets
import sysconfig
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from local_stack.agents import publish_agents, read_agents, register_languages
from local_stack.paths import REPOSITORY, TENANTS
from local_stack.state import PartRecord, ProcessMark, RunningStack, StateDir
from local_stack.supervisor.spec import ProcessSpec, RunningParts, no_wiring
from local_stack.supervisor.supervisor import Supervisor, inherited_env
from local_stack.wiring import LOCAL_MODEL, LlmTarget, Wiring, business_url, kafka_bootstrap
from shared.adapters.sealing import AesGcmSealer
from shared.errors import StackError

T = TypeVar("T")
_RULE_ENGINE = f"the local rule engine, which is no language model (priced as {LOCAL_MODEL})"


@dataclass(frozen=True)
class ExtraPart:
    """One more process beside the embedded stack, for example a LiveKit server."""

    spec: ProcessSpec
    """How it is started. The agent starts after it unless it depends on the agent."""
    agent_env: Callable[[RunningParts], Mapping[str, str]] = no_wiring
    """What the agent process is told of it."""


EXTRAS: Mapping[str, str] = {"livekit": "local_stack.livekit.part:extra_parts"}
"""Name after `--with` -> function `(Wiring) -> Sequence[ExtraPart]`, imported when it is asked for."""


@dataclass(frozen=True)
class StackOptions:
    """What may differ between stacks."""

    agent_port: int = 0
    """Port for callers; 0 takes a free one."""
    llm: LlmTarget | None = None
    """None: the rule engine."""
    agents: Path = TENANTS
    """Folder of tenants to serve."""
    extras: tuple[str, ...] = ()
    """Names of further parts (EXTRAS)."""


@dataclass
class EmbeddedStack:
    """Starts, wires and stops the parts. `async with` gives a stack that is ready for calls; runs once.

    Every run has its own secrets. While it runs, `running` says where everything is, and the state file says
    the same to other commands.
    """

    state: StateDir
    """Its folder; made when missing."""
    options: StackOptions = StackOptions()
    """What may differ."""
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack, init=False, repr=False)
    _supervisor: Supervisor | None = field(default=None, init=False, repr=False)
    _running: RunningStack | None = field(default=None, init=False, repr=False)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def running(self) -> RunningStack:
        """Where everything is; only between `start` and `stop`."""
        assert self._running is not None, "the stack is not running"
        return self._running

    async def start(self) -> RunningStack:
        """Start all parts and wait until calls can be placed. Cancelling stops what was started.

        Raises:
            StackError: a stack runs in this folder already, or a part failed (all others were stopped).
            AgentConfigError: an agent's files are malformed; nothing was started.
        """
        self.state.prepare()
        async with AsyncExitStack() as undo:
            undo.enter_context(self.state.claim())
            undo.callback(self.state.clear)
            wiring = self._wiring()
            self._publish()
            specs = with_extras(
                wiring, [part for name in self.options.extras for part in extra(name, wiring)]
            )
            supervisor = Supervisor(
                specs, log_dir=self.state.logs, base_env=_parts_env(), cwd=self.state.path
            )
            parts = await undo.enter_async_context(_Started(supervisor))
            await supervisor.guard(self._teach(parts, wiring))
            self._supervisor = supervisor
            self._running = self._describe(parts, wiring)
            self.state.save(self._running)
            self._exit = undo.pop_all()
        return self._running

    async def stop(self) -> None:
        """Stop all parts, in reverse order. Stopping twice does nothing."""
        await self._exit.aclose()
        self._running = None

    async def wait(self) -> None:
        """Wait until the stack is down.

        Raises:
            StackError: a part failed; all others were stopped.
        """
        assert self._supervisor is not None, "not started"
        await self._supervisor.wait()

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the stack; a part that fails cancels it.

        Raises:
            StackError: a part failed before `work` was done.
        """
        assert self._supervisor is not None, "not started"
        return await self._supervisor.guard(work)

    def _wiring(self) -> Wiring:
        return Wiring(
            state=self.state,
            media_secret=secrets.token_urlsafe(48),
            livekit_secret=secrets.token_urlsafe(48),
            engine_key=f"local-{secrets.token_urlsafe(24)}",
            llm=self.options.llm,
            agent_port=self.options.agent_port,
        )

    def _publish(self) -> None:
        model = self.options.llm.model if self.options.llm else LOCAL_MODEL
        publish_agents(self.options.agents, self.state.agents, model=model)
        read_agents(self.state.agents, business_url="http://127.0.0.1:9")  # malformed files are told of now
        AesGcmSealer.from_file(self.state.sealing_key, create=True)

    async def _teach(self, parts: RunningParts, wiring: Wiring) -> None:
        store = await asyncio.to_thread(read_agents, self.state.agents, business_url=business_url(parts))
        await register_languages(
            [record.version for record in store.all()],
            stt_url=f"http://127.0.0.1:{parts['stt'].port}",
            key=wiring.engine_key,
        )

    def _describe(self, parts: RunningParts, wiring: Wiring) -> RunningStack:
        llm = wiring.llm
        return RunningStack(
            supervisor=ProcessMark.of(os.getpid()),
            started_at=dt.datetime.now(dt.UTC),
            parts={
                part.name: PartRecord(
                    pid=part.pid, port=part.port, log=part.log, health_path=part.health_path
                )
                for part in parts.values()
            },
            kafka_bootstrap=kafka_bootstrap(parts),
            media_secret=wiring.media_secret,
            livekit_secret=wiring.livekit_secret,
            engine_key=wiring.engine_key,
            sealing_key_file=self.state.sealing_key,
            agents_dir=self.state.agents,
            business_url=business_url(parts),
            llm=f"{llm.model} at {llm.url}" if llm else _RULE_ENGINE,
        )


@dataclass
class _Started:
    """A supervisor as a context whose value is the parts."""

    supervisor: Supervisor

    async def __aenter__(self) -> RunningParts:
        return await self.supervisor.start()

    async def __aexit__(self, *_exc: object) -> None:
        await self.supervisor.stop()


def extra(name: str, wiring: Wiring) -> Sequence[ExtraPart]:
    """The further parts of that name.

    Raises:
        StackError: there is no such part, or what it needs is missing.
    """
    if name not in EXTRAS:
        raise StackError(f"there is no part {name!r}", hint=f"Parts that can be added: {', '.join(EXTRAS)}.")
    module, _, function = EXTRAS[name].partition(":")
    parts: Sequence[ExtraPart] = getattr(import_module(module), function)(wiring)
    return parts


def with_extras(wiring: Wiring, extras: Sequence[ExtraPart]) -> list[ProcessSpec]:
    """The embedded stack's parts and further ones; the agent learns of those that it may depend on."""
    first = [part for part in extras if "agent" not in part.spec.depends_on]

    def agent_env(parts: RunningParts) -> Mapping[str, str]:
        env = dict(wiring.agent_env(parts))
        for part in first:
            env.update(part.agent_env(parts))
        return env

    specs = [part.spec for part in extras]
    *others, agent = wiring.specs()
    needs = agent.depends_on | {part.spec.name for part in first}
    return [*specs, *others, replace(agent, env_from=agent_env, depends_on=needs)]


def _parts_env() -> dict[str, str]:
    """The parts run elsewhere than the user: they find our packages also when these are not installed."""
    env = inherited_env()
    if Path(sysconfig.get_path("purelib")) != REPOSITORY:
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(REPOSITORY), env.get("PYTHONPATH", ""))))
    return env
