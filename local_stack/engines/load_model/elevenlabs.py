"""ElevenLabs' multi-stream websocket (many contexts on one socket) and its REST stream.

Wire format: elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input,
and what livekit-plugins-elevenlabs 1.8.9 reads of it. Only raw PCM output is modelled: there is no encoder
here.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from aiohttp import WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local_stack.engines.load_model.draws import Draw
from local_stack.engines.load_model.faults import ActiveFault, Target
from local_stack.engines.load_model.rest_audio import answer_audio
from local_stack.engines.load_model.speech import SegmentText, deliver, draw_voice, speak
from local_stack.engines.load_model.state import LOAD_MODEL, LoadModel
from local_stack.engines.load_model.vendor_errors import Refused
from local_stack.engines.load_model.visit import api_key, socket_visit, visit
from local_stack.engines.load_model.wire import Broken, SocketWire

_MAX_CONTEXTS = 64
_PCM_RATES = {"pcm_8000", "pcm_16000", "pcm_22050", "pcm_24000", "pcm_44100", "pcm_48000"}


class _Message(BaseModel):
    """Anything that a client says on the socket."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str | None = None
    context_id: str = Field(default="", max_length=200)
    flush: bool = False
    close_context: bool = False
    close_socket: bool = False


class _RestBody(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str = Field(min_length=1, max_length=20_000)
    model_id: str = ""


@dataclass(slots=True)
class _Context:
    id: str
    text: SegmentText
    letters: str
    """All text so far, for the alignment; as long as what `text` counts."""

    aligned: int
    """Characters whose alignment was sent."""

    draw: Draw
    fault: ActiveFault | None


class MultiStreamSocket:
    """One socket; every context has a voice of its own, all speak at the same time."""

    def __init__(
        self,
        model: LoadModel,
        target: Target,
        *,
        sample_rate_hz: int,
        alignment: bool,
        ws: web.WebSocketResponse,
        wire: SocketWire,
        fault: ActiveFault | None,
    ) -> None:
        self._model = model
        self._target = target
        self._rate = sample_rate_hz
        self._alignment = alignment
        self._ws = ws
        self._wire = wire
        self._socket_fault = fault
        self._contexts: dict[str, _Context] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun = 0

    async def run(self) -> None:
        """Serve the socket until either side ends it."""
        try:
            async for message in self._ws:
                if message.type is WSMsgType.TEXT:
                    await self._obey(message.data)
                if self._wire.stalled:
                    await self._wire.hold()
                    return
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _obey(self, text: str) -> None:
        try:
            message = _Message.model_validate_json(text)
        except ValidationError:
            await self._ws.send_json({"error": "invalid_message"})
            return
        context = self._contexts.get(message.context_id)
        if message.close_socket:
            for open_context in self._contexts.values():
                open_context.text.finish(time.monotonic())
            self._start(self._close_after(set(self._tasks)))
        elif message.close_context:
            if context is not None:
                context.text.finish(time.monotonic())
                del self._contexts[message.context_id]
        elif message.text is not None:
            await self._say(context, message)

    async def _say(self, context: _Context | None, message: _Message) -> None:
        now = time.monotonic()
        if context is None:
            if len(self._tasks) >= _MAX_CONTEXTS:
                await self._ws.send_json({"error": "too_many_contexts", "contextId": message.context_id})
                return
            context = self._open_context(message.context_id)
        text = (message.text or "") if (message.text or "").strip() else ""
        if not context.text.add(text, now):
            await self._ws.send_json({"error": "text_too_long", "contextId": message.context_id})
            return
        context.letters += text
        if message.flush:
            context.text.flush(now)

    def _open_context(self, context_id: str) -> _Context:
        fault = self._model.start_work(self._target)
        fault = self._socket_fault or fault
        draw = draw_voice(self._model, self._target, request_id=context_id, index=self._begun, fault=fault)
        self._begun += 1
        context = _Context(context_id, SegmentText(self._model.profile.tts.start_at), "", 0, draw, fault)
        self._contexts[context_id] = context
        self._start(self._speak(context))
        return context

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close_after(self, voices: set[asyncio.Task[None]]) -> None:
        await asyncio.gather(*voices, return_exceptions=True)
        await self._wire.close()

    async def _speak(self, context: _Context) -> None:
        audio = speak(context.text, model=self._model, draw=context.draw, sample_rate_hz=self._rate)
        try:
            await deliver(audio, context.draw, lambda pcm: self._send_audio(context, pcm), context.fault)
            await context.text.until_finished()
            final = {"isFinal": True, "contextId": context.id}
            await self._wire.content(json.dumps(final), context.fault)
        except (Broken, ConnectionError):
            return
        finally:
            self._contexts.pop(context.id, None)

    async def _send_audio(self, context: _Context, pcm: bytes) -> bool:
        message: dict[str, Any] = {"audio": base64.b64encode(pcm).decode(), "contextId": context.id}
        if self._alignment and context.aligned < context.text.ready_chars:
            alignment = self._align(context)
            message |= {"alignment": alignment, "normalizedAlignment": alignment}
        return await self._wire.content(json.dumps(message), context.fault)

    def _align(self, context: _Context) -> Mapping[str, Any]:
        first, end = context.aligned, context.text.ready_chars
        context.aligned = end
        tts = self._model.profile.tts
        starts = [round(tts.lead_silence_ms + index * tts.ms_per_char) for index in range(first, end + 1)]
        return {
            "chars": list(context.letters[first:end]),
            "charStartTimesMs": starts[:-1],
            "charDurationsMs": [after - start for start, after in pairwise(starts)],
        }


async def speak_multi_stream(request: web.Request) -> web.StreamResponse:
    """`GET .../text-to-speech/{voice}/multi-stream-input`, upgraded."""
    model = request.app[LOAD_MODEL]
    rate = _sample_rate_hz(request)
    voice = request.match_info["voice"]
    target = Target("tts", "elevenlabs", api_key(request), request.query.get("model_id", ""), voice)
    alignment = request.query.get("sync_alignment") == "true"
    async with socket_visit(request, model, target, headers={}) as (ws, wire, fault):
        socket = MultiStreamSocket(
            model, target, sample_rate_hz=rate, alignment=alignment, ws=ws, wire=wire, fault=fault
        )
        await socket.run()
        return ws


async def speak_stream(request: web.Request) -> web.StreamResponse:
    """`POST .../text-to-speech/{voice}/stream`."""
    model = request.app[LOAD_MODEL]
    rate = _sample_rate_hz(request)
    try:
        body = _RestBody.model_validate_json(await request.read())
    except ValidationError:
        raise Refused("elevenlabs", 422, "a JSON object with a non-empty text is needed") from None
    target = Target("tts", "elevenlabs", api_key(request), body.model_id, request.match_info["voice"])
    async with visit(request, model, target) as fault:
        return await answer_audio(
            request, target, body.text, fault, sample_rate_hz=rate, content_type="audio/pcm"
        )


def _sample_rate_hz(request: web.Request) -> int:
    output_format = request.query.get("output_format", "mp3_44100_128")
    if output_format not in _PCM_RATES:
        raise Refused("elevenlabs", 400, f"only raw PCM output is modelled: {', '.join(sorted(_PCM_RATES))}")
    return int(output_format.removeprefix("pcm_"))
