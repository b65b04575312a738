from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import AgentSession

from edge_agents.transport.livekit_room import ENDED_TOPIC, LiveKitRoomTransport
from edge_agents.transport.port import DisconnectReason
from shared.domain.call import EndReason
from shared.errors import MediaError, TrackNotPublishedError
from shared.names import Attribute
from tests.fakes.virtual_time import run_virtual

OURS = {Attribute.TENANT_ID: "ten_ours", Attribute.AGENT_ID: "agt_1", Attribute.CALL_ID: "call_1"}


@dataclass
class Participant:
    """Somebody in the room."""

    identity: str
    attributes: dict[str, str] = field(default_factory=dict)
    kind: int = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
    sid: str = "PA_1"
    name: str = ""
    disconnect_reason: int | None = None
    track_publications: dict[str, Any] = field(default_factory=dict)


class Publisher:
    """The agent's own participant. `publishes` and `subscribed` are what the media server does."""

    identity = "agent-call_1"

    def __init__(self, emit: Callable[..., None]) -> None:
        self.publishes = self.subscribed = True
        self.data: list[tuple[str, str]] = []
        self._emit = emit

    async def publish_track(self, track: rtc.LocalAudioTrack, _options: object) -> Any:
        if not self.publishes:
            await asyncio.get_running_loop().create_future()

        async def wait_for_subscription() -> None:
            if not self.subscribed:
                await asyncio.get_running_loop().create_future()

        self._emit("local_track_published", None, track)
        return SimpleNamespace(sid="TR_1", wait_for_subscription=wait_for_subscription)

    async def publish_data(self, payload: str, *, reliable: bool, topic: str) -> None:
        assert reliable
        self.data.append((topic, payload))

    async def set_attributes(self, _attributes: dict[str, str]) -> None:
        pass


class Room(rtc.EventEmitter[str]):
    """What the transport and livekit-agents' RoomIO use of a room."""

    name = "call_1"

    def __init__(self, *present: Participant) -> None:
        super().__init__()
        self.remote_participants = {one.identity: one for one in present}
        self.local_participant = Publisher(self.emit)

    def isconnected(self) -> bool:
        return True

    def register_byte_stream_handler(self, _topic: str, _handler: object) -> None:
        pass

    def unregister_byte_stream_handler(self, _topic: str) -> None:
        pass

    def join(self, participant: Participant) -> None:
        self.remote_participants[participant.identity] = participant
        self.emit("participant_connected", participant)

    def leave(self, identity: str, reason: int = rtc.DisconnectReason.CLIENT_INITIATED) -> None:
        participant = self.remote_participants.pop(identity)
        participant.disconnect_reason = reason
        self.emit("participant_disconnected", participant)


@dataclass
class Line:
    """A transport on a room that is not there."""

    room: Room
    left: int = 0

    def __post_init__(self) -> None:
        async def leave() -> None:
            self.left += 1

        room: Any = self.room
        self.transport = LiveKitRoomTransport(room, attributes=OURS, leave=leave)
        self.session: AgentSession[None] = AgentSession(vad=None)

    async def attach(self) -> None:
        """Attach, and close whatever comes of it."""
        try:
            await self.transport.attach(self.session)
        finally:
            await self.transport.aclose(EndReason.MEDIA_FAILED)


def caller(**more: Any) -> Participant:
    return Participant("caller-1", dict(OURS), **more)


def test_an_attached_room_gives_the_session_its_audio() -> None:
    async def scenario() -> None:
        line = Line(Room(caller()))
        await line.attach()
        assert line.session.input.audio is not None
        assert line.session.output.audio is not None

    run_virtual(scenario())


def test_a_track_that_is_not_published_within_two_seconds_fails_the_media() -> None:
    async def scenario() -> float:
        line = Line(Room(caller()))
        line.room.local_participant.publishes = False
        with pytest.raises(TrackNotPublishedError):
            await line.attach()
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario()) == pytest.approx(1002.0)


def test_a_caller_who_never_receives_the_track_fails_the_media() -> None:
    async def scenario() -> None:
        line = Line(Room(caller()))
        line.room.local_participant.subscribed = False
        with pytest.raises(MediaError, match="does not receive"):
            await line.attach()

    run_virtual(scenario())


def test_a_room_that_stays_empty_fails_the_media() -> None:
    async def scenario() -> None:
        recorder = Participant("recorder", kind=rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS)
        with pytest.raises(MediaError, match="no caller"):
            await Line(Room(recorder)).attach()

    run_virtual(scenario())


def test_a_caller_who_comes_later_is_waited_for() -> None:
    async def scenario() -> None:
        line = Line(Room())
        asyncio.get_running_loop().call_later(3, line.room.join, caller())
        await line.attach()

    run_virtual(scenario())


def test_a_caller_of_another_tenant_gets_no_audio() -> None:
    async def scenario() -> None:
        stranger = Participant("caller-1", {**OURS, Attribute.TENANT_ID: "ten_other"})
        line = Line(Room(stranger))
        with pytest.raises(MediaError, match="different tenants"):
            await line.attach()
        assert line.session.output.audio is None

    run_virtual(scenario())


def test_a_caller_who_leaves_before_the_audio_is_up_has_hung_up() -> None:
    async def scenario() -> DisconnectReason:
        line = Line(Room(caller()))
        line.room.local_participant.subscribed = False
        asyncio.get_running_loop().call_later(0.5, line.room.leave, "caller-1")
        await line.attach()
        return await line.transport.wait_disconnected()

    assert run_virtual(scenario()) is DisconnectReason.HUNG_UP


@pytest.mark.parametrize(
    ("reason", "means"),
    [
        (rtc.DisconnectReason.CLIENT_INITIATED, DisconnectReason.HUNG_UP),
        (rtc.DisconnectReason.CONNECTION_TIMEOUT, DisconnectReason.LOST),
    ],
)
def test_how_the_caller_left_tells_whether_the_line_was_lost(reason: int, means: DisconnectReason) -> None:
    async def scenario() -> DisconnectReason:
        line = Line(Room(caller()))
        await line.transport.attach(line.session)
        line.room.leave("caller-1", reason)
        gone = await line.transport.wait_disconnected()
        await line.transport.aclose(EndReason.CALLER_HUNG_UP)
        return gone

    assert run_virtual(scenario()) is means


def test_only_the_caller_can_end_the_call_by_leaving() -> None:
    async def scenario() -> DisconnectReason:
        line = Line(Room(caller()))
        await line.transport.attach(line.session)
        line.room.join(Participant("listener"))
        line.room.leave("listener")
        await line.transport.aclose(EndReason.AGENT_ENDED)
        return await line.transport.wait_disconnected()

    assert run_virtual(scenario()) is DisconnectReason.CLOSED


def test_the_caller_is_told_why_the_call_ended_and_the_room_is_left_once() -> None:
    async def scenario() -> None:
        line = Line(Room(caller()))
        await line.transport.attach(line.session)
        await line.transport.aclose(EndReason.LIMIT_REACHED)
        await line.transport.aclose(EndReason.CALLER_HUNG_UP)
        ((topic, payload),) = line.room.local_participant.data
        assert (topic, json.loads(payload)) == (ENDED_TOPIC, {"reason": "limit_reached"})
        assert line.left == 1

    run_virtual(scenario())
