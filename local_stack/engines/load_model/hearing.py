"""A streaming recogniser's common part: hear audio, find utterances, decide what was said and when to say so.

audio    ____/#######\\________________
gate         started  ^true end        ended (pause heard)
final                 |---- draw ---->*  = end of speech + draw, or at once when the draw is over already
"""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import WSMsgType, web

from local_stack.engines.load_model.draws import Draw
from local_stack.engines.load_model.faults import ActiveFault, Target
from local_stack.engines.load_model.gate import Edge, SpeechGate
from local_stack.engines.load_model.outbox import Outbox
from local_stack.engines.load_model.state import LOAD_MODEL, LoadModel
from local_stack.engines.load_model.vendor_errors import Refused
from local_stack.engines.load_model.visit import api_key, socket_visit
from local_stack.engines.load_model.wire import SocketWire

_SPOKEN_WORDS_PER_S = 2.5
"""Pace at which interim results reveal the transcript (150 words a minute)."""


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """What the query string says about the audio."""

    sample_rate_hz: int
    endpointing_s: float

    @classmethod
    def parse(cls, request: web.Request) -> Self:
        """Read the query string.

        Raises:
            Refused: 400 for anything but one channel of linear16 at 8,000..48,000 Hz.
        """
        query = request.query
        encoding, channels = query.get("encoding", "linear16"), query.get("channels", "1")
        if encoding != "linear16" or channels != "1":
            raise Refused("deepgram", 400, "Only encoding=linear16 with channels=1 is modelled.")
        rate = query.get("sample_rate", "16000")
        if not rate.isdecimal() or not 8_000 <= int(rate) <= 48_000:
            raise Refused("deepgram", 400, "sample_rate must be a number from 8000 to 48000.")
        endpointing = query.get("endpointing", "")
        return cls(int(rate), min(int(endpointing), 60_000) / 1000 if endpointing.isdecimal() else 0.0)


@dataclass(slots=True)
class Utterance:
    """The stretch of speech that is being heard."""

    transcript: str
    fault: ActiveFault | None
    index: int
    started_at: float
    started_s: float
    """Audio position."""

    next_interim_s: float


@dataclass(frozen=True, slots=True)
class Line:
    """A recognition websocket that was let in."""

    model: LoadModel
    target: Target
    request_id: str
    options: AudioOptions
    ws: web.WebSocketResponse
    wire: SocketWire
    fault: ActiveFault | None
    """Of the handshake: it carries over to all utterances."""


@asynccontextmanager
async def open_line(request: web.Request) -> AsyncIterator[Line]:
    """Let a recognition websocket in; its request id is in the answer's `dg-request-id` header.

    Raises:
        Refused: no key, unsupported audio, or a fault.
        Broken: a fault.
    """
    model = request.app[LOAD_MODEL]
    target = Target("stt", "deepgram", api_key(request), request.query.get("model", ""))
    options = AudioOptions.parse(request)
    request_id = str(uuid.uuid4())
    headers = {"dg-request-id": request_id}
    async with socket_visit(request, model, target, counts_sent=False, headers=headers) as (ws, wire, fault):
        yield Line(model, target, request_id, options, ws, wire, fault)


