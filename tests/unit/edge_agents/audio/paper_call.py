"""A call on paper: audio of both sides with exact instants, for the latency probe."""

from __future__ import annotations

import pytest

from edge_agents.audio.latency import LatencyProbe
from edge_agents.audio.speech_edges import Pcm
from tests.unit.edge_agents.audio.sounds import silence

RATE = 16000
TTS_RATE = 24000
ERROR_MS = 5.0
"""Steep edges are placed within a few milliseconds."""


class Call:
    """A call on paper: the caller's microphone never stops, the agent speaks when told."""

    def __init__(self, *, block_s: float = 0.020) -> None:
        self.probe = LatencyProbe()
        self.now_s = 100.0
        self._block = round(RATE * block_s)

    def caller(self, pcm: Pcm, *, late_s: float = 0.0) -> None:
        """The caller's next audio, arriving block by block in real time."""
        for start in range(0, len(pcm), self._block):
            block = pcm[start : start + self._block]
            self.now_s += len(block) / RATE
            self.probe.heard(block, RATE, self.now_s + late_s)

    def quiet(self, seconds: float) -> None:
        self.caller(silence(seconds))

    def agent(self, pcm: Pcm, rate_hz: int = TTS_RATE) -> None:
        """The agent's next audio, handed over at once in frames of 100 ms."""
        step = rate_hz // 10
        for start in range(0, len(pcm), step):
            self.probe.sending(pcm[start : start + step], rate_hz, self.now_s)


def ms(value: float) -> object:
    return pytest.approx(value, abs=ERROR_MS)
