"""One call as its caller lives it: what was said and what was heard, on one time axis.

    left    caller as sent: sample n was spoken n/16000 s after the call was answered
    right   agent as heard: each block plays when it has arrived and the one before it is over

Both channels are followed with the speech edges that the agent's probe uses (edge_agents/audio/speech_edges.py).
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Final

import numpy as np

from edge_agents.audio.playout import Playout
from edge_agents.audio.speech_edges import EdgeTracker, Pcm
from local_stack.callers.wav import CALLER_RATE_HZ
from local_stack.private_files import open_private
from shared.errors import AudioFormatError

MAX_RECORDING_S: Final = 1800.0
"""Longest recording kept in memory (115 MB); the rest of the call is measured but not recorded."""

_STRETCHES_KEPT: Final = 256
"""Covers one turn: a reply of two minutes has fewer."""


class CallTimeline:
    """Both directions of one call. Positions are samples at 16 kHz since `begin`.

    Args:
        record: keep the audio for `write_recording`.
    """

    def __init__(self, *, record: bool = True) -> None:
        self.caller = EdgeTracker(CALLER_RATE_HZ, keep=_STRETCHES_KEPT)
        self.agent = EdgeTracker(CALLER_RATE_HZ, keep=_STRETCHES_KEPT)
        self.cleared_at: int | None = None
        self._record = record
        self._left: list[Pcm] = []
        self._right: list[Pcm] = []
        self._playout = Playout()
        self._origin_s: float | None = None

    def begin(self, origin_s: float) -> None:
        """The call was answered at `origin_s`, monotonic seconds. Audio may have arrived before."""
        self._origin_s = origin_s

    def position(self, at_s: float) -> int:
        """Where a moment stands on the axis; 0 before the beginning."""
        return 0 if self._origin_s is None else max(0, round((at_s - self._origin_s) * CALLER_RATE_HZ))

    def spoke(self, pcm: Pcm) -> None:
        """The microphone took the next samples."""
        self.caller.feed(pcm)
        if self._recording(self.caller.position):
            self._left.append(pcm)

    def heard(self, pcm: Pcm, at_s: float) -> None:
        """Agent audio arrived at `at_s`."""
        self._playout.push(pcm, CALLER_RATE_HZ, at_s)

    def cleared(self, at_s: float) -> None:
        """The agent was interrupted: what was not played by `at_s` never is."""
        self.advance(at_s)
        self._playout.clear()
        self.cleared_at = self.position(at_s)

    def advance(self, at_s: float) -> None:
        """Play what is due by `at_s`."""
        if self._origin_s is None:
            return
        for block in self._playout.advance(at_s):
            # audio that came before the answer was counted plays at once
            gap = self.position(block.start_s) - self.agent.position
            if gap > 0:
                self.agent.skip(gap)
                self._keep_right(np.zeros(gap, np.int16))
            self.agent.feed(block.samples)
            self._keep_right(block.samples)

    def write_recording(self, path: Path) -> None:
        """Write a stereo WAV file (0600), 16 kHz 16-bit: left the caller, right the agent.

        Raises:
            AudioFormatError: nothing was recorded.
            OSError: the file can't be written.
        """
        left = np.concatenate(self._left) if self._left else np.zeros(0, np.int16)
        right = np.concatenate(self._right) if self._right else np.zeros(0, np.int16)
        length = max(len(left), len(right))
        if not length:
            raise AudioFormatError("nothing was recorded")
        both = np.zeros((length, 2), "<i2")
        both[: len(left), 0] = left
        both[: len(right), 1] = right
        with open_private(path) as file, wave.open(file, "wb") as wav:
            wav.setnchannels(2)
            wav.setsampwidth(2)
            wav.setframerate(CALLER_RATE_HZ)
            wav.writeframes(both.tobytes())

    def _keep_right(self, pcm: Pcm) -> None:
        if self._recording(self.agent.position):
            self._right.append(pcm)

    def _recording(self, position: int) -> bool:
        return self._record and position <= MAX_RECORDING_S * CALLER_RATE_HZ
