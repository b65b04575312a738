"""Says fixed sentences, from kept audio where there is some: they then need no provider and no time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import structlog
from livekit import rtc
from livekit.agents import AgentSession, APIError, tts
from livekit.agents.voice import SpeechHandle

from edge_agents.audio.phrases import (
    APOLOGY_TEXT,
    FAREWELL_TEXT,
    PhraseStore,
    fallback_apology,
    fallback_farewell,
)

log = structlog.get_logger(__name__)


class Speaker:
    """Fixed sentences of one call.

    Args:
        session: the voice loop, started or not yet.
        voice: the call's voice, for sentences that are not kept yet.
        store: kept audio, shared by all calls of a machine.
        voice_key: names the voice in the store: the same sentence in another voice is another entry.
    """

    def __init__(
        self, session: AgentSession[Any], *, voice: tts.TTS[Any], store: PhraseStore, voice_key: str
    ) -> None:
        self._session = session
        self._voice = voice
        self._store = store
        self._voice_key = voice_key

    def say(
        self, text: str, *, interruptible: bool = True, in_history: bool = True
    ) -> tuple[SpeechHandle, bool]:
        """Say a sentence.

        Returns:
            The speech's handle, and whether it came from kept audio.
        """
        frames = self._store.get(text, self._voice_key)
        if frames is None:
            handle = self._session.say(text, allow_interruptions=interruptible, add_to_chat_ctx=in_history)
            return handle, False
        handle = self._session.say(
            text, audio=_stream(frames), allow_interruptions=interruptible, add_to_chat_ctx=in_history
        )
        return handle, True

    def say_without_provider(self, text: str, *, last_words: bool = False) -> tuple[SpeechHandle, str]:
        """Say a sentence that must be heard although providers fail. It stands in no history.

        Args:
            text: said from kept audio; where there is none, a packaged English sentence takes its place.
            last_words: the packaged sentence says goodbye, and can't be interrupted. Otherwise it asks for
                patience, and gives way to a caller who speaks.

        Returns:
            The speech's handle, and the words that are said.
        """
        frames = self._store.get(text, self._voice_key)
        if frames is None and last_words:
            text, frames = FAREWELL_TEXT, fallback_farewell()
        elif frames is None:
            text, frames = APOLOGY_TEXT, fallback_apology()
        handle = self._session.say(
            text, audio=_stream(frames), allow_interruptions=not last_words, add_to_chat_ctx=False
        )
        return handle, text

    async def keep(self, texts: Iterable[str]) -> None:
        """Synthesise and keep the sentences that are not kept yet. Failures are logged: it is an aid."""
        for text in texts:
            if self._store.get(text, self._voice_key) is not None:
                continue
            try:
                async with self._voice.synthesize(text) as stream:
                    frames = [audio.frame async for audio in stream]
            except (APIError, TimeoutError):
                log.warning("phrase_not_kept", chars=len(text))
                return
            if frames:
                await asyncio.to_thread(self._store.put, text, self._voice_key, frames)


async def _stream(frames: list[rtc.AudioFrame]) -> AsyncIterator[rtc.AudioFrame]:
    for frame in frames:
        yield frame
