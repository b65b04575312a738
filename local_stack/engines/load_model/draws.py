"""What the engine did and when: every draw with its instants, and counts by stage, vendor and key.

Instants are `time.monotonic()` seconds, which on Linux and macOS all processes of a machine share, so a bench
can subtract them from its own: overhead = measured - sum of draws.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from local_stack.engines.load_model.faults import Stage, Target, Vendor

MAX_DRAWS = 10_000
MAX_COUNTED_KEYS = 1_000


@dataclass(slots=True)
class Draw:
    """One latency that was drawn, and what became of it; instants that were not reached are None."""

    stage: Stage
    vendor: Vendor
    key: str
    model: str
    request_id: str
    """Deepgram: also its `dg-request-id` header; OpenAI: the completion id; ElevenLabs: the context id."""

    draw_ms: float
    """Drawn latency: to the final (stt), the first token (llm), the first audio byte (tts)."""

    received_at: float
    """Speech began (stt), the request was read (llm, REST), the first text came in (tts websockets)."""

    seq: int = 0
    """Counts up from 1 over the life of the process, across DELETEs."""

    index: int = 0
    """Which utterance, user message or segment of its stream or conversation, from 0."""

    text: str = ""
    """Transcript or reply; empty for tts."""

    fault: str | None = None
    fault_ms: float = 0.0
    """Latency that the fault `slow` added to the draw."""

    end_of_speech_at: float | None = None
    """stt: when the last loud sample was spoken (arrival of its frame less what follows it there)."""

    pause_heard_at: float | None = None
    """stt: when the pause that ends the utterance was complete; the final can't leave earlier."""

    final_sent_at: float | None = None
    text_ready_at: float | None = None
    """tts: when there was something to speak; the draw counts from here."""

    first_token_at: float | None = None
    first_audio_at: float | None = None
    done_at: float | None = None
    tokens_per_s: float | None = None
    chars: int | None = None
    audio_ms: float | None = None
    cancelled: bool = False
    """The client left before the end."""


class DrawLog:
    """The last 10,000 draws; a draw's instants are filled in as they happen."""

    def __init__(self) -> None:
        self._draws: deque[Draw] = deque(maxlen=MAX_DRAWS)
        self._seq = 0
        self._dropped = 0

    def add(self, draw: Draw) -> Draw:
        """Log `draw` and return it, numbered. The oldest one goes when the log is full."""
        self._seq += 1
        draw.seq = self._seq
        self._dropped += len(self._draws) == MAX_DRAWS
        self._draws.append(draw)
        return draw

    def clear(self) -> None:
        self._draws.clear()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Draws lost to the bound since the last clear."""
        return self._dropped

    def select(
        self, *, stage: str | None = None, key: str | None = None, after: int = 0
    ) -> list[dict[str, Any]]:
        """Draws numbered above `after` (of one stage, of one key), oldest first, as JSON objects."""
        return [
            asdict(draw)
            for draw in self._draws
            if draw.seq > after and stage in {None, draw.stage} and key in {None, draw.key}
        ]


@dataclass(slots=True)
class Count:
    """What one key did at one vendor's stage."""

    requests: int = 0
    """HTTP requests and websocket upgrades, refused ones included."""

    open: int = 0
    """Requests and sockets being served now."""

    work: int = 0
    """Utterances, completions, spoken segments begun."""

    faults: int = 0


@dataclass(slots=True)
class Counters:
    """Counts by (stage, vendor, key); keys past the thousandth are counted together as `(more)`."""

    _counts: dict[tuple[Stage, Vendor, str], Count] = field(default_factory=dict)

    def of(self, target: Target) -> Count:
        """The count that `target` belongs to."""
        key = target.key or "(none)"
        slot = (target.stage, target.vendor, key)
        if slot not in self._counts and len(self._counts) >= MAX_COUNTED_KEYS:
            slot = (target.stage, target.vendor, "(more)")
        return self._counts.setdefault(slot, Count())

    def snapshot(self) -> list[dict[str, Any]]:
        return [
            {"stage": stage, "vendor": vendor, "key": key, **asdict(count)}
            for (stage, vendor, key), count in self._counts.items()
        ]
