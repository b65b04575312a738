"""Says fixed sentences, from kept audio where there is some: they then need no provider and no time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import structlog
from livekit import rtc
from livekit.agents import AgentSession, APIError, tts
from livekit.agents.voice import SpeechHandle

from edge_agents.audio.phrases import PhraseStore, fallback_apology

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

    def say_without_provider(self, text: str) -> SpeechHandle:
        """Say a sentence that must be heard although providers fail: kept audio, or the packaged apology."""
        frames = self._store.get(text, self._voice_key) or fallback_apology()
        return self._session.say(
            text, audio=_stream(frames), allow_interruptions=False, add_to_chat_ctx=False
        )

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
