"""A carrier with an agent behind it that does as told, on virtual time: 20 ms of agent audio for each 20 ms sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from edge_agents.audio.speech_edges import EdgeTracker, Pcm
from local_stack.callers.media import CallOver
from local_stack.callers.script import FRAME
from tests.fakes.virtual_time import loop_time
from tests.unit.edge_agents.audio.sounds import silence, tone

RATE = 16000


@dataclass
class Behaviour:
    """What the agent does."""

    greets_after_s: float | None = 0.5
    greeting_s: float = 1.0
    thinks_s: float | None = 0.6
    """Silence of the caller after which it answers; None never answers."""
    replies_s: list[float] = field(default_factory=lambda: [1.0])
    """Lengths of its replies, the last one for all that follow."""
    stops_after_s: float | None = None
    """Caller's speech over its own after which it falls silent; None talks on."""
    sends_clear: bool = True
    ends_after_replies: int | None = None
    """It ends the call when it has given so many replies."""
    jumps_in_after_s: float | None = None
    """Starts to talk so long after the caller began, without waiting for the end."""


class ScriptedAgentMedia:
    """CallerMedia of a call with such an agent."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.over: CallOver | None = None
        self.sent: list[Pcm] = []
        self.closed = 0
        self.keys = ""
        self._caller = EdgeTracker(RATE)
        self._playing: Pcm = silence(0)
        self._answered_until = 0
        self._replies = 0
        self._greeted = False

    async def connect(
        self, *, on_audio: Callable[[Pcm, float], None], on_clear: Callable[[float], None]
    ) -> float:
        self._on_audio, self._on_clear = on_audio, on_clear
        return loop_time()

    async def send(self, pcm: Pcm) -> None:
        if self.over is not None:
            return
        assert len(pcm) == FRAME
        self.sent.append(pcm)
        self._caller.feed(pcm)
        self._think()
        if len(self._playing):
            piece, self._playing = self._playing[:FRAME], self._playing[FRAME:]
            self._on_audio(piece, loop_time())
        elif self.behaviour.ends_after_replies == self._replies:
            self.over = CallOver(ended_by_agent=True, reason="agent_ended")

    async def send_dtmf(self, digit: str) -> None:
        self.keys += digit

    async def hang_up(self) -> None:
        if self.over is None:
            self.over = CallOver(ended_by_agent=False, reason="")

    async def aclose(self) -> None:
        self.closed += 1

    def _think(self) -> None:
        behaviour, now = self.behaviour, self._caller.position
        if not self._greeted and behaviour.greets_after_s is not None:
            if now >= behaviour.greets_after_s * RATE:
                self._greeted = True
                self._playing = tone(behaviour.greeting_s)
            return
        began = self._caller.first_voiced_since(self._answered_until)
        if began is None:
            return
        ended = self._caller.last_voiced_end or now
        if len(self._playing):
            if behaviour.stops_after_s is not None and now - began >= behaviour.stops_after_s * RATE:
                self._playing = silence(0)
                if behaviour.sends_clear:
                    self._on_clear(loop_time())
        elif behaviour.jumps_in_after_s is not None and now - began >= behaviour.jumps_in_after_s * RATE:
            behaviour.jumps_in_after_s = None
            self._reply(now)
        elif behaviour.thinks_s is not None and now - ended >= behaviour.thinks_s * RATE:
            self._reply(ended)

    def _reply(self, answered_until: int) -> None:
        self._answered_until = answered_until
        lengths = self.behaviour.replies_s
        self._playing = tone(lengths[min(self._replies, len(lengths) - 1)])
        self._replies += 1

    @property
    def pcm(self) -> Pcm:
        """All that the caller sent."""
        return np.concatenate(self.sent)
