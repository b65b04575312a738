"""A voice with a deadline for useful audio and a meter: what every voice of a call is wrapped in."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterable, Callable
from typing import Any

from livekit.agents import APIConnectionError, APIConnectOptions, APIError, APITimeoutError, tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

from edge_agents.providers.closing import BackgroundClosing
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.timeouts import DEADLINES, Deadlines
from shared.contracts.usage import UsageUnit

_PREWARM_AFTER_S = 0.3
"""Pause between an interruption and the new connection: a call that is hung up needs none."""


class MeteredTTS(tts.TTS[Any]):
    """Wraps one voice object of one call.

    Characters are counted once they are on the vendor's connection: vendors bill what was pushed, even if the
    caller interrupted it, and nothing for a connection that never came about. Audio that does not come within
    `tts_first_audio_s` of the end of the text raises APITimeoutError, so that a fallback takes over.

    Args:
        make: makes the vendor's plugin object, owned by this one. It is made anew when a reply timed out: the
            plugins (1.8.9) would send the next reply into the same dead connection, or wait 10 s for its goodbye.
        meter: counts characters under `provider` and `sku`.
        provider: vendor as in the price catalogue.
        sku: voice or model as in the price catalogue.
        deadlines: see above.
        renew_after_cut: also make it anew after an interruption, for plugins whose connection is used up by one
            and whose next reply would wait until it is closed.
    """

    def __init__(
        self,
        make: Callable[[], tts.TTS[Any]],
        *,
        meter: UsageMeter,
        provider: str,
        sku: str,
        deadlines: Deadlines = DEADLINES,
        renew_after_cut: bool = False,
    ) -> None:
        inner = make()
        super().__init__(
            # word timings are not passed on
            capabilities=tts.TTSCapabilities(streaming=inner.capabilities.streaming),
            sample_rate=inner.sample_rate,
            num_channels=inner.num_channels,
        )
        self._make = make
        self._meter = meter
        self._provider_name = provider
        self._sku = sku
        self.deadlines = deadlines
        self._renew_after_cut = renew_after_cut
        self._label = inner.label
        self._closed = False
        self._closing = BackgroundClosing()
        self._prewarm_timer: asyncio.TimerHandle | None = None
        self.inner = inner
        inner.on("metrics_collected", self._forward_metrics)

    @property
    def model(self) -> str:
        """The vendor's model name."""
        return self.inner.model

    @property
    def provider(self) -> str:
        """Vendor as in the price catalogue."""
        return self._provider_name

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """Speak a whole text."""
        return _MeteredChunked(self, text, conn_options)

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.SynthesizeStream:
        """Speak a text that is still being written."""
        return _MeteredStream(self, conn_options)

    def prewarm(self) -> None:
        """Open the vendor's connection ahead of the first sentence."""
        self.inner.prewarm()

    async def aclose(self) -> None:
        """Close the plugin object, and wait for those that it took the place of."""
        self._closed = True
        if self._prewarm_timer is not None:
            self._prewarm_timer.cancel()
        self.inner.off("metrics_collected", self._forward_metrics)
        self._closing.start(self.inner.aclose())
        await self._closing.finish()

    def timed_out(self, plugin: tts.TTS[Any]) -> None:
        """The connection of `plugin` is dead: the next reply gets another one."""
        self._renew(plugin)

    def was_cut(self, plugin: tts.TTS[Any]) -> None:
        """A reply of `plugin` was interrupted."""
        if self._renew_after_cut and self._renew(plugin):
            loop = asyncio.get_running_loop()
            self._prewarm_timer = loop.call_later(_PREWARM_AFTER_S, self.prewarm)

    def _renew(self, plugin: tts.TTS[Any]) -> bool:
        if self._closed or plugin is not self.inner:
            return False
        plugin.off("metrics_collected", self._forward_metrics)
        self.inner = self._make()
        self.inner.on("metrics_collected", self._forward_metrics)
        self._closing.start(plugin.aclose())
        return True

    def _forward_metrics(self, *args: Any) -> None:
        self.emit("metrics_collected", *args)

    def count(self, chars: int) -> None:
        """Count characters handed to the vendor."""
        self._meter.add(self._provider_name, self._sku, UsageUnit.CHARACTER, chars)


class _MeteredChunked(tts.ChunkedStream):
    def __init__(self, owner: MeteredTTS, text: str, conn_options: APIConnectOptions) -> None:
        self._owner = owner
        super().__init__(tts=owner, input_text=text, conn_options=conn_options)

    async def _metrics_monitor_task(self, event_aiter: AsyncIterable[tts.SynthesizedAudio]) -> None:
        async for _ in event_aiter:
            pass  # the inner stream reports

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=self._owner.sample_rate,
            num_channels=self._owner.num_channels,
            mime_type="audio/pcm",
        )
        inner = self._owner.inner.synthesize(
            self._input_text, conn_options=dataclasses.replace(self._conn_options, max_retry=0)
        )
        deadline = _Deadline(self._owner.deadlines.tts_first_audio_s)
        deadline.start()
        # cancelled or out of time, the request has been sent; refused or broken off before any audio, it is free
        billed = True
        try:
            async with inner:
                async for audio in _within_deadline(inner, deadline):
                    output_emitter.push_frame(audio.frame)
        except APITimeoutError:
            raise
        except APIError as error:
            billed = deadline.met
            if deadline.met:
                # the framework would try again all the same, and the caller hear the beginning twice
                error.retryable = False
            _hide_text(error)
            raise
        finally:
            if billed:
                self._owner.count(len(self._input_text))
        output_emitter.flush()


