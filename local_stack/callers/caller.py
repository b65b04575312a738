"""A caller that is a program: speaks, listens, interrupts, hangs up, and measures with its own ears."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from local_stack.callers.media import CallerMedia, CallOver
from local_stack.callers.script import FRAME, CallScript, Manners, TurnReport, Utterance
from local_stack.callers.timeline import CallTimeline
from local_stack.callers.wav import CALLER_RATE_HZ

_LATE_S: Final = 0.020
"""A microphone frame that leaves later than this counts as late: figures of that call are doubtful."""


@dataclass(frozen=True, slots=True)
class CallerReport:
    """One call as its caller noted it."""

    answered_s: float
    """When the agent answered, monotonic seconds; times in turns count from here."""
    answer_ms: float
    """From dialling to the answer."""
    greeting_ms: float | None
    """From the answer to the agent's first audible sample; None when it never greeted."""
    turns: tuple[TurnReport, ...]
    """One for each utterance that was begun."""
    over: CallOver
    """How it ended."""
    duration_s: float
    """From the answer to the end."""
    late_frames: int
    """Microphone frames sent more than 20 ms late, of 50 a second: load on this machine."""

    @property
    def unanswered(self) -> int:
        """Utterances without an answer."""
        return sum(turn.unanswered for turn in self.turns)

    @property
    def early(self) -> int:
        """Utterances that the agent did not let end."""
        return sum(turn.early for turn in self.turns)


class SyntheticCaller:
    """One call. Make a new one for the next.

    The microphone never stops: between utterances it sends silence, in real time, as a telephone does.

    Args:
        media: the caller's end of the call; closed by `call`.
        utterances: what to say; none listens to the greeting and hangs up.
        manners: when to say it.
        record: keep the audio for `timeline.write_recording`.
        clock: monotonic seconds, the clock of `media`.
    """

    def __init__(
        self,
        media: CallerMedia,
        utterances: Sequence[Utterance],
        *,
        manners: Manners | None = None,
        record: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeline = CallTimeline(record=record)
        self._media = media
        self._script = CallScript(utterances, manners or Manners(), self.timeline)
        self._clock = clock
        self._late_frames = 0

    @property
    def turns_done(self) -> int:
        """Utterances that were answered, or given up on, so far."""
        return len(self._script.turns)

    async def call(self) -> CallerReport:
        """Dial, talk, hang up.

        Cancellation hangs up.

        Raises:
            CallRefusedError: the call was refused.
            MediaError: the agent can't be reached or did not answer.
        """
        dialled_s = self._clock()
        try:
            answered_s = await self._media.connect(
                on_audio=self.timeline.heard, on_clear=self.timeline.cleared
            )
            self.timeline.begin(answered_s)
            await self._talk(answered_s)
            ended_s = self._clock()
            await self._media.hang_up()
        finally:
            await self._media.aclose()
        greeted_at = self._script.greeted_at
        return CallerReport(
            answered_s=answered_s,
            answer_ms=(answered_s - dialled_s) * 1000,
            greeting_ms=None if greeted_at is None else greeted_at * 1000 / CALLER_RATE_HZ,
            turns=tuple(self._script.turns),
            over=self._media.over or CallOver(ended_by_agent=False, reason=""),
            duration_s=ended_s - answered_s,
            late_frames=self._late_frames,
        )

    async def _talk(self, answered_s: float) -> None:
        frames = 0
        while self._media.over is None and not self._script.done:
            frames += 1
            # a frame leaves when its last sample was taken
            due_s = answered_s + frames * FRAME / CALLER_RATE_HZ
            now_s = self._clock()
            if due_s > now_s:
                await asyncio.sleep(due_s - now_s)
            else:
                self._late_frames += now_s - due_s > _LATE_S
            pcm = self._script.next_frame()
            self.timeline.spoke(pcm)
            await self._media.send(pcm)
            now_s = self._clock()
            self.timeline.advance(now_s)
            self._script.step(self.timeline.position(now_s))
        self._script.finish()
