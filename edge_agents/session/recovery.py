"""What the caller hears when a provider failed for good: an apology, then what they did not get to hear.

failure ─► apology (kept audio) ─► once more ─┬► works
        │     │                               └► fails again: the call ends with a farewell (failures.py)
        │     └ the caller speaks: the apology stops, and what they say is answered as always
        └ a recogniser fails while the caller speaks: the apology waits for them to pause, or they would cut it off
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from livekit.agents import AgentSession, UserStateChangedEvent, llm

from edge_agents.session.failures import Stage
from edge_agents.session.listener import SessionListener
from edge_agents.session.speaker import Speaker

log = structlog.get_logger(__name__)

_PAUSE_TIMEOUT_S = 5.0
"""Longest wait for a caller who speaks on and on; also a bound for noise that is taken for speech."""
_CUT_OFF = "A technical problem cut your last answer off. Give the whole answer again, without mentioning the problem."


class Recovery:
    """Covers failures of one call.

    Args:
        session: the voice loop.
        speaker: has the apology.
        listener: is told what was said.
        apology: the agent's own words for it.
        say: says a fixed sentence through the voice.
        over: whether the call is about to end: nothing is tried again then.
    """

    def __init__(
        self,
        session: AgentSession[Any],
        *,
        speaker: Speaker,
        listener: SessionListener,
        apology: str,
        say: Callable[[str], object],
        over: Callable[[], bool],
    ) -> None:
        self._session = session
        self._speaker = speaker
        self._listener = listener
        self._apology = apology
        self._say = say
        self._over = over
        self._unheard: str | None = None
        self._stage: Stage | None = None

    @property
    def busy(self) -> bool:
        """Whether the apology is being said, or is about to be."""
        return self._stage is not None

    def not_heard(self, text: str) -> None:
        """A fixed sentence could not be spoken: it is what to try again."""
        self._unheard = text

    async def apologise_and_retry(self, stage: Stage) -> None:
        """Say sorry, then try again. A failure during the apology needs no second one."""
        busy, self._stage = self.busy, stage
        if busy:
            return
        try:
            if stage is Stage.STT:
                await self._caller_pauses()
            if self._over():
                return
            handle, words = self._speaker.say_without_provider(self._apology)
            await self._listener.outside_history(handle, words)
            if not handle.interrupted and not self._over():
                self._try_again(self._stage)
        finally:
            self._stage = None

    async def _caller_pauses(self) -> None:
        """Wait until the caller does not speak, as the voice activity detector hears it."""
        paused = asyncio.Event()

        def changed(event: UserStateChangedEvent) -> None:
            if event.new_state != "speaking":
                paused.set()

        if self._session.user_state != "speaking":
            return
        self._session.on("user_state_changed", changed)
        try:
            async with asyncio.timeout(_PAUSE_TIMEOUT_S):
                await paused.wait()
        except TimeoutError:
            log.info("apology_overlaps_caller")
        finally:
            self._session.off("user_state_changed", changed)

    def _try_again(self, stage: Stage) -> None:
        if stage is Stage.STT:
            return  # the voice loop connects anew by itself, and what was said meanwhile is heard first
        unheard, self._unheard = self._unheard, None
        if stage is Stage.TTS and unheard is not None:
            self._say(unheard)
            return
        messages = (
            item for item in reversed(self._session.history.items) if isinstance(item, llm.ChatMessage)
        )
        last = next(messages, None)
        if last is None or last.role != "assistant":
            self._session.generate_reply()
        else:  # its end was never said, or never heard
            self._session.generate_reply(instructions=_CUT_OFF)
