"""Puts a call's turns together from what the voice loop reports, in whatever order it reports it.

    caller speaks        turn taken           agent audible        playout ends
    ──────────────┐          │                     │                    │
                  └ end of   ├─ user item          ├ reading begins     ├ assistant item ─► FinishedTurn
                    speech   │  (text, metrics)    │  (audio probe)     │  (text, metrics, interrupted)

A reply that takes several steps (a filler, a tool, the answer) is one turn: it ends when the agent listens
again, or when the next turn begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edge_agents.audio.latency import ReplyReading
from shared.contracts.turns import Stages, TurnKind

_CHARS_PER_S = 15


@dataclass(frozen=True)
class ToolCall:
    """One tool call, in plain values (sealed when it becomes an event)."""

    name: str
    arguments: dict[str, object]
    result: str | None
    error_code: str | None
    duration_ms: float


@dataclass(frozen=True)
class FinishedTurn:
    """A turn that is over, in plain values."""

    turn_id: str
    kind: TurnKind
    caller_text: str
    agent_text: str
    speak_to_hear_ms: float | None
    stages: Stages
    interrupted: bool
    barge_in_stop_ms: float | None
    from_cache: bool
    tools: tuple[ToolCall, ...]
    error_codes: tuple[str, ...]


@dataclass
class _OpenTurn:
    turn_id: str
    kind: TurnKind
    caller_texts: list[str] = field(default_factory=list)
    agent_texts: list[str] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    stop_ms: float | None = None
    """How fast the agent stopped, when the caller cut its last piece that was heard."""
    from_cache: bool = False
    tools: list[ToolCall] = field(default_factory=list)
    error_codes: list[str] = field(default_factory=list)
    reading: ReplyReading | None = None


class TurnAssembler:
    """State machine over one call's turns. No clock, no I/O.

    Args:
        finish: called with each finished turn, in order.
        new_turn_id: makes turn ids.
    """

    def __init__(self, *, finish: Callable[[FinishedTurn], None], new_turn_id: Callable[[], str]) -> None:
        self._finish = finish
        self._new_turn_id = new_turn_id
        self._open: _OpenTurn | None = None
        self._pending_errors: list[str] = []
        self.exchanges = 0
        """Turns of the caller so far."""

    @property
    def open_turn_id(self) -> str | None:
        """Id of the turn in progress."""
        return self._open.turn_id if self._open else None

    def caller_said(self, text: str, *, stt_final_s: float | None, endpointing_s: float | None) -> None:
        """The caller's turn was taken."""
        turn = self._open
        if turn is None or turn.agent_texts or turn.kind is not TurnKind.EXCHANGE:
            self.close()
            turn = self._begin(TurnKind.EXCHANGE)
            self.exchanges += 1
        turn.caller_texts.append(text)
        _put_ms(turn.stages, "stt_final", stt_final_s)
        _put_ms(turn.stages, "endpointing", endpointing_s)

    def agent_said(
        self,
        text: str,
        *,
        interrupted: bool,
        llm_first_token_s: float | None,
        tts_first_byte_s: float | None,
        reading: ReplyReading | None,
        kind_if_alone: TurnKind = TurnKind.AGENT_ONLY,
        from_cache: bool = False,
    ) -> None:
        """A piece of the agent's speech was played to its end, or cut.

        Only a cut that the caller's speech made, as the reading says, interrupts the turn: one by a hang-up does not.
        """
        turn = self._open or self._begin(kind_if_alone)
        if text:
            turn.agent_texts.append(text)
        if not interrupted:
            turn.stop_ms = None  # the agent went on after all
        elif reading is not None and reading.barge_in_stop_ms is not None:
            turn.stop_ms = reading.barge_in_stop_ms
        turn.from_cache = turn.from_cache or from_cache
        # the first step's times are what the caller waited for
        if "llm_first_token" not in turn.stages:
            _put_ms(turn.stages, "llm_first_token", llm_first_token_s)
        if "tts_first_byte" not in turn.stages:
            _put_ms(turn.stages, "tts_first_byte", tts_first_byte_s)
        if reading is not None:
            turn.reading = _join(turn.reading, reading)

    def tool_called(self, call: ToolCall) -> None:
        """A tool finished."""
        turn = self._open or self._begin(TurnKind.AGENT_ONLY)
        turn.tools.append(call)

    def error(self, code: str) -> None:
        """Something failed on the way, covered by a fallback or not."""
        errors = self._open.error_codes if self._open else self._pending_errors
        if code not in errors:
            errors.append(code)

    def agent_listens(self) -> None:
        """The agent has fallen silent: a turn that has its reply is over."""
        if self._open is not None and self._open.agent_texts:
            self.close()

    def close(self) -> None:
        """End the turn in progress, reply or not."""
        turn, self._open = self._open, None
        if turn is None:
            return
        reading = turn.reading
        self._finish(
            FinishedTurn(
                turn_id=turn.turn_id,
                kind=turn.kind,
                caller_text=" ".join(turn.caller_texts),
                agent_text=" ".join(turn.agent_texts),
                speak_to_hear_ms=(
                    reading.speak_to_hear_ms if reading and turn.kind is TurnKind.EXCHANGE else None
                ),
                stages=Stages(**turn.stages),
                interrupted=turn.stop_ms is not None,
                barge_in_stop_ms=turn.stop_ms,
                from_cache=turn.from_cache,
                tools=tuple(turn.tools),
                error_codes=tuple(turn.error_codes),
            )
        )

    def _begin(self, kind: TurnKind) -> _OpenTurn:
        self._open = _OpenTurn(self._new_turn_id(), kind, error_codes=self._pending_errors)
        self._pending_errors = []
        return self._open


def heard_part(text: str, sent_s: float) -> str:
    """What the caller heard of a reply that was cut, by how much of its audio was sent.

    An estimate to the word: voices speak about 14 characters a second (826 a minute, docs/references.md); rounded
    up, so that a word that was begun counts as said.

    Args:
        text: the whole reply.
        sent_s: seconds of its audio that were sent.
    """
    length = round(sent_s * _CHARS_PER_S)
    if length >= len(text):
        return text
    end = text.find(" ", length)
    return text if end < 0 else text[:end]


def _put_ms(stages: dict[str, float], name: str, seconds: float | None) -> None:
    if seconds is not None and seconds >= 0:
        stages[name] = round(seconds * 1000, 1)


def _join(first: ReplyReading | None, then: ReplyReading) -> ReplyReading:
    """A reply in several pieces: when it began is the first piece's, how it stopped is the last one's."""
    if first is None or first.speak_to_hear_ms is None:
        return then
    return replace(
        then,
        speak_to_hear_ms=first.speak_to_hear_ms,
        first_audible_sent_s=first.first_audible_sent_s,
        last_voiced_heard_s=first.last_voiced_heard_s,
        sent_s=first.sent_s + then.sent_s,
        overlapped=first.overlapped,
    )
