"""A LiveKit room as a media transport: WebRTC callers now, SIP participants later."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from livekit import rtc
from livekit.agents import AgentSession, room_io

from edge_agents.transport.port import DisconnectReason
from shared.domain.call import EndReason, Media
from shared.errors import MediaError, TrackNotPublishedError

log = structlog.get_logger(__name__)

PUBLISH_TIMEOUT_S = 2.0
"""The agent's track must be published within this, or the caller would sit in a silent room."""
CALLER_TIMEOUT_S = 10.0
"""The caller asked for the agent by joining; this covers a slow ICE negotiation."""
ENDED_TOPIC = "parley.ended"
"""Data topic on which the caller is told why the call ended."""


class LiveKitRoomTransport:
    """The caller's and the agent's tracks in one room.

    Args:
        room: connected room.
        attributes: what our side signed (dispatch metadata), checked by the host.
        leave: leaves the room and deletes it.
    """

    def __init__(
        self, room: rtc.Room, *, attributes: Mapping[str, str], leave: Callable[[], Awaitable[None]]
    ) -> None:
        self._room = room
        self._attributes = dict(attributes)
        self._leave = leave
        self._io: room_io.RoomIO | None = None
        self._gone: asyncio.Future[DisconnectReason] = asyncio.get_running_loop().create_future()
        self._closed = False
        room.on("participant_disconnected", self._participant_left)
        room.on("disconnected", self._room_lost)

    @property
    def media(self) -> Media:
        """Kind of carrier."""
        return Media.LIVEKIT

    @property
    def attributes(self) -> Mapping[str, str]:
        """What our side signed."""
        return self._attributes

    async def attach(self, session: AgentSession[Any]) -> None:
        """Wait for the caller, publish the agent's track, connect both to the session.

        Raises:
            MediaError: no caller came.
            TrackNotPublishedError: the agent's track was not published within 2 s.
        """
        await self._wait_for_caller()
        self._io = room_io.RoomIO(
            agent_session=session,
            room=self._room,
            options=room_io.RoomOptions(
                # 16 kHz is what recognisers and the detector take: no resampling in between
                audio_input=room_io.AudioInputOptions(sample_rate=16_000, frame_size_ms=20),
                audio_output=room_io.AudioOutputOptions(sample_rate=24_000),
                # transcripts leave as sealed events; the synchroniser also costs CPU (docs/references.md)
                text_output=False,
                text_input=False,
                close_on_disconnect=False,
            ),
        )
        await self._io.start()
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await self._io.wait_for_ready()
        except TimeoutError:
            raise TrackNotPublishedError(
                "the agent's audio could not be published in time", hint="the media server may be overloaded"
            ) from None

    def on_dtmf(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with each key the caller presses."""
        self._room.on("sip_dtmf_received", lambda dtmf: handler(dtmf.digit))

    async def wait_disconnected(self) -> DisconnectReason:
        """Wait for the caller to leave or for the room to be lost."""
        return await asyncio.shield(self._gone)

    async def aclose(self, reason: EndReason) -> None:
        """Tell the caller why, stop publishing, leave."""
        if self._closed:
            return
        self._closed = True
        if self._room.isconnected():
            with contextlib.suppress(Exception):  # the caller may be gone already
                await self._room.local_participant.publish_data(
                    json.dumps({"reason": reason.value}), reliable=True, topic=ENDED_TOPIC
                )
        self._set_gone(DisconnectReason.CLOSED)
        if self._io is not None:
            await self._io.aclose()
        await self._leave()

    async def _wait_for_caller(self) -> None:
        if self._room.remote_participants:
            return
        joined = asyncio.Event()
        self._room.on("participant_connected", lambda _participant: joined.set())
        try:
            async with asyncio.timeout(CALLER_TIMEOUT_S):
                await joined.wait()
        except TimeoutError:
            raise MediaError("no caller joined the room") from None

    def _participant_left(self, participant: rtc.RemoteParticipant) -> None:
        in_order = participant.disconnect_reason in (
            rtc.DisconnectReason.CLIENT_INITIATED,
            rtc.DisconnectReason.ROOM_DELETED,
        )
        self._set_gone(DisconnectReason.HUNG_UP if in_order else DisconnectReason.LOST)

    def _room_lost(self, *_args: object) -> None:
        self._set_gone(DisconnectReason.LOST)

    def _set_gone(self, reason: DisconnectReason) -> None:
        if not self._gone.done():
            self._gone.set_result(reason)
