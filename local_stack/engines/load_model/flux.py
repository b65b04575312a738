"""Deepgram Flux, `/v2/listen`: turns instead of results.

    StartOfTurn  Update...  [EagerEndOfTurn  [TurnResumed  Update...]]  EndOfTurn

Wire format: developers.deepgram.com/reference/speech-to-text/listen-flux, and what livekit-plugins-deepgram
1.8.9 reads of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from aiohttp import web

from local_stack.engines.load_model.draws import Draw
from local_stack.engines.load_model.hearing import (
    HearingStream,
    Line,
    Utterance,
    note_final,
    open_line,
    so_far,
    timed_words,
)

TurnEvent = Literal["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]


class FluxStream(HearingStream):
    """A `/v2/listen` stream; EagerEndOfTurn is sent only after `eager_eot_threshold` was given."""

    def __init__(self, line: Line, query: Mapping[str, str]) -> None:
        super().__init__(line)
        self._eager = "eager_eot_threshold" in query
        self._sequence = 0
        self._eager_due_at: float | None = None
        self._eager_sent = False

    async def open(self) -> None:
        """Greet the client."""
        await self._put({"type": "Connected"})

    async def command(self, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            message = {}
        match message.get("type") if isinstance(message, dict) else None:
            case "Configure":
                await self._configure(message)
            case "CloseStream":
                await self.finish_utterance()
                await self.outbox.finish()

    async def speech_began(self, utterance: Utterance) -> None:
        self._eager_due_at = None
        self._eager_sent = False
        await self._turn("StartOfTurn", utterance, so_far(utterance.transcript, 0.0))

    async def interim(self, utterance: Utterance, text: str) -> None:
        await self._turn("Update", utterance, text)

    async def still_speaking(self, utterance: Utterance) -> None:
        if not self._eager:
            return
        if self.gate.loud:
            await self._resume(utterance)
        elif self._eager_due_at is None:
            _, self._eager_due_at = self.draw_due_at("stt.eager", self.model.profile.stt.eager_ms)
        elif not self._eager_sent and self.last_heard_at >= self._eager_due_at:
            self._eager_sent = True
            await self._turn("EagerEndOfTurn", utterance, utterance.transcript)

    async def speech_ended(
        self, utterance: Utterance, draw: Draw, due_at: float, *, by_command: bool
    ) -> None:
        message = self._message("EndOfTurn", utterance, draw.text)
        await self.outbox.put(message, due_at=due_at, fault=utterance.fault, on_sent=note_final(draw))

    async def _resume(self, utterance: Utterance) -> None:
        self._eager_due_at = None
        if self._eager_sent:
            self._eager_sent = False
            await self._turn("TurnResumed", utterance, utterance.transcript)

    async def _configure(self, message: dict[str, Any]) -> None:
        thresholds = message.get("thresholds") or {}
        self._eager = self._eager or "eager_eot_threshold" in thresholds
        await self._put(
            {
                "type": "ConfigureSuccess",
                "thresholds": thresholds,
                "keyterms": message.get("keyterms", []),
                "language_hints": message.get("language_hints", []),
            }
        )

    async def _turn(self, event: TurnEvent, utterance: Utterance, text: str) -> None:
        await self.outbox.put(self._message(event, utterance, text), fault=utterance.fault)

    def _message(self, event: TurnEvent, utterance: Utterance, text: str) -> dict[str, Any]:
        confidence = self.model.profile.stt.confidence
        end_s = self.gate.last_loud_s
        return self._numbered(
            {
                "type": "TurnInfo",
                "event": event,
                "turn_index": utterance.index,
                "audio_window_start": round(utterance.started_s, 3),
                "audio_window_end": round(end_s, 3),
                "transcript": text,
                "words": timed_words(text, utterance.started_s, end_s, confidence),
                "languages": ["en"],
                "end_of_turn_confidence": confidence if event in {"EagerEndOfTurn", "EndOfTurn"} else 0.1,
            }
        )

    async def _put(self, message: dict[str, Any]) -> None:
        await self.outbox.put(self._numbered(message))

    def _numbered(self, message: dict[str, Any]) -> dict[str, Any]:
        self._sequence += 1
        return {**message, "request_id": self.line.request_id, "sequence_id": self._sequence - 1}


async def listen_flux(request: web.Request) -> web.StreamResponse:
    """`GET /v2/listen`, upgraded."""
    async with open_line(request) as line:
        stream = FluxStream(line, request.query)
        await stream.open()
        await stream.run()
        return line.ws
