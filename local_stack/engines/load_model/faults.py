"""Which request goes wrong, and how: rules, their matching, and a fault's progress. No I/O.

    kind               what the client meets status             an HTTP error answer (a refused upgrade on a
    websocket), with Retry-After if given refuse_handshake   the TCP connection is reset before any answer
    stall              accepted, then nothing more is sent or read: websocket pings go unanswered silent
    alive (pings answered, KeepAlives read, SSE comments sent) but no result, token or audio half_chunk
    one message breaks off in its middle and the connection ends close              the connection is reset
    without a goodbye garbage            a well-framed message that makes no sense in place of each content
    message slow               `delay_ms` on top of the drawn latency empty              a well-formed answer
    with nothing in it

A rule is looked at when a request or an upgrade comes in (`at: handshake`) or when a piece of work starts on
an open websocket (`at: work`: an utterance, a flush segment, a context), so that a rule also reaches calls
that are already up. A plain HTTP request is both at once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from local_stack.engines.load_model.seeded import SeededSource

Stage = Literal["stt", "llm", "tts"]
Vendor = Literal["deepgram", "openai", "elevenlabs", "azure"]
Moment = Literal["handshake", "work"]
Kind = Literal[
    "status", "refuse_handshake", "stall", "silent", "half_chunk", "close", "garbage", "slow", "empty"
]

MAX_RULES = 100
_AT_HANDSHAKE_ONLY: frozenset[Kind] = frozenset({"status", "refuse_handshake"})


class FaultRule(BaseModel):
    """One way in which some requests fail."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Stage
    vendor: Vendor | None = None
    """None: any vendor of the stage."""

    kind: Kind
    at: Moment | None = None
    """None: handshake for status and refuse_handshake, work for all others."""

    key: str | None = Field(default=None, min_length=1, max_length=200)
    """Only requests with this API key, model name or voice, so that a fallback on this server stays healthy.
    """

    status: Annotated[int, Field(ge=400, le=599)] = 500
    retry_after_s: float | None = Field(default=None, ge=0, le=86_400)
    after_bytes: int | None = Field(default=None, ge=0)
    """Strike after so many payload bytes: audio received (stt), audio sent (tts), SSE sent (llm)."""

    after_chunks: int | None = Field(default=None, ge=0)
    """Strike after so many content messages were sent."""

    delay_ms: float = Field(default=2_000.0, ge=0, le=600_000)
    """What `slow` adds."""

    probability: float = Field(default=1.0, ge=0, le=1)
    times: int | None = Field(default=None, ge=1)
    """Strikes after which the rule is spent; None: never."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.after_bytes is not None and self.after_chunks is not None:
            raise ValueError("give after_bytes or after_chunks, not both")
        if self.kind in _AT_HANDSHAKE_ONLY and self.at == "work":
            raise ValueError(f"{self.kind} can only strike at the handshake")
        return self

    @property
    def moment(self) -> Moment:
        return self.at or ("handshake" if self.kind in _AT_HANDSHAKE_ONLY else "work")


@dataclass(frozen=True, slots=True)
class Target:
    """A request as the rules see it."""

    stage: Stage
    vendor: Vendor
    key: str
    """The API key it came with; empty without one."""

    model: str = ""
    voice: str = ""


@dataclass(slots=True)
class ActiveFault:
    """A fault that one request or piece of work met, and how far that got before it strikes."""

    rule: FaultRule
    chunks: int = 0
    payload_bytes: int = 0

    @property
    def kind(self) -> Kind:
        return self.rule.kind

    @property
    def immediate(self) -> bool:
        """Whether nothing comes before the strike."""
        return not (self.rule.after_chunks or self.rule.after_bytes)

    @property
    def due(self) -> bool:
        """Whether it strikes now."""
        if self.rule.after_chunks is not None:
            return self.chunks >= self.rule.after_chunks
        return self.payload_bytes >= (self.rule.after_bytes or 0)

    @property
    def delay_s(self) -> float:
        return self.rule.delay_ms / 1000 if self.kind == "slow" else 0.0

    def passed(self, *, chunks: int = 0, payload_bytes: int = 0) -> None:
        """Count what went through unharmed."""
        self.chunks += chunks
        self.payload_bytes += payload_bytes


@dataclass(slots=True)
class RuleState:
    """A rule in force with what became of it."""

    rule: FaultRule
    matched: int = 0
    struck: int = 0

    @property
    def spent(self) -> bool:
        return self.rule.times is not None and self.struck >= self.rule.times


class FaultTable:
    """The rules in force, first match first.

    A rule that is spent or that chance spares lets the next one try.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        """Seed of the chances; a new one counts from the next replacement."""
        self._source = SeededSource(seed)
        self._states: list[RuleState] = []
        self.replaced = asyncio.Event()
        """Set (and renewed) at the next replacement; connections that a stall holds are let go then."""

    def replace(self, rules: list[FaultRule]) -> None:
        """Put `rules` in force instead of the present ones; counts and chances start again."""
        self._source = SeededSource(self.seed)
        self._states = [RuleState(rule) for rule in rules]
        self.replaced.set()
        self.replaced = asyncio.Event()

    @property
    def states(self) -> tuple[RuleState, ...]:
        return tuple(self._states)

    def strike(self, target: Target, moment: Moment | None = None) -> ActiveFault | None:
        """The fault that hits `target` now, or None.

        Args:
            moment: which rules to look at; None means all (a plain HTTP request).
        """
        for index, state in enumerate(self._states):
            if state.spent or not _matches(state.rule, target, moment):
                continue
            state.matched += 1
            if self._source.chance(f"fault.{index}") < state.rule.probability:
                state.struck += 1
                return ActiveFault(state.rule)
        return None


def _matches(rule: FaultRule, target: Target, moment: Moment | None) -> bool:
    return (
        rule.stage == target.stage
        and (rule.vendor is None or rule.vendor == target.vendor)
        and (moment is None or rule.moment == moment)
        and (rule.key is None or rule.key in {target.key, target.model, target.voice})
    )
