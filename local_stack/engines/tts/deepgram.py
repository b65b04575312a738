"""Deepgram's `/v1/speak`: POST, and a WebSocket that serves many utterances.

On the socket, text is spoken sentence by sentence as it comes in; Flush speaks the rest and is answered by exactly
one Flushed behind the last of its audio. Clear drops what is not yet sent, the Flushes in it included: it is
answered by one Cleared, and no audio of the text before it comes after that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
import uuid
from collections import deque
from enum import Enum, auto

from aiohttp import WSMsgType, web

from local_stack.engines.slots import TooManyStreamsError
from local_stack.engines.tts import deepgram_wire as wire
from local_stack.engines.tts.engine import ENGINE
from local_stack.engines.tts.responses import collect_pcm, stream_response
from local_stack.engines.tts.sentences import SentenceBuffer
from local_stack.engines.tts.speech import Emit, SpeechStream
from local_stack.engines.tts.synthesizer import SynthesisError
from local_stack.engines.tts.wav import wav_file

_IDLE_TIMEOUT_S = 3600.0
"""A socket without a message for this long is closed (NET-0001); LiveKit's plugin pools sockets for an hour."""

_MAX_BACKLOG_CHARS = 20_000
"""Text of one socket that waits to be spoken, about 20 minutes of speech; the socket is closed above it."""

logger = logging.getLogger(__name__)


def add_routes(app: web.Application) -> None:
    """Serve `/v1/speak`."""
    app.router.add_get("/v1/speak", _websocket)
    app.router.add_post("/v1/speak", _post)


async def _post(request: web.Request) -> web.StreamResponse:
    request_id = str(uuid.uuid4())
    engine = request.app[ENGINE]
    try:
        wire.check_key(request.headers)
        options = wire.audio_options(request.query, engine.voices, encoding=None)
        wav = wire.container(request.query) == "wav"
        text = await _text_of(request)
        with engine.slots.take():
            stream = engine.speech.stream(options, paced=not wav)
            return await _answer(request, request_id, stream, text, wav=wav)
    except TooManyStreamsError:
        return wire.TOO_MANY_REQUESTS.response(request_id)
    except SynthesisError:
        logger.exception("speech synthesis failed")
        return wire.FAILED.response(request_id)
    except wire.DeepgramError as error:
        return error.refusal.response(request_id)


async def _text_of(request: web.Request) -> str:
    try:
        body = (await request.read()).decode()
    except web.HTTPRequestEntityTooLarge:
        raise wire.DeepgramError(wire.BODY_TOO_LARGE) from None
    except UnicodeDecodeError:
        raise wire.DeepgramError(wire.NOT_UTF8) from None
    match request.content_type:
        case "text/plain":
            text = body
        case "application/json":
            text = _json_text(body)
        case _:
            raise wire.DeepgramError(wire.UNSUPPORTED_CONTENT_TYPE)
    if not text.strip():
        raise wire.DeepgramError(wire.NO_CHARACTERS)
    if len(text) > wire.MAX_TEXT_CHARS:
        raise wire.DeepgramError(wire.TEXT_TOO_LONG)
    return text


def _json_text(body: str) -> str:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise wire.DeepgramError(wire.BAD_PAYLOAD) from None
    match fields:
        case {"text": str(text)} if "url" not in fields:
            return text
        case {"url": str()} if "text" not in fields:
            raise wire.DeepgramError(wire.NO_URLS)
        case _:
            raise wire.DeepgramError(wire.BAD_PAYLOAD)


async def _answer(
    request: web.Request, request_id: str, stream: SpeechStream, text: str, *, wav: bool
) -> web.StreamResponse:
    rate_hz = stream.options.sample_rate_hz

    async def speak(emit: Emit) -> None:
        await stream.say_all(text, emit)

    if wav:  # its header tells its length: it can't be streamed honestly
        body = wav_file(await collect_pcm(speak), rate_hz)
        return web.Response(body=body, headers=_headers(request_id, "audio/wav"))
    return await stream_response(request, _headers(request_id, f"audio/l16;rate={rate_hz}"), speak)


def _headers(request_id: str, content_type: str) -> dict[str, str]:
    return {"Content-Type": content_type, "dg-request-id": request_id}


async def _websocket(request: web.Request) -> web.StreamResponse:
    request_id = str(uuid.uuid4())
    engine = request.app[ENGINE]
    try:
        wire.check_key(request.headers)
        options = wire.audio_options(request.query, engine.voices, encoding="linear16")
        with engine.slots.take():
            # no compression: audio doesn't shrink, and deflating it costs more than synthesising it
            # no heartbeat: LiveKit's plugin does not read an idle pooled socket, and so answers no ping
            socket = web.WebSocketResponse(protocols=("token", "bearer"), compress=False)
            socket.headers["dg-request-id"] = request_id
            await socket.prepare(request)
            model = request.query.get("model", wire.DEFAULT_MODEL)
            with contextlib.suppress(ConnectionResetError):
                await socket.send_json(wire.metadata_message(request_id, options, model))
                await _SpeakSession(socket, engine.speech.stream(options)).run()
            return socket
    except TooManyStreamsError:
        return wire.TOO_MANY_REQUESTS.response(request_id)
    except wire.DeepgramError as error:
        return error.refusal.response(request_id)


