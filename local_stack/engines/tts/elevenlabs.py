"""ElevenLabs' text-to-speech: the multi-context WebSocket, and POST.

On the socket every context is a reply of its own with its own order; contexts are spoken at the same time. Text is
spoken sentence by sentence as it comes in, with or without `auto_mode`: the vendor's chunk length schedule trades
latency for prosody, which these voices don't have.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from enum import Enum, auto

from aiohttp import WSMsgType, web

from local_stack.engines.slots import TooManyStreamsError
from local_stack.engines.tts import elevenlabs_wire as wire
from local_stack.engines.tts.alignment import share_out
from local_stack.engines.tts.engine import ENGINE, SpeechEngine
from local_stack.engines.tts.responses import stream_response
from local_stack.engines.tts.sentences import SentenceBuffer
from local_stack.engines.tts.speech import AudioOptions, Emit, SpeechStream
from local_stack.engines.tts.synthesizer import SynthesisError

MAX_CONTEXTS = 5
"""Open contexts of one socket (elevenlabs.io/docs, multi-context guide); one more closes the socket with 1008."""

_MAX_QUEUED_SENTENCES = 256
"""Of one context, half an hour of speech; one more closes the socket with 1008."""

logger = logging.getLogger(__name__)


def add_routes(app: web.Application) -> None:
    """Serve `/v1/text-to-speech/...` and `/v1/voices`."""
    app.router.add_get("/v1/text-to-speech/{voice_id}/multi-stream-input", _websocket)
    app.router.add_post("/v1/text-to-speech/{voice_id}", _post)
    app.router.add_post("/v1/text-to-speech/{voice_id}/stream", _post)
    app.router.add_get("/v1/voices", _list_voices)


async def _list_voices(request: web.Request) -> web.Response:
    try:
        wire.check_key(request.headers)
    except wire.ElevenLabsError as error:
        return error.refusal.response()
    return web.json_response(wire.voice_list(request.app[ENGINE].voices))


async def _post(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    try:
        wire.check_key(request.headers)
        try:
            spoken = wire.parse_request(await request.read())
        except web.HTTPRequestEntityTooLarge:
            raise wire.ElevenLabsError(wire.TEXT_TOO_LONG) from None
        options = wire.audio_options(
            request.match_info["voice_id"], request.query, engine.voices, model_id=spoken.model_id
        )
        with engine.slots.take():
            stream = engine.speech.stream(_with_settings(options, spoken.voice_settings))

            async def speak(emit: Emit) -> None:
                await stream.say_all(spoken.text, emit)

            return await stream_response(request, {"Content-Type": "audio/pcm"}, speak)
    except TooManyStreamsError:
        return wire.TOO_MANY_REQUESTS.response()
    except SynthesisError:
        logger.exception("speech synthesis failed")
        return wire.FAILED.response()
    except wire.ElevenLabsError as error:
        return error.refusal.response()


def _with_settings(options: AudioOptions, settings: wire.VoiceSettings | None) -> AudioOptions:
    if settings is None or settings.speed is None:
        return options
    return dataclasses.replace(options, speed=settings.speed)


async def _websocket(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    try:
        wire.check_key(request.headers)
        options = wire.audio_options(request.match_info["voice_id"], request.query, engine.voices)
        inactivity_s = wire.inactivity_timeout_s(request.query)
        with engine.slots.take():
            socket = web.WebSocketResponse(compress=False)
            await socket.prepare(request)
            session = _MultiContextSession(
                socket,
                engine,
                options,
                inactivity_s=inactivity_s,
                aligned=request.query.get("sync_alignment") == "true",
            )
            with contextlib.suppress(ConnectionResetError):
                await session.run()
            return socket
    except TooManyStreamsError:
        return wire.TOO_MANY_REQUESTS.response()
    except wire.ElevenLabsError as error:
        return error.refusal.response()


class _MultiContextSession:
    """One socket: the reader, which hands every message to its context."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        engine: SpeechEngine,
        options: AudioOptions,
        *,
        inactivity_s: float,
        aligned: bool,
    ) -> None:
        self._socket = socket
        self._engine = engine
        self._options = options
        self._inactivity_s = inactivity_s
        self._aligned = aligned
        self._contexts: dict[str, _Context] = {}

    async def run(self) -> None:
        """Serve until one side closes; contexts that are still open then are dropped."""
        try:
            await self._read()
        except wire.ElevenLabsError as error:
            await self._close_with(error.refusal)
        finally:
            await asyncio.gather(*(context.drop() for context in self._contexts.values()))

    async def _read(self) -> None:
        while True:
            try:
                frame = await self._socket.receive(timeout=self._inactivity_s)
            except TimeoutError:
                if self._contexts:
                    continue  # they have timeouts of their own
                raise wire.ElevenLabsError(wire.input_timeout(self._inactivity_s)) from None
            if frame.type is WSMsgType.BINARY:
                raise wire.ElevenLabsError(wire.BAD_MESSAGE)
            if frame.type is not WSMsgType.TEXT:
                return
            message = wire.parse_message(frame.data)
            if message.close_socket:
                await self._finish()
                return
            self._handle(message)

    def _handle(self, message: wire.ClientMessage) -> None:
        context_id = message.context_id or wire.DEFAULT_CONTEXT_ID
        context = self._contexts.get(context_id)
        if context is None:
            if message.close_context:
                return
            context = self._open(context_id, message.voice_settings)
        context.take(message)

    def _open(self, context_id: str, settings: wire.VoiceSettings | None) -> _Context:
        if len(self._contexts) >= MAX_CONTEXTS:
            raise wire.ElevenLabsError(wire.too_many_contexts(MAX_CONTEXTS))
        context = _Context(
            context_id,
            self._socket,
            self._engine.speech.stream(_with_settings(self._options, settings)),
            inactivity_s=self._inactivity_s,
            aligned=self._aligned,
        )
        self._contexts[context_id] = context
        context.speaker.add_done_callback(lambda _: self._contexts.pop(context_id, None))
        return context

    async def _finish(self) -> None:
        contexts = list(self._contexts.values())
        for context in contexts:
            context.take(wire.ClientMessage(close_context=True))
        await asyncio.gather(*(context.speaker for context in contexts))
        await self._socket.close()

    async def _close_with(self, refusal: wire.Refusal) -> None:
        await self._socket.send_json(refusal.frame())
        await self._socket.close(code=1008, message=refusal.message.encode()[:120])


