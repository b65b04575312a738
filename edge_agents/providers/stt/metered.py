"""A recogniser that is watched and metered: what every recogniser of a call is wrapped in."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import deque
from collections.abc import AsyncIterable, Callable
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import APIConnectOptions, APITimeoutError, metrics, stt, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr

from edge_agents.audio.speech_edges import EdgeTracker
from edge_agents.providers.closing import BackgroundClosing
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.timeouts import DEADLINES, Deadlines

_REPLAY_S = 15.0
"""Audio kept for the next recogniser when one fails in the middle of an utterance, seconds."""
_ENOUGH_SPEECH_S = 0.4
"""Audible sound that a recogniser must react to. A cough or a click is shorter, and vendors rightly ignore it."""


class UnansweredAudio:
    """The caller's audio since the last final transcript, shared by all recognisers of a call.

    When one fails, the next hears this first: the caller need not say it again. Bounded to the newest 15 s.
    """

    def __init__(self) -> None:
        self._frames: deque[rtc.AudioFrame] = deque()
        self._newest: rtc.AudioFrame | None = None
        self._seconds = 0.0

    def add(self, frame: rtc.AudioFrame) -> None:
        """Remember a frame; the oldest is forgotten beyond the bound.

        The same frame comes several times in a row while a fallback also probes the failed recogniser; it is
        remembered once.
        """
        if frame is self._newest:
            return
        self._newest = frame
        self._frames.append(frame)
        self._seconds += frame.duration
        while self._seconds > _REPLAY_S:
            self._seconds -= self._frames.popleft().duration

    def clear(self) -> None:
        """A final transcript came: nothing is unanswered."""
        self._frames.clear()
        self._seconds = 0.0

    def frames(self) -> list[rtc.AudioFrame]:
        """What is unanswered, oldest first."""
        return list(self._frames)


class MeteredSTT(stt.STT[Any]):
    """Wraps one recogniser object of one call.

    An open stream that gives no result of any kind within `stt_after_speech_s` of audible speech has failed:
    APITimeoutError, so that a fallback takes over.

    Args:
        inner: the vendor's plugin object, owned by this one.
        meter: counts the seconds that the plugin reports under `provider` and each of `skus`.
        provider: vendor as in the price catalogue.
        skus: model and add-ons as in the price catalogue.
        unreported_s: seconds of a closed stream that the plugin has not reported and will not.
        unanswered: shared by all recognisers of the call.
        deadlines: see above.
    """

    def __init__(
        self,
        inner: stt.STT[Any],
        *,
        meter: UsageMeter,
        provider: str,
        skus: tuple[str, ...],
        unreported_s: Callable[[stt.RecognizeStream], float],
        unanswered: UnansweredAudio,
        deadlines: Deadlines = DEADLINES,
    ) -> None:
        super().__init__(capabilities=inner.capabilities)
        self.inner = inner
        self._meter = meter
        self._provider_name = provider
        self._skus = skus
        self._unreported_s = unreported_s
        self.unanswered = unanswered
        self.deadlines = deadlines
        self._closing = BackgroundClosing()
        self._label = inner.label
        inner.on("metrics_collected", self._on_inner_metrics)

    @property
    def model(self) -> str:
        """The vendor's model name."""
        return self.inner.model

    @property
    def provider(self) -> str:
        """Vendor as in the price catalogue."""
        return self._provider_name

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        return await self.inner.recognize(buffer, language=language, conn_options=conn_options)

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        """Open a stream; what is unanswered is heard first."""
        return _MeteredStream(self, language=language, conn_options=conn_options)

    async def aclose(self) -> None:
        """Close the plugin object, and wait for its streams' goodbyes. The count is final then, even if cancelled."""
        try:
            await self.inner.aclose()
            await self._closing.finish()
        finally:
            self.inner.off("metrics_collected", self._on_inner_metrics)

    def retire(self, stream: stt.RecognizeStream) -> None:
        """Close a stream of the plugin without waiting for it; its last seconds are counted when it is closed."""
        self._closing.start(self._close(stream))

    async def _close(self, stream: stt.RecognizeStream) -> None:
        try:
            await stream.aclose()
        finally:
            self._count(self._unreported_s(stream))

    def _on_inner_metrics(self, report: metrics.STTMetrics) -> None:
        self._count(report.audio_duration)
        self.emit("metrics_collected", report)

    def _count(self, seconds: float) -> None:
        for sku in self._skus:
            self._meter.add_seconds(self._provider_name, sku, seconds)


