"""Callers of the agent under test: what they say, what they hear, and one that a test leads by hand."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass

import numpy as np

from edge_agents.audio.phrases import fallback_apology
from edge_agents.audio.speech_edges import Pcm
from local_stack.callers.caller import CallerReport, SyntheticCaller
from local_stack.callers.script import FRAME
from local_stack.callers.timeline import CallTimeline
from local_stack.callers.wav import CALLER_RATE_HZ
from local_stack.callers.websocket_media import WebSocketMedia
from tests.fakes.waiting import until


def speech(seconds: float = 1.0) -> Pcm:
    """Somebody speaking: the beginning of the packaged apology, without the silence before it."""
    pcm = np.concatenate([np.frombuffer(frame.data, np.int16) for frame in fallback_apology()])
    return pcm[480 : 480 + round(seconds * 16_000)]


def silence(seconds: float) -> Pcm:
    """Nobody speaking."""
    return np.zeros(round(seconds * CALLER_RATE_HZ), np.int16)


@dataclass(frozen=True)
class Placed:
    """A call that a synthetic caller made."""

    call_id: str
    heard: CallerReport
    caller: SyntheticCaller


def silences(placed: Placed) -> list[float]:
    """How long the caller heard nothing, seconds: after each word of either side, until the agent's next or the end."""
    agent = placed.caller.timeline.agent.stretches
    spoken = [one.end / CALLER_RATE_HZ for one in (*agent, *placed.caller.timeline.caller.stretches)]
    heard = [one.start / CALLER_RATE_HZ for one in agent] + [placed.heard.duration_s]
    return [min((at for at in heard if at >= end), default=end) - end for end in [0.0, *spoken]]


class Line:
    """One call that a test leads by hand. The microphone never stops; between utterances it takes silence.

    Args:
        call_id: the call.
        media: not connected yet.
    """

    def __init__(self, call_id: str, media: WebSocketMedia) -> None:
        self.call_id = call_id
        self.media = media
        self.timeline = CallTimeline()
        self._coming = np.zeros(0, np.int16)
        self._said = asyncio.Event()
        self._microphone: asyncio.Task[None] | None = None

    async def dial(self) -> None:
        """Wait for the answer."""
        answered_s = await self.media.connect(on_audio=self.timeline.heard, on_clear=self.timeline.cleared)
        self.timeline.begin(answered_s)
        self._microphone = asyncio.create_task(self._talk(answered_s))

    async def say(self, pcm: Pcm) -> None:
        """Speak to the end."""
        self._said.clear()
        self._coming = pcm
        await self._said.wait()

    async def hears(self, timeout_s: float = 15.0) -> None:
        """Wait for the agent's next speech to begin."""
        before = len(self.timeline.agent.stretches)

        async def begun() -> bool:
            return len(self.timeline.agent.stretches) > before

        await until(begun, timeout_s)

    async def has_heard(self, seconds: float, timeout_s: float = 20.0) -> None:
        """Wait until the agent has spoken for so long, all in all."""

        async def heard() -> bool:
            stretches = self.timeline.agent.stretches
            return sum(one.end - one.start for one in stretches) >= seconds * CALLER_RATE_HZ

        await until(heard, timeout_s)

    async def hears_out(self, quiet_s: float = 0.8, timeout_s: float = 20.0) -> None:
        """Wait until the agent has said something, and nothing more for a while."""

        async def quiet() -> bool:
            last = self.timeline.agent.last_voiced_end
            return (
                last is not None
                and self.timeline.position(time.monotonic()) - last > quiet_s * CALLER_RATE_HZ
            )

        await until(quiet, timeout_s)

    async def ended(self, timeout_s: float = 20.0) -> str:
        """Wait for the agent's side to end the call; why it did."""

        async def over() -> bool:
            return self.media.over is not None

        await until(over, timeout_s)
        assert self.media.over is not None
        return self.media.over.reason

    async def hang_up(self) -> None:
        """End the call in order; twice does nothing."""
        await self._stop()
        await self.media.hang_up()

    async def vanish(self) -> None:
        """Be gone without a word, as when a telephone loses the network."""
        await self._stop()
        assert self.media._socket is not None
        transport = self.media._socket._response.connection
        assert transport is not None
        assert transport.transport is not None
        transport.transport.abort()
        await self.media.aclose()

    async def _stop(self) -> None:
        if self._microphone is not None:
            self._microphone.cancel()
            await asyncio.gather(self._microphone, return_exceptions=True)

    async def _talk(self, answered_s: float) -> None:
        for frames in itertools.count(1):
            await asyncio.sleep(answered_s + frames * FRAME / CALLER_RATE_HZ - time.monotonic())
            piece, self._coming = self._coming[:FRAME], self._coming[FRAME:]
            if len(piece) < FRAME:
                piece = np.concatenate((piece, np.zeros(FRAME - len(piece), np.int16)))
            if not len(self._coming):
                self._said.set()
            self.timeline.spoke(piece)
            await self.media.send(piece)
            self.timeline.advance(time.monotonic())