class _Mark(Enum):
    """What stands between the sentences of a context's queue."""

    KEEP_ALIVE = auto()
    CLOSE = auto()


class _Context:
    """One reply: text that waits for the end of its sentence, sentences that wait to be spoken, and the speaker."""

    def __init__(
        self,
        context_id: str,
        socket: web.WebSocketResponse,
        stream: SpeechStream,
        *,
        inactivity_s: float,
        aligned: bool,
    ) -> None:
        self._id = context_id
        self._socket = socket
        self._stream = stream
        self._inactivity_s = inactivity_s
        self._aligned = aligned
        self._buffer = SentenceBuffer()
        self._todo: asyncio.Queue[str | _Mark] = asyncio.Queue(_MAX_QUEUED_SENTENCES)
        self._heard_s = 0.0
        self._closing = False
        self.speaker = asyncio.create_task(self._speak_todo())
        """Ends when the context is closed."""

    def take(self, message: wire.ClientMessage) -> None:
        """Act on a message of this context; once it is closing, messages are ignored.

        Raises:
            ElevenLabsError: too much text is waiting.
        """
        if self._closing:
            return
        text = message.text or ""
        items: list[str | _Mark] = [*self._buffer.push(text if text.strip() else "")]
        if message.flush or message.close_context:
            items += self._buffer.flush()
        self._closing = message.close_context
        items.append(_Mark.CLOSE if message.close_context else _Mark.KEEP_ALIVE)
        try:
            for item in items:
                self._todo.put_nowait(item)
        except asyncio.QueueFull:
            raise wire.ElevenLabsError(wire.TOO_MUCH_TEXT) from None

    async def drop(self) -> None:
        """Stop at once: nobody listens any more."""
        self.speaker.cancel()
        await asyncio.wait([self.speaker])

    async def _speak_todo(self) -> None:
        try:
            while (item := await self._next()) is not _Mark.CLOSE:
                if item is not _Mark.KEEP_ALIVE:
                    await self._say(item)
            await self._socket.send_str(wire.final_frame(self._id))
        except ConnectionResetError:
            return  # the reader sees the end of the socket too
        except Exception:
            logger.exception("speech synthesis failed")
            with contextlib.suppress(ConnectionResetError):
                await self._socket.send_json(wire.FAILED.frame(self._id))

    async def _next(self) -> str | _Mark:
        try:
            return await asyncio.wait_for(self._todo.get(), self._inactivity_s)
        except TimeoutError:
            self._closing = True
            for sentence in self._buffer.flush():
                await self._say(sentence)
            return _Mark.CLOSE

    async def _say(self, sentence: str) -> None:
        duration_s = await self._stream.say(sentence, self._send_audio)
        if self._aligned:
            times = share_out(sentence, start_s=self._heard_s, duration_s=duration_s)
            await self._socket.send_str(wire.alignment_frame(self._id, times))
        self._heard_s += duration_s

    async def _send_audio(self, piece: bytes) -> None:
        await self._socket.send_str(wire.audio_frame(self._id, piece))
