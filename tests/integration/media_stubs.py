"""Speech and language that need no server: enough for an AgentSession to hold a conversation."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, llm, stt, tts, utils

_LOUD = 1000.0
_FINAL_AFTER_S = 0.15
TTS_RATE_HZ = 24000

# how fast these providers are
_FIRST_TOKEN_S = 0.1
_FIRST_BYTE_S = 0.05
_BETWEEN_CHUNKS_S = 0.05


class GateSTT(stt.STT):
    """Hears "hello" in anything loud; final 150 ms after it stops."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))

    async def _recognize_impl(self, *_args: Any, **_kwargs: Any) -> stt.SpeechEvent:
        raise NotImplementedError

    def stream(
        self, *, language: Any = None, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS
    ) -> stt.RecognizeStream:
        return _GateStream(stt=self, conn_options=conn_options, sample_rate=16000)


class _GateStream(stt.RecognizeStream):
    async def _run(self) -> None:
        speaking, silent_s = False, 0.0
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            loud = float(np.frombuffer(frame.data, np.int16).astype(float).std()) > _LOUD
            silent_s = 0.0 if loud else silent_s + frame.duration
            if loud and not speaking:
                speaking = True
                self._send(stt.SpeechEventType.START_OF_SPEECH)
                self._send(stt.SpeechEventType.INTERIM_TRANSCRIPT, "hello")
            elif speaking and silent_s >= _FINAL_AFTER_S:
                speaking = False
                self._send(stt.SpeechEventType.FINAL_TRANSCRIPT, "hello there")
                self._send(stt.SpeechEventType.END_OF_SPEECH)

    def _send(self, kind: stt.SpeechEventType, text: str | None = None) -> None:
        heard = [] if text is None else [stt.SpeechData(language="en", text=text)]
        self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=heard))


class ScriptedLLM(llm.LLM):
    """Gives each reply of a list in turn, 100 ms after it was asked; the last one for all that follow."""

    def __init__(self, replies: list[str]) -> None:
        super().__init__()
        self.replies = replies
        self.asked = 0

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: Any = None,
        conn_options: Any = DEFAULT_API_CONNECT_OPTIONS,
        **_more: Any,
    ) -> llm.LLMStream:
        self.asked += 1
        return _ScriptedStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _ScriptedStream(llm.LLMStream):
    async def _run(self) -> None:
        scripted = self._llm
        assert isinstance(scripted, ScriptedLLM)
        await asyncio.sleep(_FIRST_TOKEN_S)
        turns = sum(1 for item in self._chat_ctx.items if getattr(item, "role", "") == "user")
        reply = scripted.replies[min(turns, len(scripted.replies)) - 1]
        self._event_ch.send_nowait(
            llm.ChatChunk(id="reply", delta=llm.ChoiceDelta(role="assistant", content=reply))
        )


class ToneTTS(tts.TTS):
    """Says a number as so many seconds of a tone, behind 60 ms of silence; first audio after 50 ms, four times faster
    than real time."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=TTS_RATE_HZ, num_channels=1
        )

    def synthesize(self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> tts.ChunkedStream:
        return _ToneStream(tts=self, input_text=text, conn_options=conn_options)


class _ToneStream(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(), sample_rate=TTS_RATE_HZ, num_channels=1, mime_type="audio/pcm"
        )
        await asyncio.sleep(_FIRST_BYTE_S)
        time = np.arange(round(float(self.input_text.rstrip(".")) * TTS_RATE_HZ)) / TTS_RATE_HZ
        tone = (np.sin(2 * np.pi * 220 * time) * 6000).astype(np.int16)
        audio = np.concatenate([np.zeros(round(0.06 * TTS_RATE_HZ), np.int16), tone])
        step = TTS_RATE_HZ // 5
        for start in range(0, len(audio), step):
            output_emitter.push(audio[start : start + step].tobytes())
            await asyncio.sleep(_BETWEEN_CHUNKS_S)
        output_emitter.flush()
