"""What the caller hears when a provider failed for good: an apology, then what they did not get to hear.

failure ─► apology (kept audio) ─► once more ─┬► works
              │                               └► fails again: the call ends with a farewell (failures.py)
              └ the caller speaks: the apology stops, and what they say is answered as always
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livekit.agents import AgentSession, llm

from edge_agents.session.failures import Stage
from edge_agents.session.listener import SessionListener
from edge_agents.session.speaker import Speaker

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
        """Whether the apology is being said."""
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
            handle, words = self._speaker.say_without_provider(self._apology)
            await self._listener.outside_history(handle, words)
            if not handle.interrupted and not self._over():
                self._try_again(self._stage)
        finally:
            self._stage = None

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
