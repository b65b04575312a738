"""Hosts LiveKit rooms: a livekit-agents worker whose jobs are our calls."""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
from typing import Any

import structlog
from livekit.agents import AgentServer, AutoSubscribe, JobContext, JobExecutorType, JobProcess, JobRequest
from pydantic import ValidationError

from edge_agents.bootstrap import agent_runtime
from edge_agents.host.signals import StopSignals, announce_ready
from edge_agents.settings import AgentSettings
from edge_agents.transport.livekit_room import LiveKitRoomTransport
from shared.domain.call import EndReason
from shared.domain.model import FrozenModel
from shared.errors import CallRefusedError, InvalidInputError
from shared.names import AGENT_NAME, Attribute
from shared.telemetry import configure_logging

log = structlog.get_logger(__name__)

_IDLE_PROCESSES = 2
_PROCESS_START_S = 60.0
"""Loading the voice libraries takes up to 10 s on a busy small machine."""


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


def run_worker(settings: AgentSettings) -> None:
    """Run the worker until SIGTERM (drain) or SIGINT."""
    # end-of-turn weights take 250 MB in every process; only tenants that choose the model need them
    os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
    asyncio.run(_serve(settings))


async def _serve(settings: AgentSettings) -> None:
    port = settings.port or _free_port(settings.host)
    server = AgentServer(
        job_executor_type=JobExecutorType.PROCESS,
        setup_fnc=prewarm,
        # The default load function refuses the third of three simultaneous callers on a small machine and the
        # server does not offer it again (measured, docs/references.md): capacity is ours to decide.
        load_fnc=lambda worker: len(worker.active_jobs) / settings.max_calls,
        load_threshold=math.inf,
        num_idle_processes=_IDLE_PROCESSES,
        initialize_process_timeout=_PROCESS_START_S,
        drain_timeout=int(settings.drain_timeout_s),
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.get_secret_value(),
        host=settings.host,
        port=port,
        log_level=settings.log_level,
    )

    async def on_request(request: JobRequest) -> None:
        await _answer_offer(request, busy=len(server.active_jobs) >= settings.max_calls)

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


def prewarm(_process: JobProcess) -> None:
    """Runs once in every job process, before it has a call."""
    settings = AgentSettings()
    configure_logging("agent", level=settings.log_level, json=settings.log_json)


async def answer_room(job: JobContext) -> None:
    """One job, one call."""
    settings = AgentSettings()
    metadata = parse_metadata(job.job.metadata)
    async with agent_runtime(settings) as runtime:
        await job.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)

        async def leave() -> None:
            await job.delete_room()

        transport = LiveKitRoomTransport(job.room, attributes=metadata.attributes(), leave=leave)
        try:
            _check_participants(job, metadata)
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


async def _answer_offer(request: JobRequest, *, busy: bool) -> None:
    """Accept or reject; must not block: a drain that begins meanwhile would never start (agents #6724)."""
    try:
        metadata = parse_metadata(request.job.metadata)
    except InvalidInputError:
        log.warning("offer_rejected", reason="metadata")
        await request.reject()
        return
    if busy:
        log.warning("offer_rejected", reason="at_capacity", tenant_id=metadata.tenant_id)
        await request.reject(terminate=False)
        return
    await request.accept(name="Agent", identity=f"agent-{metadata.call_id}", attributes=metadata.attributes())


def _check_participants(job: JobContext, metadata: DispatchMetadata) -> None:
    """A participant that carries another tenant's signed attributes has no business in this room."""
    for participant in job.room.remote_participants.values():
        claimed = participant.attributes.get(Attribute.TENANT_ID, metadata.tenant_id)
        if claimed != metadata.tenant_id:
            raise InvalidInputError("participant and dispatch belong to different tenants")


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: Any = probe.getsockname()[1]
        return int(port)
