"""Deepgram's `/v1/speak`: websocket (words, Flush) and REST.

Wire format: developers.deepgram.com/reference/text-to-speech/speak-streaming, and what
livekit-plugins-deepgram 1.8.9 reads of it: it ends a segment at the first Flushed, so there is exactly one
for each Flush.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass
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

_MAX_WAITING_SEGMENTS = 64


class _VoiceQuery(BaseModel):
    """The query string of both forms."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    encoding: str = Field(default="linear16", pattern="^linear16$")
    sample_rate: int = Field(default=24_000, ge=8_000, le=48_000)
    speed: float = Field(default=1.0, ge=0.7, le=1.5)
    model: str = ""


class _SpeakBody(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str = Field(min_length=1, max_length=20_000)


@dataclass(slots=True)
class _Segment:
    text: SegmentText
    draw: Draw | None
    """None for a Flush without text."""

    fault: ActiveFault | None


class SpeakSocket:
    """One `/v1/speak` websocket; it serves segment after segment, in order."""

    def __init__(
        self,
        model: LoadModel,
        target: Target,
        *,
        query: _VoiceQuery,
        ws: web.WebSocketResponse,
        wire: SocketWire,
        fault: ActiveFault | None,
        request_id: str,
    ) -> None:
        self._model = model
        self._target = target
        self._query = query
        self._ws = ws
        self._wire = wire
        self._socket_fault = fault
        self._request_id = request_id
        self._segment: _Segment | None = None
        self._begun = self._flushed = 0
        self._waiting: asyncio.Queue[_Segment | None] = asyncio.Queue(_MAX_WAITING_SEGMENTS)
        self._voice = asyncio.create_task(self._speak_all())

    async def run(self) -> None:
        """Serve the socket until either side ends it."""
        await self._ws.send_str(json.dumps(self._metadata()))
        try:
            async for message in self._ws:
                if message.type is WSMsgType.TEXT:
                    await self._obey(message.data)
                if self._wire.stalled:
                    await self._wire.hold()
                    return
        finally:
            await self._hush()

    async def _obey(self, text: str) -> None:
        message = _parsed(text)
        match message.get("type"):
            case "Speak":
                await self._say(str(message.get("text", "")))
            case "Flush":
                segment = self._segment or _Segment(SegmentText("flush"), None, self._socket_fault)
                segment.text.finish(time.monotonic())
                if self._segment is None:
                    await self._waiting.put(segment)
                self._segment = None
            case "Clear":
                await self._clear()
            case "Close":
                if self._segment is not None:
                    self._segment.text.finish(time.monotonic())
                await self._waiting.put(None)
            case _:
                await self._warn("DATA-0000", "The message is not one that this service knows.")

    async def _say(self, text: str) -> None:
        now = time.monotonic()
        if self._segment is None:
            fault = self._model.start_work(self._target)
            fault = self._socket_fault or fault
            draw = draw_voice(
                self._model, self._target, request_id=self._request_id, index=self._begun, fault=fault
            )
            self._begun += 1
            self._segment = _Segment(SegmentText(self._model.profile.tts.start_at), draw, fault)
            await self._waiting.put(self._segment)
        if not self._segment.text.add(text, now):
            await self._warn("TEXT-0001", "The text of a flush may have at most 20000 characters.")

    async def _speak_all(self) -> None:
        while (segment := await self._waiting.get()) is not None:
            try:
                await self._speak(segment)
            except (Broken, ConnectionError):
                return
        await self._wire.close()

    async def _speak(self, segment: _Segment) -> None:
        if segment.draw is not None:
            audio = speak(
                segment.text,
                model=self._model,
                draw=segment.draw,
                sample_rate_hz=self._query.sample_rate,
                speed=self._query.speed,
            )
            await deliver(
                audio, segment.draw, lambda pcm: self._wire.content(pcm, segment.fault), segment.fault
            )
            await segment.text.until_finished()
        flushed = {"type": "Flushed", "sequence_id": self._flushed}
        self._flushed += 1
        await self._wire.content(json.dumps(flushed), segment.fault)

    async def _clear(self) -> None:
        await self._hush()
        while not self._waiting.empty():
            # a Clear may overtake a segment whose speaking has not begun
            unspoken = self._waiting.get_nowait()
            if unspoken is not None and unspoken.draw is not None:
                unspoken.draw.cancelled = True
        self._segment = None
        self._voice = asyncio.create_task(self._speak_all())
        await self._ws.send_str(json.dumps({"type": "Cleared", "sequence_id": self._flushed}))

    async def _hush(self) -> None:
        self._voice.cancel()
        await asyncio.gather(self._voice, return_exceptions=True)

    async def _warn(self, code: str, description: str) -> None:
        await self._ws.send_str(json.dumps({"type": "Warning", "description": description, "code": code}))

    def _metadata(self) -> dict[str, str]:
        return {
            "type": "Metadata",
            "request_id": self._request_id,
            "model_name": self._query.model,
            "model_version": "load-model",
            "model_uuid": "",
        }


async def speak_socket(request: web.Request) -> web.StreamResponse:
    """`GET /v1/speak`, upgraded."""
    model = request.app[LOAD_MODEL]
    query = _voice_query(request)
    target = Target("tts", "deepgram", api_key(request), query.model)
    request_id = str(uuid.uuid4())
    headers = {"dg-request-id": request_id}
    async with socket_visit(request, model, target, headers=headers) as (ws, wire, fault):
        await SpeakSocket(
            model, target, query=query, ws=ws, wire=wire, fault=fault, request_id=request_id
        ).run()
        return ws


async def speak_rest(request: web.Request) -> web.StreamResponse:
    """`POST /v1/speak`."""
    model = request.app[LOAD_MODEL]
    query = _voice_query(request)
    target = Target("tts", "deepgram", api_key(request), query.model)
    async with visit(request, model, target) as fault:
        try:
            body = _SpeakBody.model_validate_json(await request.read())
        except ValidationError:
            raise Refused(
                "deepgram", 400, "Bad Request: a JSON object with a non-empty text is needed"
            ) from None
        return await answer_audio(
            request, target, body.text, fault, sample_rate_hz=query.sample_rate, speed=query.speed
        )


def _voice_query(request: web.Request) -> _VoiceQuery:
    try:
        return _VoiceQuery.model_validate(dict(request.query))
    except ValidationError:
        raise Refused(
            "deepgram",
            400,
            "Only encoding=linear16, sample_rate 8000..48000 and speed 0.7..1.5 are modelled.",
        ) from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
