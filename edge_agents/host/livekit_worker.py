"""Hosts LiveKit rooms: a livekit-agents worker whose jobs are our calls."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
from collections.abc import Collection, Iterable
from typing import Final
from urllib.parse import urlsplit

import structlog
from livekit import rtc
from livekit.agents import (
    AgentServer,
    AssignmentTimeoutError,
    AutoSubscribe,
    JobContext,
    JobExecutorType,
    JobProcess,
    JobRequest,
)
from livekit.agents.ipc.log_queue import LogQueueHandler
from pydantic import ValidationError

from edge_agents.bootstrap import agent_runtime
from edge_agents.host.answered_calls import AnsweredCalls
from edge_agents.host.listening import free_port
from edge_agents.host.signals import StopSignals, announce_ready
from edge_agents.settings import AgentSettings
from edge_agents.transport.livekit_room import CALLER_KINDS, LiveKitRoomTransport, is_caller
from shared.domain.call import EndReason
from shared.domain.model import FrozenModel
from shared.errors import CallRefusedError, InvalidInputError, InvalidSettingsError
from shared.names import AGENT_NAME, Attribute
from shared.telemetry import configure_logging

log = structlog.get_logger(__name__)

_SCHEMES: Final = ("ws", "wss", "http", "https")
"""What livekit-agents takes; it turns the last two into the first two."""
_IDLE_PROCESSES: Final = 2
_PROCESS_START_S: Final = 60.0
"""Loading the voice libraries takes up to 10 s on a busy small machine."""
_ASSIGNMENT_S: Final = 10.0
"""An accepted job that is not there by then was given to nobody; the server decides within 7.5 s (livekit-agents)."""


_PRELOADED: Final = (
    "edge_agents.host.livekit_worker",
    # imported at first use otherwise: 100-150 ms on the loop, in the middle of every call's first sentence
    "anyio._backends._asyncio",
    "openai.resources.chat.completions",
    "openai.resources.models",
)
"""Modules that the fork server loads once for all job processes."""


class DispatchMetadata(FrozenModel):
    """What our control plane signs into the dispatch: whose call it is. Never secrets."""

    tenant_id: str
    """The tenant."""
    agent_id: str
    """The agent."""
    call_id: str
    """The call."""

    def attributes(self) -> dict[str, str]:
        """The same as participant attributes."""
        return {
            Attribute.TENANT_ID: self.tenant_id,
            Attribute.AGENT_ID: self.agent_id,
            Attribute.CALL_ID: self.call_id,
        }


class JobSlots:
    """Counts jobs from the moment they are accepted: their processes run a second or so later, and a burst of offers
    must not slip through in between.

    Args:
        most: jobs at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._promised: dict[str, float] = {}

    def take(self, job_id: str, *, running: Collection[str], now_s: float) -> bool:
        """Promise a slot to a job; False when none is free.

        Args:
            job_id: the job.
            running: ids of the jobs that run.
            now_s: monotonic seconds.
        """
        self._promised = {
            promised: until_s
            for promised, until_s in self._promised.items()
            if promised not in running and until_s > now_s
        }
        if len(running) + len(self._promised) >= self._most:
            return False
        self._promised[job_id] = now_s + _ASSIGNMENT_S
        return True


def run_worker(settings: AgentSettings) -> None:
    """Run the worker until SIGTERM (drain) or SIGINT."""
    # end-of-turn weights take 250 MB in every process; only tenants that choose the model need them
    os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
    asyncio.run(_serve(settings))


