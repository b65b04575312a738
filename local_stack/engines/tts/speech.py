"""Speak sentences for many clients with libraries that do one thing at a time.

Each library has one thread; sentences queue for it. A sentence is synthesised far faster than it plays, and
the next one of the same client starts only when the client has taken this one, so what a slow client can hold is
one sentence. Nothing of this runs on the event loop but handing pieces over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from local_stack.engines.tts.pacing import Pacer
from local_stack.engines.tts.sentences import split_sentences
from local_stack.engines.tts.shaping import Shaper, pcm_duration_s
from local_stack.engines.tts.synthesizer import Synthesizer, speakable
from local_stack.engines.tts.voices import EngineName, Voice
from local_stack.engines.tts.worker import SpeechThread

Emit = Callable[[bytes], Awaitable[None]]
"""Sends one piece of mono s16le PCM to the client; may wait for the client."""


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """How a client wants to hear its text."""

    voice: Voice
    sample_rate_hz: int
    speed: float = 1.0
    """1.0 is the voice's own rate; 0.5..2."""


class SpeechService:
    """All synthesis of this process."""

    def __init__(self, synthesizers: Mapping[EngineName, Synthesizer], *, realtime_factor: float) -> None:
        """Start one thread per library.

        Args:
            synthesizers: the libraries, by name; owned from here on.
            realtime_factor: how much faster than real time audio goes out in the long run; 0 = no limit.
        """
        self._synthesizers = dict(synthesizers)
        self._threads = {name: SpeechThread(f"speech-{name}") for name in synthesizers}
        self._realtime_factor = realtime_factor

    def stream(self, options: AudioOptions, *, paced: bool = True) -> SpeechStream:
        """One client's speech, at its own pace; unpaced when nothing can be heard before the end."""
        return SpeechStream(self, options, Pacer(self._realtime_factor if paced else 0.0))

    async def render(self, text: str, options: AudioOptions, *, after_another: bool, emit: Emit) -> None:
        """Synthesise one sentence and emit it piece by piece.

        Cancelling it (or an exception of `emit`) stops the synthesis within one piece of the library, 50 ms of
        audio, and withdraws it when it hasn't begun.

        Args:
            text: one sentence; nothing is emitted when it holds nothing to say.
            options: voice, rate and speed.
            after_another: it continues a reply: the voice's sentence gap comes first, and the sentences that begin
                a reply may overtake it.
            emit: awaited for every piece, in order.

        Raises:
            SynthesisError: the library failed.
        """
        words = speakable(text)
        if not words:
            return
        name = options.voice.engine
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()  # bounded by the length of a sentence
        loop = asyncio.get_running_loop()
        job = _Job(
            self._synthesizers[name],
            words,
            options,
            after_another=after_another,
            deliver=lambda piece: _post(loop, pieces, piece),
        )
        future = asyncio.wrap_future(self._threads[name].submit(job.run, urgent=not after_another))
        future.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                await emit(piece)
            await future
        finally:
            job.stop()
            future.cancel()

    def close(self) -> None:
        """Stop the threads; waits for the sentence in progress, and withdraws those that wait."""
        for thread in self._threads.values():
            thread.close()


class SpeechStream:
    """One client's sentences, one after the other, with pauses between those of one reply."""

    def __init__(self, service: SpeechService, options: AudioOptions, pacer: Pacer) -> None:
        self._service = service
        self._options = options
        self._pacer = pacer
        self._continues = False

    @property
    def options(self) -> AudioOptions:
        """Voice, rate and speed of this stream."""
        return self._options

    def reply_ended(self) -> None:
        """The next sentence begins a new reply: no pause in front of it."""
        self._continues = False

    async def say_all(self, text: str, emit: Emit, *, options: AudioOptions | None = None) -> None:
        """Speak a whole text, sentence by sentence."""
        for sentence in split_sentences(text):
            await self.say(sentence, emit, options=options)

    async def say(self, sentence: str, emit: Emit, *, options: AudioOptions | None = None) -> float:
        """Speak one sentence; returns the seconds of audio that were emitted.

        See `SpeechService.render` for cancellation and errors.
        """
        options = options or self._options
        total_bytes = 0

        async def emit_paced(piece: bytes) -> None:
            nonlocal total_bytes
            await emit(piece)
            total_bytes += len(piece)
            await self._pacer.sent(pcm_duration_s(len(piece), options.sample_rate_hz))

        await self._service.render(sentence, options, after_another=self._continues, emit=emit_paced)
        self._continues = self._continues or total_bytes > 0
        return pcm_duration_s(total_bytes, options.sample_rate_hz)


class _Job:
    """One sentence on a library's thread."""

    def __init__(
        self,
        synthesizer: Synthesizer,
        text: str,
        options: AudioOptions,
        *,
        after_another: bool,
        deliver: Callable[[bytes], None],
    ) -> None:
        self._synthesizer = synthesizer
        self._text = text
        self._options = options
        self._deliver = deliver
        self._stopped = threading.Event()
        self._gap_ms = synthesizer.sentence_gap_ms if after_another else 0

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        if self._stopped.is_set():
            return
        shaper = Shaper(
            source_hz=self._synthesizer.sample_rate_hz,
            target_hz=self._options.sample_rate_hz,
            gap_ms=self._gap_ms,
        )

        def sink(pcm: bytes) -> bool:
            if self._stopped.is_set():
                return False
            if piece := shaper.feed(pcm):
                self._deliver(piece)
            return True

        self._synthesizer.render(self._text, self._options.voice, speed=self._options.speed, sink=sink)
        if not self._stopped.is_set() and (piece := shaper.finish()):
            self._deliver(piece)


def _post(loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[bytes | None], piece: bytes) -> None:
    loop.call_soon_threadsafe(queue.put_nowait, piece)
