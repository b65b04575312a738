"""A synthetic caller's end of a LiveKit room: a real WebRTC participant."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import numpy as np
from livekit import api, rtc

from edge_agents.audio.speech_edges import Pcm
from edge_agents.host.livekit_worker import DispatchMetadata
from edge_agents.transport.live_clock import LiveClock
from edge_agents.transport.livekit_room import ENDED_TOPIC
from local_stack.callers.media import CallOver
from local_stack.callers.wav import CALLER_RATE_HZ
from shared.errors import CallRefusedError, MediaError
from shared.names import AGENT_NAME

ANSWER_TIMEOUT_S: Final = 25.0
"""Connect, dispatch, a job process that may have to start, the agent's track."""
_TOKEN_LIFE: Final = timedelta(minutes=2)
"""To join with; livekit-server extends it for whoever is in the room."""
_CLOSE_TIMEOUT_S: Final = 5.0
_FRAME_MS: Final = 10
"""libwebrtc's own frames: what a sound card gives it and takes from it."""
_FRAME: Final = CALLER_RATE_HZ * _FRAME_MS // 1000
_SILENT: Final = 33
"""Peak of frames without sound: -60 dBFS, far below what is audible (edge_agents/audio/speech_edges.py)."""
_DTMF_CODES: Final = {digit: code for code, digit in enumerate("0123456789*#ABCD")}


def caller_token(metadata: DispatchMetadata, *, key: str, secret: str) -> str:
    """A room token as `POST /v1/calls` will give it: joins one room and dispatches the agent with signed metadata."""
    grants = api.VideoGrants(room_join=True, room=metadata.call_id, can_update_own_metadata=False)
    dispatch = api.RoomAgentDispatch(agent_name=AGENT_NAME, metadata=metadata.model_dump_json())
    return (
        api.AccessToken(key, secret)
        .with_identity(f"caller-{metadata.call_id}")
        .with_ttl(_TOKEN_LIFE)
        .with_grants(grants)
        .with_attributes(metadata.attributes())
        .with_room_config(api.RoomConfiguration(agents=[dispatch]))
        .to_jwt()
    )


class LiveKitMedia:
    """CallerMedia over WebRTC.

    Args:
        url: ws://host:port of the LiveKit server.
        token: lets the caller into its room (caller_token).
        clock: monotonic seconds.
    """

    def __init__(self, url: str, token: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._token = token
        self._clock = clock
        self._room = rtc.Room()
        # Without a queue, as a sound card does it. A queue sends silence while our loop is busy and keeps what comes
        # late, for good: one pause of 120 ms delays the rest of the call by 120 ms (measured, 22 Nov 2026).
        self._source = rtc.AudioSource(CALLER_RATE_HZ, 1, queue_size_ms=0)
        self._listening: set[asyncio.Task[None]] = set()
        self._answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._over: CallOver | None = None
        self._on_audio: Callable[[Pcm, float], None] = lambda _pcm, _at_s: None
        self._closed = False

    @property
    def over(self) -> CallOver | None:
        """How the call ended, or None while it goes on."""
        return self._over

    async def connect(
        self, *, on_audio: Callable[[Pcm, float], None], on_clear: Callable[[float], None]
    ) -> float:
        """Join the room, publish the microphone, wait for the agent's track."""
        del on_clear  # what was interrupted never leaves the agent's side
        self._on_audio = on_audio
        room = self._room
        room.on("track_subscribed", self._track_subscribed)
        room.on("participant_disconnected", lambda _participant: self._end(True, "lost"))
        room.on("disconnected", lambda *_args: self._end(True, "lost"))
        room.on("data_received", self._data_received)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await room.connect(self._url, self._token)
                microphone = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
                options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
                await room.local_participant.publish_track(microphone, options)
                return await self._answered
        except TimeoutError:
            raise MediaError(f"no agent answered in the room within {ANSWER_TIMEOUT_S:g} s") from None
        except rtc.ConnectError as error:
            raise MediaError("the LiveKit server can't be reached") from error

    async def send(self, pcm: Pcm) -> None:
        """Send what the microphone took."""
        samples = pcm.astype("<i2", copy=False)
        for start in range(0, len(samples), _FRAME):
            if self._over is None:
                piece = samples[start : start + _FRAME]
                await self._source.capture_frame(
                    rtc.AudioFrame(piece.tobytes(), CALLER_RATE_HZ, 1, len(piece))
                )

    async def send_dtmf(self, digit: str) -> None:
        """Press a key."""
        await self._room.local_participant.publish_dtmf(code=_DTMF_CODES[digit], digit=digit)

    async def hang_up(self) -> None:
        """Leave the room."""
        self._end(False, "")
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the room and free the microphone."""
        if self._closed:
            return
        self._closed = True
        self._end(False, "")
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._room.disconnect()
                await self._source.aclose()
        except TimeoutError:
            pass  # the server is gone; there is nothing left to tell it
        if not self._answered.cancelled():
            self._answered.exception()  # a refusal that nobody waited for is no unhandled error

    def _track_subscribed(self, track: rtc.Track, *_rest: Any) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            if not self._answered.done():
                self._answered.set_result(self._clock())
            task = asyncio.create_task(self._listen(track), name="caller.listen")
            self._listening.add(task)
            task.add_done_callback(self._listening.discard)

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=CALLER_RATE_HZ, num_channels=1, frame_size_ms=_FRAME_MS)
        clock = LiveClock(CALLER_RATE_HZ, frame_s=_FRAME_MS / 1000)
        try:
            async for event in stream:
                pcm = np.frombuffer(event.frame.data, "<i2").astype(np.int16)
                at_s = clock.came(len(pcm), self._clock())
                # the track never pauses; without its silence a frame that came late delays none after the next pause
                if np.abs(pcm.astype(np.int32)).max() > _SILENT:
                    self._on_audio(pcm, at_s)
        finally:
            await stream.aclose()

    def _data_received(self, packet: rtc.DataPacket) -> None:
        if packet.topic == ENDED_TOPIC:
            self._end(True, str(json.loads(packet.data)["reason"]))

    def _end(self, by_agent: bool, reason: str) -> None:
        if self._over is None:
            self._over = CallOver(ended_by_agent=by_agent, reason=reason)
        if not self._answered.done():
            self._answered.set_exception(
                CallRefusedError("the call ended before it began", reason=self._over.reason)
            )
