"""A call without sound: the test writes what the caller says, and the agent's speech is over at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession
from livekit.agents.voice import io

from edge_agents.transport.port import DisconnectReason
from shared.domain.call import EndReason, Media


class _NoInput(io.AudioInput):
    def __init__(self) -> None:
        super().__init__(label="none")

    async def __anext__(self) -> rtc.AudioFrame:
        await asyncio.Event().wait()
        raise StopAsyncIteration


class _InstantOutput(io.AudioOutput):
    def __init__(self) -> None:
        super().__init__(label="none", capabilities=io.AudioOutputCapabilities(pause=False))
        self._captured_s = 0.0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._captured_s:
            self.on_playback_started(created_at=0.0)
        self._captured_s += frame.duration

    def flush(self) -> None:
        super().flush()
        self._end(interrupted=False)

    def clear_buffer(self) -> None:
        self._end(interrupted=True)

    def _end(self, *, interrupted: bool) -> None:
        captured_s, self._captured_s = self._captured_s, 0.0
        if captured_s:
            self.on_playback_finished(playback_position=captured_s, interrupted=interrupted)


class TextTransport:
    """MediaTransport of such a call.

    Args:
        attributes: what our side signed.
    """

    def __init__(self, attributes: Mapping[str, str]) -> None:
        self.attributes = dict(attributes)
        self.media = Media.WEBSOCKET
        self.attached = asyncio.Event()
        self._gone: asyncio.Future[DisconnectReason] = asyncio.get_running_loop().create_future()

    async def attach(self, session: AgentSession[Any]) -> None:
        """Set both directions."""
        session.input.audio = _NoInput()
        session.output.audio = _InstantOutput()
        self.attached.set()

    def on_dtmf(self, handler: Callable[[str], None]) -> None:
        """There are no keys."""

    async def wait_disconnected(self) -> DisconnectReason:
        """Wait for `hang_up`, or for the call to end."""
        return await asyncio.shield(self._gone)

    def hang_up(self) -> None:
        """The caller goes."""
        self._set(DisconnectReason.HUNG_UP)

    async def aclose(self, reason: EndReason) -> None:
        """The agent goes."""
        del reason
        self._set(DisconnectReason.CLOSED)

    def _set(self, reason: DisconnectReason) -> None:
        if not self._gone.done():
            self._gone.set_result(reason)