class _MeteredStream(tts.SynthesizeStream):
    def __init__(self, owner: MeteredTTS, conn_options: APIConnectOptions) -> None:
        self._owner = owner
        super().__init__(tts=owner, conn_options=conn_options)

    async def _metrics_monitor_task(self, event_aiter: AsyncIterable[tts.SynthesizedAudio]) -> None:
        async for _ in event_aiter:
            pass  # the inner stream reports

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=self._owner.sample_rate,
            num_channels=self._owner.num_channels,
            mime_type="audio/pcm",
            stream=True,
        )
        output_emitter.start_segment(segment_id=utils.shortuuid())
        plugin = self._owner.inner
        try:
            await self._speak(plugin, output_emitter)
        except asyncio.CancelledError:
            self._owner.was_cut(plugin)
            raise
        except APITimeoutError:
            self._owner.timed_out(plugin)
            raise
        except APIError as error:
            _hide_text(error)
            raise
        output_emitter.end_segment()

    async def _speak(self, plugin: tts.TTS[Any], output_emitter: tts.AudioEmitter) -> None:
        inner = plugin.stream(conn_options=dataclasses.replace(self._conn_options, max_retry=0))
        deadline = _Deadline(self._owner.deadlines.tts_first_audio_s)
        pushed = _PushedText(self._owner, inner)
        async with inner:
            forwarding = asyncio.create_task(self._forward(inner, deadline, pushed), name="tts.forward_text")
            try:
                async for audio in _within_deadline(inner, deadline):
                    if inner._started_time and not self._started_time:  # noqa: SLF001
                        self._started_time = inner._started_time  # noqa: SLF001 - TTFB counts from there
                    pushed.settle(heard=True)
                    output_emitter.push_frame(audio.frame)
            finally:
                await utils.aio.cancel_and_wait(forwarding)
                pushed.settle(heard=deadline.met)

    async def _forward(self, inner: tts.SynthesizeStream, deadline: _Deadline, pushed: _PushedText) -> None:
        async for data in self._input_ch:
            if isinstance(data, str):
                pushed.add(data)
                inner.push_text(data)
            else:
                inner.flush()
                deadline.start()
        inner.end_input()
        deadline.start()


class _PushedText:
    """Counts the text of one attempt, from when the plugin has sent some of it."""

    def __init__(self, owner: MeteredTTS, inner: tts.SynthesizeStream) -> None:
        self._owner = owner
        self._inner = inner
        self._chars = 0

    def add(self, text: str) -> None:
        """Text goes to the plugin."""
        self._chars += len(text)

    def settle(self, *, heard: bool) -> None:
        """Count what was added so far, unless the connection never came about.

        Args:
            heard: whether audio came.
        """
        # the plugins set it when they send the first words (and clear it after the last audio)
        if heard or self._inner._started_time:  # noqa: SLF001 - two halves of one adapter
            self._owner.count(self._chars)
            self._chars = 0


class _Deadline:
    """When the next audio is due; never, until the text has been handed over."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._started = asyncio.Event()
        self.at = float("inf")
        self.met = False
        """Whether any audio came."""

    def start(self) -> None:
        self.at = self._loop.time() + self._limit_s
        self._started.set()

    async def expired(self) -> None:
        """Return once the deadline has passed (it may be moved meanwhile)."""
        await self._started.wait()
        while (left := self.at - self._loop.time()) > 0:  # noqa: ASYNC110 - audio moves the deadline
            await asyncio.sleep(left)

    def push_back(self) -> None:
        """Audio came: the next piece is due anew, if the text is complete."""
        self.met = True
        if self._started.is_set():
            self.at = self._loop.time() + self._limit_s


async def _within_deadline(
    stream: tts.SynthesizeStream | tts.ChunkedStream, deadline: _Deadline
) -> AsyncIterable[tts.SynthesizedAudio]:
    """Yield the stream's audio; raise APITimeoutError when none comes in time."""
    expiry = asyncio.create_task(deadline.expired(), name="tts.deadline")
    audio = aiter(stream)
    try:
        while True:
            pending = asyncio.ensure_future(anext(audio))
            try:
                await asyncio.wait({pending, expiry}, return_when=asyncio.FIRST_COMPLETED)
                if not pending.done():
                    # not retryable: the caller has waited long enough; a fallback or an apology comes next
                    raise APITimeoutError("the voice sent no audio in time", retryable=False)
                try:
                    chunk = pending.result()
                except StopAsyncIteration:
                    return
            finally:
                if not pending.done():
                    await utils.aio.cancel_and_wait(pending)
                elif not pending.cancelled():
                    pending.exception()  # seen, also when a cancellation came first; else asyncio complains
            deadline.push_back()
            yield chunk
    finally:
        await utils.aio.cancel_and_wait(expiry)


def _hide_text(error: APIError) -> None:
    """Raise another error for one whose message may repeat the text: messages stand in logs."""
    if type(error) is APIError:  # the framework's, for an answer without audio
        raise APIConnectionError("the voice failed or sent no audio", retryable=error.retryable) from None
