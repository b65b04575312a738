"""Measures, on the wire, what the caller waits for: last voiced sample heard -> first audible sample sent.

    caller   ~~~~~~~~~~~~.                                  ~~~~~~~~~
                         |<---- speak_to_hear ---->|        |
    agent                                          ~~~~~~~~~~~~~~~.
                                                            |<--->| barge_in_stop

Everything between the two samples counts: network jitter on our side of the socket, endpointing, models, leading
silence in synthesized audio, pacing. Framework metrics leave some of it out (livekit/agents #3824, #3236).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from edge_agents.audio.playout import Playout, SentBlock
from edge_agents.audio.speech_edges import AUDIBLE, AudibleSettings, EdgeTracker, Pcm, Stretch

_SPANS_KEPT: Final = 256
"""Stretches of speech remembered a direction: at least a minute of the choppiest, hours of ordinary speech."""

_LOOK_EVERY_S: Final = 0.1
"""The tracker is asked so often: asking it after every block would cost four times as much."""

_MARKS_KEPT_S: Final = 0.5
"""Arrival times of blocks kept behind the newest: covers what the tracker finds late."""

_BARGE_IN_PAUSE_S: Final = 1.0
"""Pauses shorter than this belong to one barge-in; an earlier "mm-hm" does not."""

BARGE_IN_LAG_S: Final = 3.0
"""A reply cut longer than this after the caller's last sample was cut for another reason; covers the slowest
recognizer's first word."""


@dataclass(frozen=True, slots=True)
class ReplyReading:
    """What was measured of one reply. Times are on the clock of the times passed in."""

    speak_to_hear_ms: float | None
    """From the caller's last voiced sample to the first audible one of the reply; negative when it came before the
    caller had finished (`overlapped`). None when the reply answers nobody: a greeting, a second reply to the same
    words, nothing audible sent."""
    first_audible_sent_s: float | None
    """When the first audible sample was sent; None when none was."""
    last_voiced_heard_s: float | None
    """When the last voiced sample of the caller's stretch before that arrived; None when the caller had not spoken
    since the reply before."""
    barge_in_stop_ms: float | None
    """From the caller's first voiced sample over the reply to the last sample sent; None unless the caller spoke
    and the reply was cut."""
    sent_s: float
    """Agent audio sent, seconds, with silences in it."""
    cut: bool
    """The reply was cleared before all of it was sent."""
    overlapped: bool
    """The caller was in the middle of a stretch when the reply became audible."""


@dataclass(slots=True)
class Span:
    """One stretch of sound in time."""

    start_s: float
    end_s: float


class _Mark(NamedTuple):
    """When the sample before `position` passed."""

    position: int
    end_s: float


class _SpeechTimes:
    """Stretches of a stream as spans of time, whatever its rate and however unevenly its blocks come.

    A hole longer than `hole_s` between blocks is silence; a shorter one is jitter.
    """

    def __init__(self, settings: AudibleSettings, *, hole_s: float) -> None:
        self._settings = settings
        self._hole_s = hole_s
        self._tracker: EdgeTracker | None = None
        self._rate_hz = 0
        self._spans: deque[Span] = deque(maxlen=_SPANS_KEPT)
        self._marks: deque[_Mark] = deque()
        self._looked_at = 0
        self._newest = Stretch(-1, -1)

    @property
    def spans(self) -> deque[Span]:
        """What was voiced, oldest first."""
        self._look()
        return self._spans

    @property
    def any_voiced(self) -> bool:
        """Whether anything was voiced, known up to 0.2 s late; costs nothing."""
        return bool(self._spans)

    def feed(self, samples: Pcm, rate_hz: int, end_s: float) -> None:
        """Take the next block, whose last sample passed at `end_s`."""
        tracker = self._tracker
        if tracker is None or rate_hz != self._rate_hz:
            self._look()
            tracker = self._tracker = EdgeTracker(rate_hz, self._settings, keep=16)
            self._rate_hz, self._looked_at, self._newest = rate_hz, 0, Stretch(-1, -1)
            self._marks.clear()
        elif self._marks:
            hole_s = end_s - len(samples) / rate_hz - self._marks[-1].end_s
            if hole_s > self._hole_s:
                self._look()
                tracker.skip(round(hole_s * rate_hz))
        tracker.feed(samples)
        self._marks.append(_Mark(tracker.position, end_s))
        if tracker.position - self._looked_at >= rate_hz * _LOOK_EVERY_S:
            self._look()

    def _look(self) -> None:
        tracker = self._tracker
        if tracker is None:
            return
        for stretch in tracker.stretches:
            if stretch.start > self._newest.start:
                self._spans.append(Span(self._time_of(stretch.start + 1) - 1 / self._rate_hz, 0.0))
            elif stretch == self._newest or stretch.start < self._newest.start:
                continue
            self._spans[-1].end_s = self._time_of(stretch.end)
            self._newest = stretch
        self._looked_at = tracker.position
        oldest = tracker.position - self._rate_hz * _MARKS_KEPT_S
        while len(self._marks) > 1 and self._marks[0].position < oldest:
            self._marks.popleft()

    def _time_of(self, position: int) -> float:
        """When the sample before `position` passed."""
        mark = next((mark for mark in self._marks if mark.position >= position), self._marks[-1])
        return mark.end_s - (mark.position - position) / self._rate_hz


