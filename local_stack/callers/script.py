"""When a synthetic caller speaks, and what it noted: decisions only, no clock and no I/O.

greeting ─► speaking ─► waiting for the answer ─► hearing it out ─► speaking … ─► done
               ▲                                      │
               └────── barge-in: before it is over ───┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

import numpy as np

from edge_agents.audio.speech_edges import Pcm, Stretch
from local_stack.callers.timeline import CallTimeline
from local_stack.callers.wav import CALLER_RATE_HZ

FRAME: Final = CALLER_RATE_HZ // 50
"""Samples of the microphone's frames: 20 ms."""

_SILENCE: Final = np.zeros(FRAME, np.int16)


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Something to say."""

    pcm: Pcm
    """int16, shape (n,), 16 kHz."""
    barge_in_at_s: float | None = None
    """None: wait until the agent has finished. Otherwise begin so long after the agent's current speech became
    audible, whether it is over or not."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a caller behaves."""

    greeting_timeout_s: float = 10.0
    """Speaks first when the agent has said nothing for so long."""
    answer_timeout_s: float = 15.0
    """An utterance without an answer for so long is `unanswered`; the caller goes on."""
    quiet_s: float = 0.8
    """The agent has finished when it was silent for so long."""
    early_patience_s: float = 3.0
    """After an early answer the caller waits so long for another one."""
    longest_reply_s: float = 120.0
    """The caller speaks anyway when the agent talks for so long."""
    waits_for_end: bool = False
    """After the last answer: False hangs up, True leaves that to the agent."""
    end_timeout_s: float = 30.0
    """Hangs up when the agent has not ended the call by then."""


@dataclass(frozen=True, slots=True)
class TurnReport:
    """What the caller noted of one utterance. Times are seconds since the call was answered."""

    began_at_s: float
    """First voiced sample of the utterance."""
    ended_at_s: float
    """Last voiced sample."""
    answered_at_s: float | None
    """First audible sample of the answer; None without one."""
    speak_to_hear_ms: float | None
    """From `ended_at_s` to the answer; negative when it came before the caller had finished (`early`)."""
    barge_in_stop_ms: float | None
    """From `began_at_s` to the last sample heard of the speech that was interrupted; None when none was."""
    early: bool
    """The agent began while the caller was speaking; the first such sample counts as the answer."""

    @property
    def unanswered(self) -> bool:
        """The agent stayed silent."""
        return self.answered_at_s is None


class _Stage(Enum):
    GREETING = auto()
    SPEAKING = auto()
    ANSWER = auto()
    HEARING = auto()
    ENDING = auto()
    DONE = auto()


