"""Where speech ends and audible sound begins: the one definition behind every latency that Parley states.

The agent (`latency.py`) and the synthetic callers (`local_stack/callers/`) both measure with this module, so that
their figures differ only by what lies between them.

    level     RMS without the mean of the last 15 ms, taken anew every millisecond
    voiced    sound that holds the level above -42.6 dBFS and lasts at least 20 ms
    stretch   voiced sound with less than 200 ms of silence between its parts

The first audible sample is where the level rises above the threshold; speech ends where the sound that held it up
ends. Nothing is added to either: the hangover joins sounds into stretches, it never moves an edge. Where the stream's
first sample lies does not matter (an edge moves by 1 ms at most), nor do the sizes of blocks. A steep edge is placed
within 3 ms, one that fades over 50 ms within 20 ms (asserted with sounds at known positions in
tests/unit/edge_agents/audio/test_speech_edges.py).

Why these numbers (measured 22 Nov 2026 on the 16 recordings of PARLEY_TEST_DATA/speech, each at several alignments in
silence and in noise): with them every clip begins and ends where a listener says, within 11 ms whatever the alignment.
At -43 dBFS the hall noise before `jfk` counts as speech; at -42.3 the quiet last word of `digits` ends 250 ms early;
with windows of 10 ms, or windows that do not overlap, or sounds of 25 ms and more, soft final consonants (`go_forward`,
`weather`, `austen_0870`) come and go with the alignment, by 70-140 ms. The handset clicks of `phone_order_8k` are loud
enough but too short. A threshold that follows the noise (tried with windows of 10 ms) placed none better. Noise that
is steadily above the threshold can't be told from speech: such a caller never falls silent here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]
"""Mono samples, one dimension, full scale ±32768."""

_FULL_SCALE: Final = 32768.0
_HOPS_PER_S: Final = 1000
_PIECE_S: Final = 1
"""Long blocks are worked through in pieces of this, seconds."""
_LAZY_S: Final = 0.1
"""Blocks are judged together when so much has come or an answer is asked for: judging 20 ms costs as much as judging
100 ms (40 us)."""


@dataclass(frozen=True, slots=True)
class AudibleSettings:
    """What counts as audible. Both ends of a measurement must use the same."""

    level_dbfs: float = -42.6
    """RMS level above which sound is audible; 0 dBFS is a square wave at full scale."""
    window_s: float = 0.015
    """Stretch of time over which the level is taken, seconds."""
    min_voiced_s: float = 0.020
    """Shortest sound that counts, seconds; clicks are shorter."""
    hangover_s: float = 0.200
    """Silence within one stretch, seconds; the closure of a plosive is shorter, a pause between phrases is not."""


AUDIBLE: Final = AudibleSettings()
"""The definition in use everywhere."""


class Stretch(NamedTuple):
    """Sound without a pause longer than the hangover, in samples from the start of the stream."""

    start: int
    """First sample."""
    end: int
    """One past the last voiced sample; grows while the sound goes on."""


class EdgeTracker:
    """Finds the stretches of a stream as it arrives, in blocks of any size, with bounded memory.

    Feeding is cheap; asking after every block is not (0.2 % of a core at 50 blocks a second, 0.05 % when asked ten
    times a second). An onset is known up to 40 ms after it happened (the shortest sound, the window), an end 15 ms
    after.

    Args:
        rate_hz: samples per second, at least 8000.
        settings: what counts as audible.
        keep: stretches remembered; the oldest are forgotten.
    """

    def __init__(self, rate_hz: int, settings: AudibleSettings = AUDIBLE, *, keep: int = 64) -> None:
        if rate_hz < 8000:
            raise ValueError("rate_hz must be at least 8000")
        self._hop = round(rate_hz / _HOPS_PER_S)
        self._window = max(1, round(settings.window_s * rate_hz / self._hop))
        self._needed = max(1, round(settings.min_voiced_s * rate_hz / self._hop)) + self._window - 1
        self._hangover = round(rate_hz * settings.hangover_s)
        length = self._window * self._hop
        self._threshold = (_FULL_SCALE * 10 ** (settings.level_dbfs / 20) * length) ** 2
        self._piece = self._hop * _HOPS_PER_S * _PIECE_S
        self._stretches: deque[Stretch] = deque(maxlen=keep)
        self._lazy = round(rate_hz * _LAZY_S)
        self._waiting: list[Pcm] = []
        self._position = 0
        self._hops = 0
        # sums and sums of squares of the hops that the next window reaches back to
        self._sums = np.zeros(self._window - 1)
        self._squares = np.zeros(self._window - 1)
        self._ones = np.ones(self._window)
        self._loud_since: int | None = None

    @property
    def position(self) -> int:
        """Samples fed so far."""
        return self._position

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """The stretches remembered, oldest first."""
        self._catch_up()
        return tuple(self._stretches)

    @property
    def last_voiced_end(self) -> int | None:
        """One past the newest voiced sample, or None while nothing was voiced."""
        self._catch_up()
        return self._stretches[-1].end if self._stretches else None

    def first_voiced_since(self, position: int) -> int | None:
        """The first voiced sample at or after `position`: `position` itself inside a stretch; None for none."""
        self._catch_up()
        for stretch in self._stretches:
            if stretch.end > position:
                return max(stretch.start, position)
        return None

    def feed(self, samples: Pcm) -> None:
        """Take the next block.

        Args:
            samples: int16, shape (n,), n >= 0; not copied, and not to be changed for the next 100 ms.

        Raises:
            ValueError: another type or shape.
        """
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ValueError("samples must be int16, one dimension")
        self._waiting.append(samples)
        self._position += len(samples)
        if self._position - self._hops * self._hop >= self._lazy:
            self._catch_up()

    def skip(self, count: int) -> None:
        """Take `count` samples of digital silence: a hole in the stream, at no cost however long."""
        heard = min(count, -self._position % self._hop + self._window * self._hop)
        self.feed(np.zeros(heard, np.int16))
        hops, rest = divmod(count - heard, self._hop)
        if hops:
            self._catch_up()
            self._hops += hops
            self._position += hops * self._hop
        self.feed(np.zeros(rest, np.int16))

    def _catch_up(self) -> None:
        if self._position - self._hops * self._hop < self._hop:
            return
        joined = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        whole = len(joined) - len(joined) % self._hop
        for start in range(0, whole, self._piece):
            piece = joined[start : min(start + self._piece, whole)]
            self._judge(piece.reshape(-1, self._hop).astype(np.float64))
        self._waiting = [joined[whole:].copy()] if whole < len(joined) else []

    def _judge(self, hops: npt.NDArray[np.float64]) -> None:
        # sums of int16 products are exact in float64: the sizes of blocks can't change a decision
        sums = np.concatenate((self._sums, hops.sum(axis=1)))
        squares = np.concatenate((self._squares, np.einsum("ij,ij->i", hops, hops)))
        self._sums, self._squares = sums[len(hops) :], squares[len(hops) :]
        means = np.convolve(sums, self._ones, "valid")
        level = np.convolve(squares, self._ones, "valid") * (self._window * self._hop) - means * means
        loud = level > self._threshold
        first, self._hops = self._hops, self._hops + len(hops)
        for start, end in _runs(loud):
            # a run at the border goes on from the block before
            since = self._loud_since if start == 0 and self._loud_since is not None else first + start
            if first + end - since >= self._needed:
                # the window still holds the sound for its own length after the end
                self._extend(since * self._hop, (first + end - self._window + 1) * self._hop)
            self._loud_since = since
        if not loud[-1]:
            self._loud_since = None

    def _extend(self, start: int, end: int) -> None:
        newest = self._stretches[-1] if self._stretches else None
        if newest is not None and start - newest.end <= self._hangover:
            self._stretches[-1] = Stretch(newest.start, end)
        else:
            self._stretches.append(Stretch(start, end))


def _runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches of True: first index and one past the last."""
    if not flags.any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def first_audible_sample(pcm: Pcm, rate_hz: int, settings: AudibleSettings = AUDIBLE) -> int | None:
    """Index of the first audible sample of a clip, or None when it has none.

    Args:
        pcm: int16, shape (n,).
        rate_hz: samples per second.
        settings: what counts as audible.
    """
    tracker = EdgeTracker(rate_hz, settings)
    for start in range(0, len(pcm), rate_hz):
        tracker.feed(pcm[start : start + rate_hz])
        if (found := tracker.first_voiced_since(0)) is not None:
            return found
    return None


def last_audible_sample(pcm: Pcm, rate_hz: int, settings: AudibleSettings = AUDIBLE) -> int | None:
    """Index of the last audible sample of a clip: where speech ends. None when nothing is audible.

    Args:
        pcm: int16, shape (n,).
        rate_hz: samples per second.
        settings: what counts as audible.
    """
    tracker = EdgeTracker(rate_hz, settings)
    tracker.feed(pcm)
    tracker.skip(rate_hz)  # the last window reaches past the end
    end = tracker.last_voiced_end
    return None if end is None else min(end, len(pcm)) - 1