class HearingStream(ABC):
    """One recognition websocket from its first frame to its end; subclasses speak a protocol."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.model = line.model
        self.outbox = Outbox(line.wire)
        self.last_heard_at = time.monotonic()
        self.utterance: Utterance | None = None
        self._utterances = 0
        self.gate = SpeechGate(
            sample_rate_hz=line.options.sample_rate_hz,
            amplitude=self.model.profile.stt.gate_amplitude,
            pause_s=self._pause_s(),
        )

    async def run(self) -> None:
        """Serve the stream until either side ends it."""
        try:
            async for message in self.line.ws:
                self.last_heard_at = time.monotonic()
                if message.type is WSMsgType.BINARY:
                    if not message.data:
                        return
                    await self._hear(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self.command(message.data)
                if self.line.wire.stalled:
                    await self.line.wire.hold()
                    return
        finally:
            await self.outbox.cancel()

    @abstractmethod
    async def command(self, text: str) -> None:
        """Obey a text message."""

    @abstractmethod
    async def speech_began(self, utterance: Utterance) -> None: ...

    @abstractmethod
    async def interim(self, utterance: Utterance, text: str) -> None:
        """More of the utterance was heard: `text` is all of it so far."""

    @abstractmethod
    async def speech_ended(
        self, utterance: Utterance, draw: Draw, due_at: float, *, by_command: bool
    ) -> None:
        """The utterance is over; its final is due at `due_at` (`draw.text` is what was heard)."""

    async def still_speaking(self, utterance: Utterance) -> None:  # noqa: B027  (a hook that may stay empty)
        """Called for each frame of an utterance after its first."""

    async def finish_utterance(self) -> bool:
        """End the present utterance at the client's wish; whether there was one."""
        if self.utterance is None:
            return False
        self.gate.finish()
        await self._end(self.utterance, by_command=True)
        return True

    def draw_due_at(self, name: str, spread: tuple[float, float]) -> tuple[float, float]:
        """A draw in ms and the instant that it makes, counted from the true end of speech."""
        draw_ms = self.model.chances.draw(name, spread)
        return draw_ms, self.gate.end_of_speech_at + draw_ms / 1000

    def _pause_s(self) -> float:
        return max(self.line.options.endpointing_s, self.model.profile.stt.pause_ms / 1000)

    async def _hear(self, frame: bytes) -> None:
        edge = self.gate.feed(frame, self.last_heard_at)
        if edge is Edge.STARTED:
            await self._begin()
        elif self.utterance is not None:
            if edge is Edge.ENDED:
                await self._end(self.utterance, by_command=False)
            else:
                await self._go_on(self.utterance)
        fault = self.line.fault or (self.utterance.fault if self.utterance else None)
        if fault is not None:
            await self._count_audio(fault, len(frame))

    async def _count_audio(self, fault: ActiveFault, received_bytes: int) -> None:
        """A reset or a stall after so many bytes strikes by itself.

        Other faults wait for the next message.
        """
        fault.passed(payload_bytes=received_bytes)
        if fault.rule.after_bytes is None or not fault.due:
            return
        if fault.kind == "close":
            self.line.wire.abort()
        elif fault.kind == "stall":
            self.line.wire.stalled = True

    async def _begin(self) -> None:
        self.gate.pause_s = self._pause_s()
        stt = self.model.profile.stt
        work_fault = self.model.start_work(self.line.target)
        self.utterance = Utterance(
            transcript=stt.transcripts[self._utterances % len(stt.transcripts)],
            fault=self.line.fault or work_fault,
            index=self._utterances,
            started_at=self.last_heard_at,
            started_s=self.gate.started_s,
            next_interim_s=self.gate.position_s + stt.interim_period_ms / 1000,
        )
        self._utterances += 1
        await self.speech_began(self.utterance)

    async def _go_on(self, utterance: Utterance) -> None:
        await self.still_speaking(utterance)
        period_s = self.model.profile.stt.interim_period_ms / 1000
        position_s = self.gate.position_s
        if period_s and position_s >= utterance.next_interim_s and self.gate.loud:
            utterance.next_interim_s = position_s + period_s
            await self.interim(utterance, so_far(utterance.transcript, position_s - utterance.started_s))

    async def _end(self, utterance: Utterance, *, by_command: bool) -> None:
        fault = utterance.fault
        draw_ms, due_at = self.draw_due_at("stt.final", self.model.profile.stt.final_ms)
        delay_s = fault.delay_s if fault else 0.0
        draw = Draw(
            stage="stt",
            vendor=self.line.target.vendor,
            key=self.line.target.key,
            model=self.line.target.model,
            request_id=self.line.request_id,
            draw_ms=draw_ms,
            received_at=utterance.started_at,
            index=utterance.index,
            text="" if fault and fault.kind == "empty" else utterance.transcript,
            fault=fault.kind if fault else None,
            fault_ms=delay_s * 1000,
            end_of_speech_at=self.gate.end_of_speech_at,
            pause_heard_at=self.last_heard_at,
        )
        self.utterance = None
        self.model.draws.add(draw)
        await self.speech_ended(utterance, draw, due_at + delay_s, by_command=by_command)


def so_far(transcript: str, elapsed_s: float) -> str:
    """The part of `transcript` that was spoken after `elapsed_s` at 150 words a minute, at least a word."""
    words = transcript.split()
    return " ".join(words[: max(1, int(elapsed_s * _SPOKEN_WORDS_PER_S))])


def timed_words(text: str, start_s: float, end_s: float, confidence: float) -> list[dict[str, Any]]:
    """Deepgram word objects, evenly spread over `start_s`..`end_s`."""
    return list(_words(text.split(), start_s, max(end_s, start_s + 0.01), confidence))


def _words(words: list[str], start_s: float, end_s: float, confidence: float) -> Iterator[dict[str, Any]]:
    step_s = (end_s - start_s) / max(len(words), 1)
    for index, word in enumerate(words):
        yield {
            "word": word.strip(".,!?").lower(),
            "punctuated_word": word,
            "start": round(start_s + index * step_s, 3),
            "end": round(start_s + (index + 1) * step_s, 3),
            "confidence": confidence,
        }


def note_final(draw: Draw) -> Callable[[float], None]:
    """What to call when the final of `draw` was sent."""

    def sent(at: float) -> None:
        draw.final_sent_at = draw.done_at = at

    return sent
