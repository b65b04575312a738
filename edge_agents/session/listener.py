"""Translates what the voice loop reports into turns, failures and limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    CloseEvent,
    ConversationItemAddedEvent,
    ErrorEvent,
    FunctionToolsExecutedEvent,
    SpeechCreatedEvent,
    ToolExecutionUpdatedEvent,
    UserStateChangedEvent,
    llm,
    stt,
    tts,
)
from livekit.agents.voice import SpeechHandle
from livekit.agents.voice.events import UserTranscriptionTimeoutEvent

from edge_agents.audio.latency import BARGE_IN_LAG_S, LatencyProbe
from edge_agents.providers.call_providers import CallProviders
from edge_agents.session.failures import FailureAction, FailureWatch, Stage
from edge_agents.session.turns import ToolCall, TurnAssembler, heard_part
from shared.contracts.turns import TurnKind
from shared.errors import ToolArgumentsError, ToolNotAllowedError

_in_background: ContextVar[bool] = ContextVar("parley_in_background", default=False)


@contextmanager
def background_requests() -> Iterator[None]:
    """Failures of requests made inside concern no turn: the caller waits for none of them.

    Providers report errors from tasks that inherit the context in which a request was made.
    """
    token = _in_background.set(True)
    try:
        yield
    finally:
        _in_background.reset(token)


class SessionListener:
    """Subscribes to one session. Handlers only translate: what to do is decided elsewhere, done by the call.

    A model's or a voice's failure counts when the speech that needed it is over: replies begun before the turn
    was certain may never be wanted, and what was heard of a reply is known only then.

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
        tool_names: what the agent may call.
        apologising: whether the caller is hearing an apology: a recogniser that keeps failing meanwhile is the
            same failure.
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
        tool_names: frozenset[str],
        apologising: Callable[[], bool],
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
        self._tool_names = tool_names
        self._apologising = apologising
        self._now_s = now_s
        self._greeted = False
        self._kept: set[str] = set()
        self._voice_failed = False
        self._dispatched: set[str] = set()
        self._voice_from_s: float | None = None
        self._voice_until_s: float | None = None

    def attach(self, session: AgentSession[Any], providers: CallProviders) -> None:
        """Subscribe. LiveKit swallows exceptions of handlers, so they only pass facts on."""
        session.on("conversation_item_added", self._item_added)
        session.on("agent_state_changed", self._agent_state)
        session.on("user_state_changed", self._user_state)
        session.on("user_transcription_timeout", self._not_understood)
        session.on("speech_created", self._speech_created)
        session.on("tool_execution_updated", self._tool_updated)
        session.on("function_tools_executed", self._tools_executed)
        session.on("error", self._error)
        session.on("close", self._closed)
        # only fallbacks emit these; what they cover reaches the session as no error
        providers.stt.on("stt_availability_changed", lambda event: self._availability(Stage.STT, event))
        providers.llm.on("llm_availability_changed", lambda event: self._availability(Stage.LLM, event))
        providers.tts.on("tts_availability_changed", lambda event: self._availability(Stage.TTS, event))

    def is_kept_audio(self, text: str) -> None:
        """The sentence that will be said is kept audio."""
        self._kept.add(text)

    async def outside_history(self, handle: SpeechHandle, text: str) -> None:
        """Wait for a sentence from kept audio that the history does not hold. Cut or cancelled, it counts too."""
        try:
            await handle
        finally:
            cut = handle.interrupted or not handle.done()
            self._agent_said(text, interrupted=cut, report={}, from_cache=True)

    def sentence_over(self, handle: SpeechHandle, *, kept_audio: bool) -> bool:
        """A fixed sentence that the history holds is over.

        Returns:
            False when it could not be spoken.
        """
        if handle.interrupted:
            return True
        if handle.chat_items:
            if not kept_audio:
                self._failures.worked(Stage.TTS)
            return True
        if self._voice_failed:
            self._voice_failed = False
            self._failed(Stage.TTS, recoverable=False)
        return False

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
            text = item.text_content or ""
            kept = text in self._kept
            self._kept.discard(text)
            heard = self._agent_said(
                text, interrupted=item.interrupted, report=dict(item.metrics), from_cache=kept
            )
            if heard != text:
                item.content = [heard]  # the model must not believe that the caller heard the rest

    def _agent_said(self, text: str, *, interrupted: bool, report: dict[str, Any], from_cache: bool) -> str:
        """Pass a piece of speech on; returns what the caller heard of it."""
        kind = TurnKind.AGENT_ONLY if self._greeted else TurnKind.GREETING
        from_s = self._caller_spoke_from_s() if interrupted else None
        reading = self._probe.take_reading(self._now_s(), interrupted_from_s=from_s)
        if not self._greeted:
            self._greeted = True
            self._on_greeted(reading.first_audible_sent_s)
        # a caller who hangs up interrupts nothing, and hears no more all the same
        interrupted = interrupted or reading.cut
        heard = heard_part(text, reading.sent_s) if interrupted else text
        self._turns.agent_said(
            heard,
            interrupted=interrupted,
            llm_first_token_s=report.get("llm_node_ttft"),
            tts_first_byte_s=report.get("tts_node_ttfb"),
            reading=reading,
            kind_if_alone=kind,
            from_cache=from_cache,
        )
        return heard

    def _agent_state(self, event: AgentStateChangedEvent) -> None:
        if event.new_state == "listening":
            self._turns.agent_listens()
            if self._greeted:  # the loop listens once before the agent has said anything
                self._on_reply()

    def _user_state(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self._voice_from_s, self._voice_until_s = self._now_s(), None
        elif event.old_state == "speaking":
            self._voice_until_s = self._now_s()
        if event.new_state == "away":
            self._on_away()

    def _caller_spoke_from_s(self) -> float | None:
        """Since when the caller has been speaking, or was until just now; by the word of the voice loop."""
        until_s = self._voice_until_s
        recent = until_s is None or self._now_s() - until_s <= BARGE_IN_LAG_S
        return self._voice_from_s if recent else None

    def _not_understood(self, _event: UserTranscriptionTimeoutEvent) -> None:
        self._turns.error("speech_not_understood")
        self._on_not_understood()

    def _speech_created(self, event: SpeechCreatedEvent) -> None:
        if event.source == "generate_reply":
            event.speech_handle.add_done_callback(self._reply_over)

    def _reply_over(self, handle: SpeechHandle) -> None:
        if handle.interrupted:
            return
        messages = [item for item in handle.chat_items if isinstance(item, llm.ChatMessage)]
        if handle.exception() is not None or (
            not messages and not self._voice_failed and _owes_reply(handle)
        ):
            self._failed(Stage.LLM, recoverable=False)
        elif self._voice_failed and (not messages or messages[-1].interrupted):
            self._voice_failed = False
            self._failed(Stage.TTS, recoverable=False)
        elif messages:
            self._voice_failed = False
            self._failures.worked(Stage.LLM, Stage.TTS)

    def _tool_updated(self, event: ToolExecutionUpdatedEvent) -> None:
        if event.update.type == "tool_call_started":
            self._dispatched.add(event.update.function_call.call_id)

    def _tools_executed(self, event: FunctionToolsExecutedEvent) -> None:
        dispatched, self._dispatched = self._dispatched, set()
        for call in event.function_calls:
            # what ran was recorded by the tool itself (tools.py)
            if call.call_id not in dispatched:
                self._turns.tool_called(_never_run(call, self._tool_names))

    def _error(self, event: ErrorEvent) -> None:
        failure = _stage_of(event)
        if failure is None or _in_background.get():
            return
        stage, recoverable = failure
        self._turns.error(f"{stage.value}_failed")
        if stage is Stage.STT and not self._apologising():
            self._failed(stage, recoverable=recoverable)
        elif stage is Stage.TTS and not recoverable:
            self._voice_failed = True

    def _availability(self, stage: Stage, event: Any) -> None:
        if not event.available and not _in_background.get():
            self._turns.error(f"{stage.value}_failed")

    def _failed(self, stage: Stage, *, recoverable: bool) -> None:
        action = self._failures.failed(stage, recoverable=recoverable)
        if action is not FailureAction.NONE:
            self._on_failure(action, stage)

    def _closed(self, _event: CloseEvent) -> None:
        self._on_closed()


def _owes_reply(handle: SpeechHandle) -> bool:
    """Whether a speech without a word should have had some: all but one that a tool has ended."""
    outputs = [item for item in handle.chat_items if isinstance(item, llm.FunctionCallOutput)]
    return not outputs or outputs[-1].reply_required


def _never_run(call: llm.FunctionCall, tool_names: frozenset[str]) -> ToolCall:
    """A call that the voice loop refused: of a tool that is not listed, or with arguments that are no JSON."""
    error = ToolArgumentsError if call.name in tool_names else ToolNotAllowedError
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = None
    return ToolCall(
        name=call.name,
        arguments=arguments if isinstance(arguments, dict) else {"malformed": call.arguments},
        result=None,
        error_code=error.code,
        duration_ms=0.0,
    )


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
