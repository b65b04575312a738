"""Deepgram Flux, `/v2/listen`: turns instead of results.

    StartOfTurn  Update...  [EagerEndOfTurn  [TurnResumed  Update...]]  EndOfTurn

A turn begins with its first word, not with its first sound: a cough is no turn. The local engine judges the end of a
turn by silence alone.
"""

from __future__ import annotations

from aiohttp import web

from local_stack.engines.listen import messages as ms
from local_stack.engines.listen.decoder_pool import Decoded, DecoderPool
from local_stack.engines.listen.keyterm_models import TooManyKeytermModelsError
from local_stack.engines.listen.model_lease import ModelLease
from local_stack.engines.listen.query import FluxOptions, confidence_of_pause
from local_stack.engines.listen.segmenter import Ended
from local_stack.engines.listen.stream import ListenStream, StreamSettings
from local_stack.engines.listen.transcript import Word
from local_stack.engines.listen.utterance import Utterance


class FluxStream(ListenStream):
    """A `/v2/listen` stream."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        pool: DecoderPool,
        lease: ModelLease,
        *,
        options: FluxOptions,
        request_id: str,
    ) -> None:
        settings = StreamSettings(pause_s=options.thresholds.pause_s, interims=True)
        super().__init__(socket, pool, lease, audio=options.audio, settings=settings, request_id=request_id)
        self._options = options
        self._sequence_id = 0
        self._turn_index = 0
        self._words: tuple[Word, ...] = ()
        """Of the present turn, as last sent."""
        self._eager_sent = False

    async def open(self) -> None:
        """Greet the client."""
        await self._send({"type": "Connected"})

    async def command(self, message: ms.Message) -> None:
        match message["type"]:
            case "Configure":
                await self._configure(message)
            case "ForceEndTurn":
                await self.finish_utterance()
            case "CloseStream":
                await self.client_closed()
            case "KeepAlive":
                pass  # Flux has none; a client that sends one means no harm
            case _:
                await self.fail("UNPARSABLE_CLIENT_MESSAGE", "Unknown message type.", close_code=1008)

    async def client_closed(self) -> None:
        await self.finish_utterance(last=True)
        await self.close()

    async def fail(self, code: str, description: str, *, close_code: int) -> None:
        await self._send({"type": "Error", "code": code, "description": description})
        await self.close_with(close_code, f"{code}: {description}"[:120])

    async def speech_began(self, utterance: Utterance) -> None:
        self._words = ()
        self._eager_sent = False

    async def speech_continued(self, utterance: Utterance) -> None:
        if not self._eager_sent and utterance.decoded is None and utterance.words != self._words:
            await self._update(utterance, utterance.words)
        eager_s = self._options.thresholds.eager_pause_s
        decoded = utterance.decoded
        if eager_s is None or decoded is None or not decoded.words or self._eager_sent:
            return
        if self.segmenter.silence_s >= eager_s:
            await self._start(utterance, decoded.words)
            self._eager_sent = True
            await self._turn("EagerEndOfTurn", utterance, decoded.words)

    async def speech_resumed(self, utterance: Utterance) -> None:
        if self._eager_sent:
            self._eager_sent = False
            await self._turn("TurnResumed", utterance, self._words)

    async def speech_ended(self, utterance: Utterance, decoded: Decoded, ended: Ended) -> None:
        if decoded.words:
            await self._start(utterance, decoded.words)
        if not self._words:
            return  # nothing but noise: there was no turn
        silence_s = self.segmenter.position_s - ended.speech_end_s
        confidence = max(confidence_of_pause(silence_s), self._options.thresholds.eot_threshold)
        trigger = "manual" if ended.reason == "finished" else "model"
        await self._turn("EndOfTurn", utterance, decoded.words, confidence=confidence, trigger=trigger)
        self._turn_index += 1
        self._words = ()

    async def _update(self, utterance: Utterance, words: tuple[Word, ...]) -> None:
        said = [word.text for word in self._words]
        if not said:
            await self._start(utterance, words)
            return
        if words and said != [word.text for word in words]:
            await self._turn("Update", utterance, words)

    async def _start(self, utterance: Utterance, words: tuple[Word, ...]) -> None:
        if words and not self._words:
            await self._turn("StartOfTurn", utterance, words)

    async def _configure(self, message: ms.Message) -> None:
        try:
            options = self._options.configured(message)
            self.lease.change_keyterms(options.keyterms)
        except (ValueError, TooManyKeytermModelsError) as error:
            await self._send(ms.configure_refused(self.request_id, str(error)))
            return
        self._options = options
        self.segmenter.pause_s = self._options.thresholds.pause_s
        await self._send(ms.flux_configured(self._options))

    async def _turn(
        self,
        event: ms.TurnEvent,
        utterance: Utterance,
        words: tuple[Word, ...],
        *,
        confidence: float | None = None,
        trigger: str | None = None,
    ) -> None:
        self._words = words
        info = ms.turn_info(
            event,
            words,
            turn_index=self._turn_index,
            window_s=(utterance.start_s, self.segmenter.position_s),
            confidence=confidence_of_pause(self.segmenter.silence_s) if confidence is None else confidence,
        )
        await self._send(info if trigger is None else {**info, "trigger": trigger})

    async def _send(self, message: ms.Message) -> None:
        numbered = {**message, "request_id": self.request_id, "sequence_id": self._sequence_id}
        self._sequence_id += 1
        await self.send(numbered)
