from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
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
from tests.fakes.livekit_room import FakeParticipant, FakePublication, FakeRoom
from tests.fakes.virtual_time import run_virtual

OURS = {Attribute.TENANT_ID: "ten_ours", Attribute.AGENT_ID: "agt_1", Attribute.CALL_ID: "call_1"}


@dataclass
class Line:
    """A transport on a room that is not there."""

    room: FakeRoom
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


def caller(**more: Any) -> FakeParticipant:
    return FakeParticipant("caller-1", dict(OURS), **more)


def test_an_attached_room_gives_the_session_its_audio() -> None:
    async def scenario() -> None:
        line = Line(FakeRoom(caller()))
        await line.attach()
        assert line.session.input.audio is not None
        assert line.session.output.audio is not None

    run_virtual(scenario())


def test_a_track_that_is_not_published_within_two_seconds_fails_the_media() -> None:
    async def scenario() -> float:
        line = Line(FakeRoom(caller()))
        line.room.local_participant.publishes = False
        with pytest.raises(TrackNotPublishedError):
            await line.attach()
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario()) == pytest.approx(1002.0)


def test_a_caller_who_never_receives_the_track_fails_the_media() -> None:
    async def scenario() -> None:
        line = Line(FakeRoom(caller()))
        line.room.local_participant.subscribed = False
        with pytest.raises(MediaError, match="does not receive"):
            await line.attach()

    run_virtual(scenario())


def test_a_room_that_stays_empty_fails_the_media() -> None:
    async def scenario() -> None:
        recorder = FakeParticipant("recorder", kind=rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS)
        with pytest.raises(MediaError, match="no caller"):
            await Line(FakeRoom(recorder)).attach()

    run_virtual(scenario())


def test_a_caller_who_comes_later_is_waited_for() -> None:
    async def scenario() -> None:
        line = Line(FakeRoom())
        asyncio.get_running_loop().call_later(3, line.room.join, caller())
        await line.attach()

    run_virtual(scenario())


STRANGERS = [
    {},
    {**OURS, Attribute.TENANT_ID: "ten_other"},
    {**OURS, Attribute.CALL_ID: "call_2"},
    {**OURS, Attribute.AGENT_ID: "agt_2"},
    {Attribute.AGENT_ID: "agt_1", Attribute.CALL_ID: "call_1"},
]
"""Attributes of participants whom the dispatch does not name."""


@pytest.mark.parametrize("attributes", STRANGERS, ids=range(len(STRANGERS)))
def test_nobody_but_the_caller_whom_the_dispatch_names_gets_audio(attributes: dict[str, str]) -> None:
    async def scenario() -> None:
        microphone = FakePublication()
        line = Line(
            FakeRoom(FakeParticipant("caller-1", attributes, track_publications={"TR_1": microphone}))
        )
        with pytest.raises(MediaError, match="no caller"):
            await line.attach()
        assert line.session.output.audio is None
        assert not microphone.subscribed

    run_virtual(scenario())


def test_the_caller_is_found_among_others_who_came_first() -> None:
    async def scenario() -> None:
        line = Line(FakeRoom(FakeParticipant("stranger")))
        asyncio.get_running_loop().call_later(3, line.room.join, caller())
        await line.attach()

    run_virtual(scenario())


@pytest.mark.parametrize("attributes", [*STRANGERS, OURS], ids=range(len(STRANGERS) + 1))
def test_only_the_caller_s_audio_is_subscribed_whoever_joins_later(attributes: dict[str, str]) -> None:
    async def scenario() -> list[bool]:
        before, after, camera, theirs = (FakePublication() for _ in range(4))
        camera.kind = rtc.TrackKind.KIND_VIDEO
        line = Line(FakeRoom(caller(track_publications={"TR_1": before})))
        await line.transport.attach(line.session)
        line.room.join(FakeParticipant("later", dict(attributes)))
        line.room.publish("later", theirs)
        line.room.publish("caller-1", after)
        line.room.publish("caller-1", camera)
        await line.transport.aclose(EndReason.AGENT_ENDED)
        return [one.subscribed for one in (before, after, camera, theirs)]

    assert run_virtual(scenario()) == [True, True, False, False]


def test_only_the_caller_s_keys_count() -> None:
    async def scenario() -> list[str]:
        line, pressed = Line(FakeRoom(caller())), list[str]()
        line.transport.on_dtmf(pressed.append)
        await line.transport.attach(line.session)
        for identity, digit in (("later", "1"), ("caller-1", "2"), (None, "3")):
            participant = FakeParticipant(identity) if identity else None
            line.room.emit("sip_dtmf_received", SimpleNamespace(participant=participant, digit=digit))
        await line.transport.aclose(EndReason.AGENT_ENDED)
        return pressed

    assert run_virtual(scenario()) == ["2"]


def test_a_caller_who_leaves_before_the_audio_is_up_has_hung_up() -> None:
    async def scenario() -> DisconnectReason:
        line = Line(FakeRoom(caller()))
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
        line = Line(FakeRoom(caller()))
        await line.transport.attach(line.session)
        line.room.leave("caller-1", reason)
        gone = await line.transport.wait_disconnected()
        await line.transport.aclose(EndReason.CALLER_HUNG_UP)
        return gone

    assert run_virtual(scenario()) is means


def test_only_the_caller_can_end_the_call_by_leaving() -> None:
    async def scenario() -> DisconnectReason:
        line = Line(FakeRoom(caller()))
        await line.transport.attach(line.session)
        line.room.join(FakeParticipant("listener"))
        line.room.leave("listener")
        await line.transport.aclose(EndReason.AGENT_ENDED)
        return await line.transport.wait_disconnected()

    assert run_virtual(scenario()) is DisconnectReason.CLOSED


def test_the_caller_is_told_why_the_call_ended_and_the_room_is_left_once() -> None:
    async def scenario() -> None:
        line = Line(FakeRoom(caller()))
        await line.transport.attach(line.session)
        await line.transport.aclose(EndReason.LIMIT_REACHED)
        await line.transport.aclose(EndReason.CALLER_HUNG_UP)
        ((topic, payload),) = line.room.local_participant.data
        assert (topic, json.loads(payload)) == (ENDED_TOPIC, {"reason": "limit_reached"})
        assert line.left == 1

    run_virtual(scenario())
