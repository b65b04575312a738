"""Translates what the voice loop reports into turns, failures and limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    CloseEvent,
    ConversationItemAddedEvent,
    ErrorEvent,
    UserStateChangedEvent,
    llm,
    stt,
    tts,
)
from livekit.agents.voice.events import UserTranscriptionTimeoutEvent

from edge_agents.audio.latency import LatencyProbe
from edge_agents.session.failures import FailureAction, FailureWatch, Stage
from edge_agents.session.turns import TurnAssembler
from shared.contracts.turns import TurnKind


class SessionListener:
    """Subscribes to one session. Handlers only translate: what to do is decided elsewhere, done by the call.

    Args:
        turns: puts turns together.
        probe: knows when sound really came and went.
        failures: decides what a failure means.
        on_failure: does what was decided.
        on_reply: the agent's reply is over (time to look at limits and context).
        on_not_understood: speech without a transcript.
        on_away: nobody has said anything for long.
        on_caller: the caller's turn was taken.
        on_closed: the session closed by itself.
        on_greeted: the first sentence is over; gets when it became audible, if it did.
        now_s: the monotonic clock of the probe.
    """

    def __init__(
        self,
        *,
        turns: TurnAssembler,
        probe: LatencyProbe,
        failures: FailureWatch,
        on_failure: Callable[[FailureAction, Stage], None],
        on_reply: Callable[[], None],
        on_not_understood: Callable[[], None],
        on_away: Callable[[], None],
        on_caller: Callable[[], None],
        on_closed: Callable[[], None],
        on_greeted: Callable[[float | None], None],
        now_s: Callable[[], float],
    ) -> None:
        self._turns = turns
        self._probe = probe
        self._failures = failures
        self._on_failure = on_failure
        self._on_reply = on_reply
        self._on_not_understood = on_not_understood
        self._on_away = on_away
        self._on_caller = on_caller
        self._on_closed = on_closed
        self._on_greeted = on_greeted
        self._now_s = now_s
        self._greeted = False
        self._from_cache = False

    def attach(self, session: AgentSession[Any]) -> None:
        """Subscribe. LiveKit swallows exceptions of handlers, so they only pass facts on."""
        session.on("conversation_item_added", self._item_added)
        session.on("agent_state_changed", self._agent_state)
        session.on("user_state_changed", self._user_state)
        session.on("user_transcription_timeout", self._not_understood)
        session.on("error", self._error)
        session.on("close", self._closed)

    def next_speech_is_from_cache(self) -> None:
        """The next piece of the agent's speech is kept audio."""
        self._from_cache = True

    def said_outside_history(self, text: str) -> None:
        """A fixed sentence that the history does not hold was played."""
        self._agent_said(text, interrupted=False, report={})

    def _item_added(self, event: ConversationItemAddedEvent) -> None:
        item = event.item
        if not isinstance(item, llm.ChatMessage):
            return
        if item.role == "user":
            self._failures.worked(Stage.STT)
            self._on_caller()
            self._turns.caller_said(
                item.text_content or "",
                stt_final_s=item.metrics.get("transcription_delay"),
                endpointing_s=item.metrics.get("end_of_turn_delay"),
            )
        elif item.role == "assistant":
            if item.text_content and not item.interrupted:
                self._failures.worked(Stage.LLM, Stage.TTS)
            self._agent_said(item.text_content or "", interrupted=item.interrupted, report=dict(item.metrics))

    def _agent_said(self, text: str, *, interrupted: bool, report: dict[str, Any]) -> None:
        kind = TurnKind.AGENT_ONLY if self._greeted else TurnKind.GREETING
        reading = self._probe.take_reading(self._now_s())
        if not self._greeted:
            self._greeted = True
            self._on_greeted(reading.first_audible_sent_s)
        self._turns.agent_said(
            text,
            interrupted=interrupted,
            llm_first_token_s=report.get("llm_node_ttft"),
            tts_first_byte_s=report.get("tts_node_ttfb"),
            reading=reading,
            kind_if_alone=kind,
            from_cache=self._from_cache,
        )
        self._from_cache = False

    def _agent_state(self, event: AgentStateChangedEvent) -> None:
        if event.new_state == "listening":
            self._turns.agent_listens()
            self._on_reply()

    def _user_state(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "away":
            self._on_away()

    def _not_understood(self, _event: UserTranscriptionTimeoutEvent) -> None:
        self._turns.error("speech_not_understood")
        self._on_not_understood()

    def _error(self, event: ErrorEvent) -> None:
        failure = _stage_of(event)
        if failure is None:
            return
        stage, recoverable = failure
        self._turns.error(f"{stage.value}_failed")
        action = self._failures.failed(stage, recoverable=recoverable)
        if action is not FailureAction.NONE:
            self._on_failure(action, stage)

    def _closed(self, _event: CloseEvent) -> None:
        self._on_closed()


def _stage_of(event: ErrorEvent) -> tuple[Stage, bool] | None:
    match event.error:
        case stt.STTError(recoverable=recoverable):
            return Stage.STT, recoverable
        case llm.LLMError(recoverable=recoverable):
            return Stage.LLM, recoverable
        case tts.TTSError(recoverable=recoverable):
            return Stage.TTS, recoverable
        case _:
            return None
