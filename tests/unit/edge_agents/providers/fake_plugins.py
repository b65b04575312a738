"""Vendors' plugins that follow a script, for the wrappers' tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from livekit import rtc
from livekit.agents import APIConnectOptions, llm, stt, tts
from livekit.agents.metrics import STTMetrics
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

RATE_HZ = 24_000
ONE_TRY = APIConnectOptions(max_retry=0, timeout=10)


def pcm_frame(seconds: float = 0.1, *, rate_hz: int = RATE_HZ, level: int = 1000) -> rtc.AudioFrame:
    """Audio of one level (alternating sign, so that it has no mean)."""
    count = round(seconds * rate_hz)
    data = (level.to_bytes(2, "little", signed=True) + (-level).to_bytes(2, "little", signed=True)) * (
        count // 2
    )
    return rtc.AudioFrame(data, rate_hz, 1, count // 2 * 2)


# --- language models ---------------------------------------------------------------------------------

ModelScript = Callable[["FakeModelStream"], Awaitable[None]]


class FakeModel(llm.LLM[Any]):
    """Runs a script for each request."""

    def __init__(self, script: ModelScript) -> None:
        super().__init__()
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.closed = 0

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: Any = None,
        conn_options: APIConnectOptions = ONE_TRY,
        **options: Any,
    ) -> llm.LLMStream:
        self.requests.append({"conn_options": conn_options, **options})
        return FakeModelStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    async def aclose(self) -> None:
        self.closed += 1


class FakeModelStream(llm.LLMStream):
    """Scripts send with `text`, `tool` and `usage`."""

    async def _run(self) -> None:
        assert isinstance(self._llm, FakeModel)
        await self._llm.script(self)

    def text(self, text: str) -> None:
        self._send(delta=llm.ChoiceDelta(role="assistant", content=text))

    def tool(self, name: str, arguments: str) -> None:
        call = llm.FunctionToolCall(name=name, arguments=arguments, call_id="1")
        self._send(delta=llm.ChoiceDelta(role="assistant", tool_calls=[call]))

    def usage(self, *, prompt: int, cached: int, completion: int) -> None:
        self._send(
            usage=llm.CompletionUsage(
                prompt_tokens=prompt,
                prompt_cached_tokens=cached,
                completion_tokens=completion,
                total_tokens=prompt + completion,
            )
        )

    def _send(self, **fields: Any) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id="1", **fields))


# --- voices ------------------------------------------------------------------------------------------

VoiceScript = Callable[["FakeSpeech"], Awaitable[None]]


class FakeVoice(tts.TTS[Any]):
    """Runs a script for each reply; REST and streaming alike."""

    def __init__(self, script: VoiceScript, *, close_s: float = 0.0) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=True, aligned_transcript=True),
            sample_rate=RATE_HZ,
            num_channels=1,
        )
        self.script = script
        self.close_s = close_s
        self.options: list[APIConnectOptions] = []
        self.prewarmed = 0
        self.closed = 0

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        self.options.append(conn_options)
        return _FakeChunked(tts=self, input_text=text, conn_options=conn_options)

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.SynthesizeStream:
        self.options.append(conn_options)
        return _FakeStream(tts=self, conn_options=conn_options)

    def prewarm(self) -> None:
        self.prewarmed += 1

    async def aclose(self) -> None:
        await asyncio.sleep(self.close_s)
        self.closed += 1


class FakeSpeech:
    """One reply on its way: what a script may do."""

    def __init__(
        self, emitter: tts.AudioEmitter, words: AsyncIterator[str], mark_started: Callable[[], None]
    ) -> None:
        self._emitter = emitter
        self._words = words
        self.sent = mark_started
        """Says that text went out on a connection."""

    async def whole_text(self) -> str:
        return "".join([word async for word in self._words])

    def audio(self, seconds: float = 0.1) -> None:
        self._emitter.push(bytes(pcm_frame(seconds).data.cast("B")))


class _FakeChunked(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        assert isinstance(self._tts, FakeVoice)
        output_emitter.initialize(request_id="1", sample_rate=RATE_HZ, num_channels=1, mime_type="audio/pcm")

        async def words() -> AsyncIterator[str]:
            yield self.input_text

        await self._tts.script(FakeSpeech(output_emitter, words(), lambda: None))


class _FakeStream(tts.SynthesizeStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        assert isinstance(self._tts, FakeVoice)
        output_emitter.initialize(
            request_id="1", sample_rate=RATE_HZ, num_channels=1, mime_type="audio/pcm", stream=True
        )
        output_emitter.start_segment(segment_id="1")

        async def words() -> AsyncIterator[str]:
            async for data in self._input_ch:
                if isinstance(data, str):
                    yield data

        await self._tts.script(FakeSpeech(output_emitter, words(), self._mark_started))
        output_emitter.end_segment()


# --- recognisers -------------------------------------------------------------------------------------

EarScript = Callable[["FakeEarStream"], Awaitable[None]]


class FakeEar(stt.STT[Any]):
    """Runs the next script for each connection (the last one repeats)."""

    def __init__(self, *scripts: EarScript) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.scripts = list(scripts)
        self.streams: list[FakeEarStream] = []
        self.closed = 0

    async def _recognize_impl(self, buffer: Any, **_: Any) -> stt.SpeechEvent:
        raise NotImplementedError

    def stream(
        self, *, language: Any = None, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> stt.RecognizeStream:
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        stream = FakeEarStream(self, script, conn_options)
        self.streams.append(stream)
        return stream

    async def aclose(self) -> None:
        self.closed += 1

    def report(self, seconds: float) -> None:
        """Report usage as a plugin does."""
        self.emit(
            "metrics_collected",
            STTMetrics(
                label="", request_id="", timestamp=0.0, duration=0.0, audio_duration=seconds, streamed=True
            ),
        )


class FakeEarStream(stt.RecognizeStream):
    """Collects what it is given; scripts answer with `say`."""

    def __init__(self, ear: FakeEar, script: EarScript, conn_options: APIConnectOptions) -> None:
        self.script = script
        self.options = conn_options
        self.heard: list[rtc.AudioFrame] = []
        self.close_s = 0.0
        self.left_over_s = 0.0
        """Seconds that it never reports."""
        super().__init__(stt=ear, conn_options=conn_options)

    def push_frame(self, frame: rtc.AudioFrame) -> None:
        super().push_frame(frame)
        self.heard.append(frame)

    async def _run(self) -> None:
        await self.script(self)

    async def aclose(self) -> None:
        await super().aclose()
        await asyncio.sleep(self.close_s)

    async def until_end_of_input(self) -> None:
        async for _ in self._input_ch:
            pass

    def say(self, kind: stt.SpeechEventType, text: str = "") -> None:
        alternatives = [stt.SpeechData(language="en", text=text)] if text else []  # type: ignore[arg-type]
        usage = (
            stt.RecognitionUsage(audio_duration=5.0)
            if kind is stt.SpeechEventType.RECOGNITION_USAGE
            else None
        )
        self._event_ch.send_nowait(
            stt.SpeechEvent(type=kind, alternatives=alternatives, recognition_usage=usage)
        )