class CallScript:
    """Plays utterances in turn with the agent.

    Args:
        utterances: what to say, in order.
        manners: when to say it.
        timeline: what was heard; kept up to date by the caller.
    """

    def __init__(self, utterances: Sequence[Utterance], manners: Manners, timeline: CallTimeline) -> None:
        self.turns: list[TurnReport] = []
        self.greeted_at: int | None = None
        self._coming = list(utterances)
        self._manners = manners
        self._timeline = timeline
        self._stage = _Stage.GREETING
        self._utterance: Utterance | None = None
        self._said = 0
        self._start = 0
        self._interrupting = False
        self._audible_at = 0
        self._ending_at = 0

    @property
    def done(self) -> bool:
        """It is time to hang up."""
        return self._stage is _Stage.DONE

    def next_frame(self) -> Pcm:
        """What the microphone takes next: 320 samples."""
        if self._stage is not _Stage.SPEAKING or self._utterance is None:
            return _SILENCE
        piece = self._utterance.pcm[self._said : self._said + FRAME]
        self._said += FRAME
        if len(piece) == FRAME:
            return piece
        return np.concatenate((piece, _SILENCE[len(piece) :]))

    def step(self, now: int) -> None:
        """Decide. Call it after each frame with the position of now."""
        match self._stage:
            case _Stage.GREETING:
                self._wait_for_greeting(now)
            case _Stage.SPEAKING:
                if self._utterance is not None and self._said >= len(self._utterance.pcm):
                    self._stage = _Stage.ANSWER
            case _Stage.ANSWER:
                self._wait_for_answer(now)
            case _Stage.HEARING:
                self._hear_out(now)
            case _Stage.ENDING:
                if now - self._ending_at > _samples(self._manners.end_timeout_s):
                    self._stage = _Stage.DONE
            case _Stage.DONE:
                pass

    def finish(self) -> None:
        """The call is over: note the turn in progress, if any of it was said."""
        if self._stage in (_Stage.SPEAKING, _Stage.ANSWER):
            self._note_turn(self._answer())
        elif self._stage is _Stage.GREETING:
            self.greeted_at = self._timeline.agent.first_voiced_since(0)
        self._stage = _Stage.DONE

    # --- stages

    def _wait_for_greeting(self, now: int) -> None:
        self.greeted_at = self._timeline.agent.first_voiced_since(0)
        if self.greeted_at is not None:
            self._audible_at = self.greeted_at
            self._hear_out(now)
        elif now > _samples(self._manners.greeting_timeout_s):
            self._go_on(now)

    def _wait_for_answer(self, now: int) -> None:
        answer = self._answer()
        _, end = self._utterance_edges()
        if answer is None:
            if now - end > _samples(self._manners.answer_timeout_s):
                self._note_turn(None)
                self._go_on(now)
            return
        if answer.start < end and self._quiet_for(now) < _samples(self._manners.early_patience_s):
            return  # cut off by ourselves, perhaps: a proper answer may follow
        self._note_turn(answer)
        self._audible_at = answer.start
        self._stage = _Stage.HEARING

    def _hear_out(self, now: int) -> None:
        barge_in_at_s = self._coming[0].barge_in_at_s if self._coming else None
        if barge_in_at_s is not None:
            ready = now - self._audible_at >= _samples(barge_in_at_s)
        else:
            ready = self._quiet_for(now) >= _samples(self._manners.quiet_s)
        if ready or now - self._audible_at > _samples(self._manners.longest_reply_s):
            self._go_on(now)

    def _go_on(self, now: int) -> None:
        if self._coming:
            self._utterance = self._coming.pop(0)
            self._said = 0
            self._start = self._timeline.caller.position
            self._interrupting = self._quiet_for(now) < _samples(self._manners.quiet_s)
            self._stage = _Stage.SPEAKING
        else:
            self._ending_at = now
            self._stage = _Stage.ENDING if self._manners.waits_for_end else _Stage.DONE

    # --- what was heard

    def _quiet_for(self, now: int) -> int:
        last = self._timeline.agent.last_voiced_end
        return now if last is None else now - last

    def _utterance_edges(self) -> tuple[int, int]:
        """First voiced sample and one past the last; for an utterance without sound where it was played."""
        caller = self._timeline.caller
        first = caller.first_voiced_since(self._start)
        if first is None:
            return self._start, self._start + self._said
        return first, caller.last_voiced_end or first

    def _answer(self) -> Stretch | None:
        """The agent's first stretch that answers the utterance. One that begins while the caller speaks answers it
        early, unless the agent was being interrupted: then it is the rest of what it was saying."""
        onset, end = self._utterance_edges()
        stretches = self._timeline.agent.stretches
        if not self._interrupting:
            early = next((one for one in stretches if onset <= one.start < end), None)
            return early or next((one for one in stretches if one.start >= end), None)
        cleared_at = self._timeline.cleared_at
        if cleared_at is not None and cleared_at > onset:
            end = max(end, cleared_at)
        return next((one for one in stretches if one.start >= end), None)

    def _note_turn(self, answer: Stretch | None) -> None:
        onset, end = self._utterance_edges()
        stopped: int | None = None
        if self._interrupting:
            before = (
                one for one in self._timeline.agent.stretches if answer is None or one.start < answer.start
            )
            stopped = max((one.end for one in before if one.end > onset), default=None)
        report = TurnReport(
            began_at_s=onset / CALLER_RATE_HZ,
            ended_at_s=end / CALLER_RATE_HZ,
            answered_at_s=None,
            speak_to_hear_ms=None,
            barge_in_stop_ms=None if stopped is None else _ms(stopped - onset),
            early=False,
        )
        if answer is not None:
            report = replace(
                report,
                answered_at_s=answer.start / CALLER_RATE_HZ,
                speak_to_hear_ms=_ms(answer.start - end),
                early=answer.start < end,
            )
        self.turns.append(report)


def _samples(seconds: float) -> int:
    return round(seconds * CALLER_RATE_HZ)


def _ms(samples: int) -> float:
    return samples * 1000 / CALLER_RATE_HZ