class LatencyProbe:
    """Follows both directions of one call and gives a reading for each reply of the agent.

    No clock, no I/O: every time is passed in, in seconds on one monotonic clock. Memory is bounded by the audio
    that waits to be sent. A session speaks one reply at a time; audio handed over between two
    `take_reading` belongs to one reply, however many segments it has.

    Args:
        settings: what counts as audible; the default is what every part of Parley uses.
    """

    def __init__(self, settings: AudibleSettings = AUDIBLE) -> None:
        self._settings = settings
        self._caller = _SpeechTimes(settings, hole_s=settings.hangover_s)
        self._playout = Playout()
        self._answered_until_s = float("-inf")
        self._segment_open = False
        self._start_reply()

    def _start_reply(self) -> None:
        # a millionth of a second: on the sending side a hole is silence, not jitter
        self._agent = _SpeechTimes(self._settings, hole_s=1e-6)
        self._first_audible_s: float | None = None
        self._sent_s = 0.0
        self._sent_until_s: float | None = None
        self._cut_at_s: float | None = None

    # --- what happens on the wire

    def heard(self, samples: Pcm, rate_hz: int, received_at_s: float) -> None:
        """Caller audio arrived.

        Args:
            samples: int16 mono, shape (n,).
            rate_hz: samples per second; may change between blocks.
            received_at_s: when the last sample of the block arrived.
        """
        self._advance(received_at_s)
        self._caller.feed(samples, rate_hz, received_at_s)

    def sending(self, samples: Pcm, rate_hz: int, at_s: float) -> None:
        """Agent audio was handed to an output that sends in real time; it may be handed over long before.

        Args:
            samples: int16 mono, shape (n,).
            rate_hz: samples per second; may change between blocks.
            at_s: when it was handed over.
        """
        self._advance(at_s)
        self._segment_open = True
        self._playout.push(samples, rate_hz, at_s)

    def cleared(self, at_s: float) -> None:
        """The output dropped what it had not sent."""
        self._advance(at_s)
        self._playout.clear()
        if self._segment_open and self._cut_at_s is None:
            self._cut_at_s = at_s

    def paused(self, at_s: float) -> None:
        """The output stopped sending and keeps what it has."""
        self._advance(at_s)
        self._playout.pause()

    def resumed(self, at_s: float) -> None:
        """The output goes on."""
        self._advance(at_s)
        self._playout.resume(at_s)

    def segment_finished(self, at_s: float) -> None:
        """The output reported the end of a segment: what it was given has been sent, or dropped."""
        self._advance(at_s)
        # the real output is the judge of when a segment is over; the next one must not queue behind a model
        self._playout.clear()
        self._segment_open = False

    # --- readings

    def take_reading(self, at_s: float, *, interrupted_from_s: float | None = None) -> ReplyReading:
        """The reading of the audio handed over since the last one. Call it when the reply is over.

        Args:
            at_s: now.
            interrupted_from_s: since when the caller had been speaking, by the word of whoever cut the reply for it.
                It stands in where the caller was too quiet for us, or nothing had been sent yet.
        """
        self._advance(at_s)
        self._find_first_audible()
        heard_s, overlapped = self._speech_before_reply()
        first_s = self._first_audible_s
        reading = ReplyReading(
            speak_to_hear_ms=None if first_s is None or heard_s is None else (first_s - heard_s) * 1e3,
            first_audible_sent_s=first_s,
            last_voiced_heard_s=heard_s,
            barge_in_stop_ms=self._barge_in_stop_ms(interrupted_from_s),
            sent_s=self._sent_s,
            cut=self._cut_at_s is not None,
            overlapped=overlapped,
        )
        self._close_reply()
        return reading

    def _close_reply(self) -> None:
        if self._first_audible_s is not None:
            self._answered_until_s = self._first_audible_s
        self._start_reply()

    def _advance(self, at_s: float) -> None:
        for block in self._playout.advance(at_s):
            self._sent(block)

    def _sent(self, block: SentBlock) -> None:
        self._sent_s += len(block.samples) / block.rate_hz
        self._sent_until_s = block.end_s
        if self._first_audible_s is not None:
            return
        # only the first audible sample is asked for: the rest of the reply costs nothing
        self._agent.feed(block.samples, block.rate_hz, block.end_s)
        if self._agent.any_voiced:
            self._find_first_audible()

    def _find_first_audible(self) -> None:
        if self._first_audible_s is None and self._agent.spans:
            self._first_audible_s = self._agent.spans[0].start_s

    def _speech_before_reply(self) -> tuple[float | None, bool]:
        """When the caller's last stretch before the reply ended, and whether it went on over it."""
        first_s = self._first_audible_s
        if first_s is None:
            return None, False
        for span in reversed(self._caller.spans):
            if span.start_s < first_s:
                if span.end_s <= self._answered_until_s:
                    return None, False
                return span.end_s, span.end_s > first_s
        return None, False

    def _barge_in_stop_ms(self, interrupted_from_s: float | None) -> float | None:
        measured_ms = self._measured_stop_ms()
        if measured_ms is not None or interrupted_from_s is None:
            return measured_ms
        if self._sent_until_s is None:
            return 0.0
        return max(self._sent_until_s - max(interrupted_from_s, self._first_audible_s or 0.0), 0.0) * 1e3

    def _measured_stop_ms(self) -> float | None:
        first_s, cut_s, sent_until_s = self._first_audible_s, self._cut_at_s, self._sent_until_s
        if first_s is None or cut_s is None or sent_until_s is None:
            return None
        onset_s: float | None = None
        for span in reversed(self._caller.spans):
            if span.start_s > sent_until_s:
                continue
            gap_s = sent_until_s - span.end_s if onset_s is None else onset_s - span.end_s
            longest_s = BARGE_IN_LAG_S if onset_s is None else _BARGE_IN_PAUSE_S
            if span.end_s <= first_s or gap_s > longest_s:
                break
            onset_s = max(span.start_s, first_s)
        return None if onset_s is None else (sent_until_s - onset_s) * 1e3
