"""Places calls on a running stack and writes down what happened: call.json, recording.wav, index.html."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp

from local_stack.agents import read_agents
from local_stack.callers.caller import CallerReport, SyntheticCaller
from local_stack.callers.media import CallerMedia
from local_stack.callers.script import Manners, Utterance
from local_stack.private_files import make_private_folder, write_private
from local_stack.reporting.call_report import CallerTurn, CallReport, build_call_report, is_complete
from local_stack.reporting.html import Recording, call_page
from local_stack.state import RunningStack
from shared.adapters.kafka_consumer import EventReader
from shared.adapters.sealing import AesGcmSealer
from shared.ids import IdKind, new_id
from shared.media_token import MediaClaims, issue_media_token
from shared.ports import AgentRecord
from shared.pricing.catalogue import packaged_catalogue

_TOKEN_LIFE_S = 120
_EVENTS_TIMEOUT_S = 45.0
"""From hanging up until the final events: closing may wait for a recogniser (5 s) and for a goodbye (12 s)."""


@dataclass(frozen=True)
class CallOrder:
    """A call to be placed."""

    tenant: str
    """The tenant's slug."""
    utterances: Sequence[Utterance]
    """What the caller says."""
    media: str = "ws"
    """`ws` or `livekit`."""
    spoken_texts: Sequence[str] = ()
    """The words of the utterances, where they are known."""
    manners: Manners = field(default_factory=Manners)
    """How the caller behaves."""
    on_caller: Callable[[SyntheticCaller], None] = lambda _caller: None
    """Gets the caller before it dials, for those who show progress."""


@dataclass(frozen=True)
class PlacedCall:
    """A call that is over."""

    report: CallReport
    caller: CallerReport
    folder: Path
    """Holds call.json, recording.wav and index.html."""


class CallDirectory:
    """Places calls on one running stack.

    Args:
        stack: the stack.
        http: shared by the WebSocket callers; not owned.
    """

    def __init__(self, stack: RunningStack, *, http: aiohttp.ClientSession) -> None:
        self._stack = stack
        self._http = http
        self._agents = read_agents(stack.agents_dir, business_url=stack.business_url)
        self._sealer = AesGcmSealer.from_file(stack.sealing_key_file)
        self._catalogue = packaged_catalogue()

    def agent(self, tenant: str) -> AgentRecord:
        """The agent of a tenant.

        Raises:
            UnknownTenantError: there is no such tenant; the hint names those that are there.
        """
        return self._agents.by_slug(tenant)

    async def place(self, order: CallOrder, folder: Path) -> PlacedCall:
        """Place a call and write its report.

        Args:
            order: what to do.
            folder: made when missing; `{call_id}` in its name is filled in.

        Raises:
            UnknownTenantError: there is no such tenant.
            CallRefusedError: admission said no.
            MediaError: the agent can't be reached.
            StackError: the call's events did not arrive.
        """
        record = self.agent(order.tenant)
        call_id = new_id(IdKind.CALL)
        caller = SyntheticCaller(
            self._media(order.media, record, call_id), order.utterances, manners=order.manners
        )
        order.on_caller(caller)
        heard = await caller.call()
        events = await EventReader(bootstrap=self._stack.kafka_bootstrap).read(
            call_id=call_id, until=is_complete, timeout_s=_EVENTS_TIMEOUT_S
        )
        report = build_call_report(
            events,
            tenant_slug=order.tenant,
            caller_turns=_caller_turns(heard, order.spoken_texts),
            caller_side_greeting_ms=heard.greeting_ms,
            unseal=self._sealer.unseal,
            catalogue=self._catalogue,
        )
        folder = folder.with_name(folder.name.replace("{call_id}", call_id))
        await asyncio.to_thread(_write, report, caller, folder)
        return PlacedCall(report=report, caller=heard, folder=folder)

    def _media(self, kind: str, record: AgentRecord, call_id: str) -> CallerMedia:
        tenant_id, agent_id = record.tenant.tenant_id, record.version.agent_id
        if kind == "livekit":
            # imported here: WebSocket calls need no libwebrtc
            from edge_agents.host.livekit_worker import DispatchMetadata  # noqa: PLC0415
            from local_stack.callers.livekit_media import LiveKitMedia, caller_token  # noqa: PLC0415
            from local_stack.livekit.part import API_KEY  # noqa: PLC0415

            metadata = DispatchMetadata(tenant_id=tenant_id, agent_id=agent_id, call_id=call_id)
            secret = self._stack.livekit_secret.get_secret_value()
            token = caller_token(metadata, key=API_KEY, secret=secret)
            return LiveKitMedia(self._stack.url("livekit", scheme="ws"), token)
        # imported here: the module needs aiohttp's WebSocket client only
        from local_stack.callers.websocket_media import WebSocketMedia  # noqa: PLC0415

        now = datetime.now(UTC)
        claims = MediaClaims(
            tenant_id=tenant_id,
            agent_id=agent_id,
            call_id=call_id,
            exp=now + timedelta(seconds=_TOKEN_LIFE_S),
        )
        token = issue_media_token(claims, self._stack.media_secret.get_secret_value(), now)
        return WebSocketMedia(
            self._stack.url("agent", f"/v1/media?token={token}", scheme="ws"),
            http=self._http,
            clock=time.monotonic,
        )


def _caller_turns(heard: CallerReport, spoken: Sequence[str]) -> list[CallerTurn]:
    texts = [*spoken, *([None] * len(heard.turns))]
    return [
        CallerTurn(
            speak_to_hear_ms=turn.speak_to_hear_ms,
            barge_in_stop_ms=turn.barge_in_stop_ms,
            start_s=turn.began_at_s,
            end_s=turn.ended_at_s,
            spoken_text=text,
        )
        for turn, text in zip(heard.turns, texts, strict=False)
    ]


def _write(report: CallReport, caller: SyntheticCaller, folder: Path) -> None:
    make_private_folder(folder)
    report.write(folder / "call.json")
    caller.timeline.write_recording(folder / "recording.wav")
    page = call_page(report, Recording.load(folder / "recording.wav"))
    write_private(folder / "index.html", page)