class _Mark(Enum):
    """What stands between the sentences of the queue."""

    FLUSH = auto()
    CLOSE = auto()


class _SpeakSession:
    """One socket: a reader that queues sentences and marks, and a speaker that works through them."""

    def __init__(self, socket: web.WebSocketResponse, stream: SpeechStream) -> None:
        self._socket = socket
        self._stream = stream
        self._buffer = SentenceBuffer()
        self._todo: deque[str | _Mark] = deque()
        self._backlog_chars = 0
        self._wake = asyncio.Event()
        self._sequence_id = 0
        self._speaker: asyncio.Task[None] | None = None
        self._flush_times: deque[float] = deque(maxlen=wire.FLUSHES_PER_MINUTE)

    async def run(self) -> None:
        """Serve until one side closes; audio that nobody will hear is not synthesised."""
        self._speaker = asyncio.create_task(self._speak_todo())
        try:
            close_asked = await self._read()
            if close_asked:
                await self._finish()
        finally:
            await self._stop_speaker()

    async def _read(self) -> bool:
        """Handle the client's messages; True when it asked for a close, False when the socket is gone."""
        while True:
            try:
                frame = await self._socket.receive(timeout=_IDLE_TIMEOUT_S)
            except TimeoutError:
                await self._fail("NET-0001", "No message was received within the timeout.", 1011)
                return False
            if frame.type is WSMsgType.BINARY:
                await self._fail("MESSAGE-0000", "Binary messages are not supported.", 1003)
                return False
            if frame.type is not WSMsgType.TEXT:
                return False
            message = wire.parse_message(frame.data)
            if message is None:
                await self._fail("DATA-0000", "The message is not a JSON object with a type.", 1008)
                return False
            if message.type == "Close":
                return True
            if not await self._handle(message):
                return False

    async def _handle(self, message: wire.ClientMessage) -> bool:
        """Act on one message; False when it ended the socket."""
        match message.type:
            case "Speak":
                return await self._take_text(message.text)
            case "Flush":
                await self._warn_of_frequent_flushes()
                self._queue(*self._buffer.flush(), _Mark.FLUSH)
            case "Clear":
                await self._clear()
            case _:
                await self._socket.send_json(
                    wire.warning_message("DATA-0001", "The message's type is unknown; it was ignored.")
                )
        return True

    async def _take_text(self, text: str) -> bool:
        if len(text) > wire.MAX_TEXT_CHARS:
            await self._fail("DATA-0002", wire.TEXT_TOO_LONG.err_msg, 1008)
            return False
        if self._backlog_chars + len(text) > _MAX_BACKLOG_CHARS:
            await self._fail("DATA-0003", "Too much text is waiting to be spoken.", 1008)
            return False
        self._queue(*self._buffer.push(text))
        return True

    async def _warn_of_frequent_flushes(self) -> None:
        now = time.monotonic()
        full = len(self._flush_times) == wire.FLUSHES_PER_MINUTE
        if full and now - self._flush_times[0] < 60.0:
            await self._socket.send_json(
                wire.warning_message(
                    "EXCESSIVE_FLUSH", f"More than {wire.FLUSHES_PER_MINUTE} Flush messages in 60 seconds."
                )
            )
        self._flush_times.append(now)

    async def _clear(self) -> None:
        self._buffer.clear()
        await self._stop_speaker()
        self._todo.clear()
        self._backlog_chars = 0
        self._stream.reply_ended()
        await self._socket.send_json(wire.cleared_message(self._next_sequence_id()))
        self._speaker = asyncio.create_task(self._speak_todo())

    async def _finish(self) -> None:
        self._queue(*self._buffer.flush(), _Mark.CLOSE)
        if self._speaker is not None:
            await self._speaker
        await self._socket.close()

    async def _fail(self, code: str, description: str, close_code: int) -> None:
        await self._stop_speaker()
        await self._socket.send_json(wire.error_message(code, description))
        await self._socket.close(code=close_code, message=code.encode())

    def _queue(self, *items: str | _Mark) -> None:
        self._todo.extend(items)
        self._backlog_chars += sum(len(item) for item in items if isinstance(item, str))
        self._wake.set()

    def _next_sequence_id(self) -> int:
        sequence_id = self._sequence_id
        self._sequence_id += 1
        return sequence_id

    async def _speak_todo(self) -> None:
        try:
            while True:
                while not self._todo:
                    self._wake.clear()
                    await self._wake.wait()
                item = self._todo.popleft()
                if isinstance(item, str):
                    await self._stream.say(item, self._socket.send_bytes)
                    self._backlog_chars -= len(item)
                elif item is _Mark.CLOSE:
                    return
                else:
                    self._stream.reply_ended()
                    await self._socket.send_json(wire.flushed_message(self._next_sequence_id()))
        except ConnectionResetError:
            return  # the reader sees the end of the socket too
        except Exception:
            logger.exception("speech synthesis failed")
            with contextlib.suppress(ConnectionResetError):
                await self._socket.send_json(wire.error_message("NET-0000", wire.FAILED.err_msg))
                await self._socket.close(code=1011, message=b"NET-0000")

    async def _stop_speaker(self) -> None:
        if self._speaker is not None:
            self._speaker.cancel()
            await asyncio.wait([self._speaker])
            self._speaker = None