async def _serve(settings: AgentSettings) -> None:
    check_livekit_settings(settings)
    port = free_port(settings)
    server = AgentServer(
        job_executor_type=JobExecutorType.PROCESS,
        setup_fnc=prewarm,
        # The default load function refuses the third of three simultaneous callers on a small machine and the
        # server does not offer it again (measured, docs/references.md): capacity is ours to decide.
        load_fnc=lambda worker: len(worker.active_jobs) / settings.max_calls,
        load_threshold=math.inf,
        num_idle_processes=_IDLE_PROCESSES,
        preload_modules=list(_PRELOADED),
        initialize_process_timeout=_PROCESS_START_S,
        drain_timeout=int(settings.drain_timeout_s),
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.get_secret_value(),
        host=settings.host,
        port=port,
        log_level=settings.log_level,
    )

    slots, calls = JobSlots(settings.max_calls), AnsweredCalls()

    async def on_request(request: JobRequest) -> None:
        await answer_offer(request, slots, calls, running={active.job.id for active in server.active_jobs})

    server.rtc_session(answer_room, agent_name=AGENT_NAME, on_request=on_request)
    stop = StopSignals()
    registered = asyncio.Event()
    server.on("worker_registered", lambda *_args: registered.set())
    running = asyncio.create_task(server.run(), name="worker")
    ready = asyncio.create_task(registered.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        ready.cancel()
        running.result()
        return
    announce_ready(port)
    await stop.asked.wait()
    log.info("draining", active_calls=len(server.active_jobs))
    await stop.unless_at_once(server.drain())
    await server.aclose()
    await asyncio.gather(running, return_exceptions=True)


def check_livekit_settings(settings: AgentSettings) -> None:
    """Settings that WebSocket hosts can do without.

    Raises:
        InvalidSettingsError: rooms can't be answered without them.
    """
    parts = {
        "PARLEY_LIVEKIT_URL": settings.livekit_url,
        "PARLEY_LIVEKIT_API_KEY": settings.livekit_api_key,
        "PARLEY_LIVEKIT_API_SECRET": settings.livekit_api_secret.get_secret_value(),
    }
    if missing := [name for name, value in parts.items() if not value]:
        raise InvalidSettingsError(
            f"missing: {', '.join(missing)}", hint="`rooms` needs a LiveKit server with its key and secret."
        )
    if not _is_server_url(settings.livekit_url):
        raise InvalidSettingsError(
            "malformed: PARLEY_LIVEKIT_URL",
            hint="It looks like wss://livekit.example.com or ws://127.0.0.1:7880.",
        )


def _is_server_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, a port beyond 65535
        return False


def prewarm(_process: JobProcess) -> None:
    """Runs once in every job process, before it has a call."""
    settings = AgentSettings()
    configure_logging("agent", level=settings.log_level, json=settings.log_json)
    drop_log_forwarding()


def drop_log_forwarding() -> None:
    """Keep livekit-agents from sending this process's records to the worker.

    They would go as text, in which what was said can't be told from the template any more (shared/telemetry.py);
    and each would be written twice.
    """
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, LogQueueHandler)]:
        root.removeHandler(handler)


async def answer_room(job: JobContext) -> None:
    """One job, one call."""
    settings = AgentSettings()
    metadata = parse_metadata(job.job.metadata)
    async with agent_runtime(settings) as runtime:
        # the transport subscribes to the caller's audio, and to nobody else's
        await job.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)

        async def leave() -> None:
            await job.delete_room()

        transport = LiveKitRoomTransport(job.room, attributes=metadata.attributes(), leave=leave)
        try:
            check_participants(job.room.remote_participants.values(), metadata)
            await runtime.desk.take(transport)
        except CallRefusedError:
            await transport.aclose(EndReason.REFUSED)
        except InvalidInputError as error:
            log.warning("room_refused", code=error.code)
            await transport.aclose(EndReason.REFUSED)
    job.shutdown("call ended")


def parse_metadata(text: str) -> DispatchMetadata:
    """Read dispatch metadata.

    Raises:
        InvalidInputError: it is not what our control plane writes.
    """
    try:
        return DispatchMetadata.model_validate(json.loads(text))
    except (ValueError, ValidationError, RecursionError):
        raise InvalidInputError("the room's dispatch metadata is malformed") from None


async def answer_offer(
    request: JobRequest, slots: JobSlots, calls: AnsweredCalls, *, running: Collection[str]
) -> None:
    """Accept or reject; must not block: a drain that begins meanwhile would never start (agents #6724).

    Args:
        request: the offer.
        slots: of this worker.
        calls: those that this worker has answered; a call is answered once (docs/adr, 0008).
        running: ids of its jobs.

    Raises:
        AssignmentTimeoutError: accepted, and the server gave the job to nobody here.
    """
    try:
        metadata = parse_metadata(request.job.metadata)
    except InvalidInputError:
        log.warning("offer_rejected", reason="metadata")
        await request.reject()
        return
    now_s = asyncio.get_running_loop().time()
    if calls.had(metadata.call_id, request.id, running=running, now_s=now_s):
        log.warning("offer_rejected", reason="call_exists", call_id=metadata.call_id)
        await request.reject()
        return
    if not slots.take(request.id, running=running, now_s=now_s):
        log.warning("offer_rejected", reason="at_capacity", tenant_id=metadata.tenant_id)
        await request.reject(terminate=False)  # another worker may have room
        return
    calls.add(metadata.call_id, request.id, now_s=now_s)
    try:
        await request.accept(
            name="Agent", identity=f"agent-{metadata.call_id}", attributes=metadata.attributes()
        )
    except AssignmentTimeoutError:
        calls.forget(metadata.call_id)
        raise


def check_participants(participants: Iterable[rtc.RemoteParticipant], metadata: DispatchMetadata) -> None:
    """Whoever is in the room before the agent must be the caller whom the dispatch names.

    Recorders and other agents may be there. Those who join later are not heard (transport/livekit_room.py).

    Raises:
        InvalidInputError: a participant lacks the signed attributes of this call, or has those of another.
    """
    for participant in participants:
        if participant.kind in CALLER_KINDS and not is_caller(participant, metadata.attributes()):
            raise InvalidInputError("a participant is not the caller whom the dispatch names")
