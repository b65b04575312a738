"""Voices in order, each tried once for a reply.

Over LiveKit's fallback (1.8.9) in two points. The session's own retry would go through all voices again, deadline
by deadline, in silence; here the failure is known after one pass, and the call apologises. And a voice that breaks
off in mid-reply ends the reply there as if that were all of it; here it is the error that it is with one voice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from livekit.agents import APIConnectionError, APIConnectOptions, tts
from livekit.agents.tts.fallback_adapter import FallbackChunkedStream, FallbackSynthesizeStream
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS


class OnePassVoices(tts.FallbackAdapter):
    """See the module."""

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> FallbackChunkedStream:
        """Speak a whole text."""
        return _Chunked(tts=self, input_text=text, conn_options=replace(conn_options, max_retry=0))

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> FallbackSynthesizeStream:
        """Speak a text that is still being written."""
        return _Stream(tts=self, conn_options=replace(conn_options, max_retry=0))


class _OnePass:
    """What both kinds of stream do differently; stands before LiveKit's class."""

    _broke_off = False

    async def _try_synthesize(
        self, *, recovering: bool = False, **request: Any
    ) -> AsyncGenerator[tts.SynthesizedAudio, None]:
        # probes of voices that failed before run beside the reply and say nothing of it
        if not recovering:
            self._broke_off = True
        async for audio in super()._try_synthesize(recovering=recovering, **request):  # type: ignore[misc]
            yield audio
        if not recovering:
            self._broke_off = False

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        await super()._run(output_emitter)  # type: ignore[misc]
        if self._broke_off:
            raise APIConnectionError("the voice broke off", retryable=False)


class _Chunked(_OnePass, FallbackChunkedStream):
    pass


class _Stream(_OnePass, FallbackSynthesizeStream):
    pass