class _MeteredStream(stt.RecognizeStream):
    def __init__(
        self, owner: MeteredSTT, *, language: NotGivenOr[str], conn_options: APIConnectOptions
    ) -> None:
        self._owner = owner
        self._language = language
        super().__init__(stt=owner, conn_options=conn_options)

    async def _metrics_monitor_task(self, event_aiter: AsyncIterable[stt.SpeechEvent]) -> None:
        async for _ in event_aiter:
            pass  # the inner stream reports

    def push_frame(self, frame: rtc.AudioFrame) -> None:
        """Push audio; remembered at once, because a stream that is breaking may never take it."""
        self._owner.unanswered.add(frame)
        super().push_frame(frame)

    async def _run(self) -> None:
        owner = self._owner
        limits = owner.deadlines
        while not self._input_ch.empty():
            self._input_ch.recv_nowait()  # it is among the unanswered, which are heard first
        inner = owner.inner.stream(
            language=self._language,
            conn_options=dataclasses.replace(
                self._conn_options,
                max_retry=0,
                # the outer one also says when a failure starts a new count of tries, and must be longer
                timeout=min(self._conn_options.timeout, limits.connect_s),
            ),
        )
        watch = _SilentRecognizerWatch(limits.stt_after_speech_s)
        replayed = owner.unanswered.frames()
        # the first sample that this connection hears is that much older than the connection
        inner.start_time_offset = max(self.start_time_offset - sum(frame.duration for frame in replayed), 0.0)
        for frame in replayed:
            inner.push_frame(frame)
        tasks = [
            asyncio.create_task(self._forward_results(inner, watch), name="stt.forward_results"),
            asyncio.create_task(self._forward_audio(inner, watch), name="stt.forward_audio"),
            asyncio.create_task(watch.expired(), name="stt.watch"),
        ]
        try:
            await _first_failure_or_done(tasks[0], tasks)
        finally:
            await utils.aio.cancel_and_wait(*tasks)
            owner.retire(inner)

    async def _forward_audio(self, inner: stt.RecognizeStream, watch: _SilentRecognizerWatch) -> None:
        # a stream that has just failed takes no more; its results say why
        with contextlib.suppress(RuntimeError):
            async for data in self._input_ch:
                if isinstance(data, rtc.AudioFrame):
                    watch.heard(data)
                    inner.push_frame(data)
                else:
                    inner.flush()
            inner.end_input()

    async def _forward_results(self, inner: stt.RecognizeStream, watch: _SilentRecognizerWatch) -> None:
        async for event in inner:
            if event.type is stt.SpeechEventType.RECOGNITION_USAGE:
                continue  # of the plugin's own making, and counted: no sign of life
            watch.answered()
            if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
                self._owner.unanswered.clear()
            self._event_ch.send_nowait(event)


async def _first_failure_or_done(result: asyncio.Task[None], tasks: list[asyncio.Task[None]]) -> None:
    """Wait until `result` is done or any task fails; raise that failure."""
    pending: set[asyncio.Task[None]] = set(tasks)
    while result in pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


class _SilentRecognizerWatch:
    """Notices that somebody spoke and the recogniser said nothing at all."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._edges: EdgeTracker | None = None
        self._seen_voice = 0
        self._voiced_s = 0.0
        self._due_at: float | None = None
        self._armed = asyncio.Event()

    def heard(self, frame: rtc.AudioFrame) -> None:
        """The caller's audio, a frame of at most a few hundred milliseconds."""
        if self._edges is None:
            self._edges = EdgeTracker(frame.sample_rate)
        self._edges.feed(np.frombuffer(frame.data, dtype=np.int16))
        last_voiced = self._edges.last_voiced_end
        if last_voiced is None or last_voiced <= self._seen_voice:
            return
        rate_hz = frame.sample_rate
        self._voiced_s += min((last_voiced - self._seen_voice) / rate_hz, frame.duration)
        self._seen_voice = last_voiced
        if self._voiced_s >= _ENOUGH_SPEECH_S:
            ended_s = self._loop.time() - (self._edges.position - last_voiced) / rate_hz
            self._due_at = ended_s + self._limit_s
            self._armed.set()

    def answered(self) -> None:
        """A result came."""
        self._voiced_s = 0.0
        self._due_at = None
        self._armed.clear()

    async def expired(self) -> None:
        """Raise APITimeoutError once speech has stayed unanswered for too long."""
        while True:
            await self._armed.wait()
            if self._due_at is None:
                self._armed.clear()
                continue
            left = self._due_at - self._loop.time()
            if left <= 0:
                raise APITimeoutError("the recogniser gave no result after speech", retryable=True)
            await asyncio.sleep(left)
