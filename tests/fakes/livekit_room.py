"""A LiveKit room that is not there: what the transport and livekit-agents' RoomIO use of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from livekit import rtc


@dataclass
class FakeParticipant:
    """Somebody in the room."""

    identity: str
    attributes: dict[str, str] = field(default_factory=dict)
    kind: int = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
    sid: str = "PA_1"
    name: str = ""
    disconnect_reason: int | None = None
    track_publications: dict[str, Any] = field(default_factory=dict)


@dataclass
class FakePublication:
    """A track that somebody publishes."""

    kind: int = rtc.TrackKind.KIND_AUDIO
    track: None = None
    subscribed: bool = False

    def set_subscribed(self, subscribed: bool) -> None:
        """Remember it."""
        self.subscribed = subscribed


class FakePublisher:
    """The agent's own participant. `publishes` and `subscribed` are what the media server does."""

    identity = "agent-call_1"

    def __init__(self, emit: Callable[..., None]) -> None:
        self.publishes = self.subscribed = True
        self.data: list[tuple[str, str]] = []
        self._emit = emit

    async def publish_track(self, track: rtc.LocalAudioTrack, _options: object) -> Any:
        """Publish, or wait for ever."""
        if not self.publishes:
            await asyncio.get_running_loop().create_future()

        async def wait_for_subscription() -> None:
            if not self.subscribed:
                await asyncio.get_running_loop().create_future()

        self._emit("local_track_published", None, track)
        return SimpleNamespace(sid="TR_1", wait_for_subscription=wait_for_subscription)

    async def publish_data(self, payload: str, *, reliable: bool, topic: str) -> None:
        """Keep it."""
        assert reliable
        self.data.append((topic, payload))

    async def set_attributes(self, _attributes: dict[str, str]) -> None:
        """Nobody reads them."""


class FakeRoom(rtc.EventEmitter[str]):
    """Events and participants are a test's to make.

    Args:
        present: who is in the room before the agent.
    """

    name = "call_1"

    def __init__(self, *present: FakeParticipant) -> None:
        super().__init__()
        self.remote_participants = {one.identity: one for one in present}
        self.local_participant = FakePublisher(self.emit)

    def isconnected(self) -> bool:
        """Always."""
        return True

    def register_byte_stream_handler(self, _topic: str, _handler: object) -> None:
        """No streams come."""

    def unregister_byte_stream_handler(self, _topic: str) -> None:
        """No streams come."""

    def join(self, participant: FakeParticipant) -> None:
        """Somebody comes."""
        self.remote_participants[participant.identity] = participant
        self.emit("participant_connected", participant)

    def publish(self, identity: str, publication: FakePublication) -> None:
        """Somebody switches a microphone or a camera on."""
        participant = self.remote_participants[identity]
        participant.track_publications[f"TR_{len(participant.track_publications)}"] = publication
        self.emit("track_published", publication, participant)

    def leave(self, identity: str, reason: int = rtc.DisconnectReason.CLIENT_INITIATED) -> None:
        """Somebody goes."""
        participant = self.remote_participants.pop(identity)
        participant.disconnect_reason = reason
        self.emit("participant_disconnected", participant)
