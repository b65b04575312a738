"""Deepgram's `/v1/listen`: streaming websocket and pre-recorded POST.

Wire format: developers.deepgram.com/reference/speech-to-text/listen-streaming, and what
livekit-plugins-deepgram 1.8.9 reads of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
import uuid
import wave
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from local_stack.engines.load_model.draws import Draw
from local_stack.engines.load_model.faults import Target
from local_stack.engines.load_model.hearing import (
    HearingStream,
    Line,
    Utterance,
    note_final,
    open_line,
    timed_words,
)
from local_stack.engines.load_model.outbox import sleep_until
from local_stack.engines.load_model.state import LOAD_MODEL, LoadModel
from local_stack.engines.load_model.vendor_errors import Refused
from local_stack.engines.load_model.visit import answer_json, api_key, visit

IDLE_LIMIT_S = 10.0
"""Deepgram closes a stream after 10 s without audio or KeepAlive (NET-0001)."""

_IDLE_REASON = b"NET-0001: no audio data or text message within the timeout window"


class ListenStream(HearingStream):
    """A `/v1/listen` stream.

    Query options `interim_results`, `vad_events` and `utterance_end_ms` are honoured.
    """

    def __init__(self, line: Line, query: Mapping[str, str]) -> None:
        super().__init__(line)
        self._interims = query.get("interim_results") == "true"
        self._vad_events = query.get("vad_events") == "true"
        utterance_end = query.get("utterance_end_ms", "")
        self._utterance_end_s = int(utterance_end) / 1000 if utterance_end.isdecimal() else None
        self._multilingual = query.get("language") == "multi"

    async def command(self, text: str) -> None:
        match message_type(text):
            case "Finalize":
                if not await self.finish_utterance():
                    await self.outbox.put(self._results("", 0.0, is_final=True, from_finalize=True))
            case "CloseStream":
                await self.finish_utterance()
                await self.outbox.put(self._metadata(), fault=self.line.fault)
                await self.outbox.finish()

    async def speech_began(self, utterance: Utterance) -> None:
        if self._vad_events:
            started = {"type": "SpeechStarted", "channel": [0], "timestamp": round(utterance.started_s, 3)}
            await self.outbox.put(started, fault=utterance.fault)

    async def interim(self, utterance: Utterance, text: str) -> None:
        if self._interims:
            await self.outbox.put(self._results(text, utterance.started_s), fault=utterance.fault)

    async def speech_ended(
        self, utterance: Utterance, draw: Draw, due_at: float, *, by_command: bool
    ) -> None:
        final = self._results(
            draw.text, utterance.started_s, is_final=True, speech_final=True, from_finalize=by_command
        )
        await self.outbox.put(final, due_at=due_at, fault=utterance.fault, on_sent=note_final(draw))
        if self._utterance_end_s is not None:
            ended = {
                "type": "UtteranceEnd",
                "channel": [0, 1],
                "last_word_end": round(self.gate.last_loud_s, 3),
            }
            due_at = self.gate.end_of_speech_at + self._utterance_end_s
            await self.outbox.put(ended, due_at=due_at, fault=utterance.fault)

    async def close_when_idle(self) -> None:
        """Close the socket once nothing was heard for 10 s; runs beside the stream until cancelled."""
        while True:
            left_s = self.last_heard_at + IDLE_LIMIT_S - time.monotonic()
            if left_s <= 0:
                break
            await asyncio.sleep(left_s)
        await self.line.ws.close(code=1011, message=_IDLE_REASON)

    def _results(
        self,
        text: str,
        start_s: float,
        *,
        is_final: bool = False,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> dict[str, Any]:
        end_s = self.gate.last_loud_s if text else start_s
        confidence = self.model.profile.stt.confidence if text else 0.0
        alternative = {
            "transcript": text,
            "confidence": confidence,
            "words": timed_words(text, start_s, end_s, confidence),
        }
        if self._multilingual:
            alternative["languages"] = ["en"]
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "start": round(start_s, 3),
            "duration": round(max(end_s - start_s, 0.0), 3),
            "is_final": is_final,
            "speech_final": speech_final,
            "from_finalize": from_finalize,
            "channel": {"alternatives": [alternative]},
            "metadata": {
                "request_id": self.line.request_id,
                "model_info": {"name": "load-model"},
                "model_uuid": "",
            },
        }

    def _metadata(self) -> dict[str, Any]:
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self.line.request_id,
            "sha256": "",
            "created": "",
            "duration": round(self.gate.position_s, 3),
            "channels": 1,
        }


def message_type(text: str) -> str:
    """The `type` of a client's JSON message; empty when it is no such thing."""
    try:
        message = json.loads(text)
    except ValueError:
        return ""
    return str(message.get("type", "")) if isinstance(message, dict) else ""


async def listen(request: web.Request) -> web.StreamResponse:
    """`GET /v1/listen`, upgraded."""
    async with open_line(request) as line:
        stream = ListenStream(line, request.query)
        watch = asyncio.create_task(stream.close_when_idle())
        try:
            await stream.run()
        finally:
            watch.cancel()
        return line.ws


async def transcribe(request: web.Request) -> web.StreamResponse:
    """`POST /v1/listen`: a whole WAV file, one transcript."""
    model = request.app[LOAD_MODEL]
    target = Target("stt", "deepgram", api_key(request), request.query.get("model", ""))
    async with visit(request, model, target) as fault:
        duration_s = _wav_duration_s(await request.read())
        stt = model.profile.stt
        text = (
            ""
            if fault and fault.kind == "empty"
            else stt.transcripts[model.batch_utterances % len(stt.transcripts)]
        )
        draw = _batch_draw(
            model, target, text, fault.kind if fault else None, fault.delay_s if fault else 0.0
        )
        model.batch_utterances += 1
        await sleep_until(draw.received_at + (draw.draw_ms + draw.fault_ms) / 1000)
        alternative = {
            "transcript": text,
            "confidence": stt.confidence if text else 0.0,
            "words": timed_words(text, 0.0, duration_s, stt.confidence),
        }
        channel = {"alternatives": [alternative], "detected_language": "en"}
        body = {
            "metadata": {"request_id": draw.request_id, "duration": duration_s, "channels": 1},
            "results": {"channels": [channel]},
        }
        response = await answer_json(request, model, body, fault, {"dg-request-id": draw.request_id})
        draw.final_sent_at = draw.done_at = time.monotonic()
        return response


def _batch_draw(model: LoadModel, target: Target, text: str, fault: str | None, delay_s: float) -> Draw:
    return model.draws.add(
        Draw(
            stage="stt",
            vendor=target.vendor,
            key=target.key,
            model=target.model,
            request_id=str(uuid.uuid4()),
            draw_ms=model.chances.draw("stt.final", model.profile.stt.final_ms),
            received_at=time.monotonic(),
            index=model.batch_utterances,
            text=text,
            fault=fault,
            fault_ms=delay_s * 1000,
        )
    )


def _wav_duration_s(body: bytes) -> float:
    with contextlib.suppress(wave.Error, EOFError), wave.open(io.BytesIO(body)) as wav:
        return float(wav.getnframes() / wav.getframerate())
    raise Refused("deepgram", 400, "Bad Request: failed to process audio: corrupt or unsupported data")
