"""A LiveKit room as a media transport: WebRTC callers now, SIP participants later."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

import structlog
from livekit import rtc
from livekit.agents import AgentSession, room_io
from livekit.agents.voice import io

from edge_agents.audio.taps import RECEIVED_AT
from edge_agents.transport.live_clock import LiveClock
from edge_agents.transport.port import DisconnectReason
from shared.domain.call import EndReason, Media
from shared.errors import MediaError, TrackNotPublishedError
from shared.names import Attribute

log = structlog.get_logger(__name__)

PUBLISH_TIMEOUT_S: Final = 2.0
"""The agent's track must be published within this, or the caller would sit in a silent room."""
CALLER_TIMEOUT_S: Final = 10.0
"""The caller asked for the agent by joining; this covers a slow ICE negotiation."""
ENDED_TOPIC: Final = "parley.ended"
"""Data topic on which the caller is told why the call ended."""

CALLER_KINDS: Final = (
    rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
    rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
)
"""Participants that may be callers: people, in a browser or on the telephone."""
_INPUT_RATE_HZ: Final = 16_000
"""What recognisers and the detector take: no resampling in between."""
_INPUT_FRAME_MS: Final = 20


def is_caller(participant: rtc.RemoteParticipant, attributes: Mapping[str, str]) -> bool:
    """Whether a participant is the caller of the call that `attributes` name.

    Its token carries the same signed attributes as the dispatch, all of them, and does not let it change them.
    """
    return participant.kind in CALLER_KINDS and all(
        participant.attributes.get(name) == value for name, value in attributes.items()
    )


class LiveKitRoomTransport:
    """The caller's and the agent's tracks in one room. Nobody else is heard, whenever they join.

    Args:
        room: connected room, without automatic subscriptions.
        attributes: what our side signed (dispatch metadata), checked by the host.
        leave: leaves the room and deletes it.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        room: rtc.Room,
        *,
        attributes: Mapping[str, str],
        leave: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._room = room
        self._attributes = dict(attributes)
        self._leave = leave
        self._clock = clock
        self._caller: str | None = None
        self._io: room_io.RoomIO | None = None
        self._gone: asyncio.Future[DisconnectReason] = asyncio.get_running_loop().create_future()
        self._closed = False
        room.on("participant_connected", self._participant_came)
        room.on("participant_disconnected", self._participant_left)
        room.on("track_published", self._track_published)
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

        Returns as well when the caller has left meanwhile: `wait_disconnected` tells.

        Raises:
            MediaError: no caller came, or the agent's audio does not reach it.
            TrackNotPublishedError: the agent's track was not published within 2 s.
        """
        caller = await self._wait_for_caller()
        self._caller = caller.identity
        for publication in caller.track_publications.values():
            self._track_published(publication, caller)
        published = asyncio.Event()
        self._room.on("local_track_published", lambda *_args: published.set())
        self._io = room_io.RoomIO(
            agent_session=session, room=self._room, participant=caller.identity, options=_room_options()
        )
        await self._io.start()
        if not await self._unless_gone(published.wait(), PUBLISH_TIMEOUT_S):
            raise TrackNotPublishedError(
                "the agent's audio could not be published in time", hint="the media server may be overloaded"
            )
        if not await self._unless_gone(self._io.wait_for_ready(), CALLER_TIMEOUT_S):
            raise MediaError("the caller does not receive the agent's audio")
        if session.input.audio is not None:
            session.input.audio = _LiveInput(session.input.audio, clock=self._clock)

    def on_dtmf(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with each key the caller presses."""

        def pressed(dtmf: rtc.SipDTMF) -> None:
            if dtmf.participant is not None and dtmf.participant.identity == self._caller:
                handler(dtmf.digit)

        self._room.on("sip_dtmf_received", pressed)

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

    async def _wait_for_caller(self) -> rtc.RemoteParticipant:
        joined: asyncio.Future[rtc.RemoteParticipant] = asyncio.get_running_loop().create_future()

        def consider(participant: rtc.RemoteParticipant) -> None:
            if is_caller(participant, self._attributes) and not joined.done():
                joined.set_result(participant)

        self._room.on("participant_connected", consider)
        for participant in self._room.remote_participants.values():
            consider(participant)
        try:
            async with asyncio.timeout(CALLER_TIMEOUT_S):
                return await joined
        except TimeoutError:
            raise MediaError("no caller joined the room") from None
        finally:
            self._room.off("participant_connected", consider)

    async def _unless_gone(self, work: Coroutine[Any, Any, object], timeout_s: float) -> bool:
        """Wait for `work`, or until the caller has gone; False when `timeout_s` ran out."""
        waiting = asyncio.create_task(work)
        either: set[asyncio.Future[Any]] = {waiting, self._gone}
        try:
            done, _ = await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        return bool(done)

    def _participant_came(self, participant: rtc.RemoteParticipant) -> None:
        if participant.kind in CALLER_KINDS and not is_caller(participant, self._attributes):
            # told from the room's own task, to which no call is bound
            call_id = self._attributes[Attribute.CALL_ID]
            log.warning("participant_ignored", call_id=call_id, sid=participant.sid)

    def _track_published(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if participant.identity == self._caller and publication.kind == rtc.TrackKind.KIND_AUDIO:
            publication.set_subscribed(True)

    def _participant_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity != self._caller:
            return
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


class _LiveInput(io.AudioInput):
    """The room's audio, each frame with the time at which it came out of the jitter buffer (audio/taps.py)."""

    def __init__(self, source: io.AudioInput, *, clock: Callable[[], float]) -> None:
        super().__init__(label="LiveClock", source=source)
        self._next = source
        self._clock = clock
        self._track = LiveClock(_INPUT_RATE_HZ, frame_s=_INPUT_FRAME_MS / 1000)

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await self._next.__anext__()
        frame.userdata[RECEIVED_AT] = self._track.came(frame.samples_per_channel, self._clock())
        return frame


def _room_options() -> room_io.RoomOptions:
    return room_io.RoomOptions(
        audio_input=room_io.AudioInputOptions(
            sample_rate=_INPUT_RATE_HZ,
            frame_size_ms=_INPUT_FRAME_MS,
            # a changed level would make quiet sounds speech on one side of a measurement only; it also costs CPU
            auto_gain_control=False,
            # audio from before the connection comes as a file that anybody in the room could send
            pre_connect_audio=False,
        ),
        audio_output=room_io.AudioOutputOptions(sample_rate=24_000),
        # transcripts leave as sealed events; the synchroniser also costs CPU (docs/references.md)
        text_output=False,
        text_input=False,
        close_on_disconnect=False,
    )
