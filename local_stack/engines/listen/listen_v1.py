"""Deepgram's `/v1/listen` as a WebSocket: interim and final results of utterances."""

from __future__ import annotations

from aiohttp import web

from local_stack.engines.listen import messages as ms
from local_stack.engines.listen.decoder_pool import Decoded, DecoderPool
from local_stack.engines.listen.keyterm_models import TooManyKeytermModelsError
from local_stack.engines.listen.model_lease import ModelLease
from local_stack.engines.listen.query import ListenOptions, keyterms_of
from local_stack.engines.listen.segmenter import Ended
from local_stack.engines.listen.stream import ListenStream, StreamSettings
from local_stack.engines.listen.transcript import Word
from local_stack.engines.listen.utterance import Utterance


class ListenV1Stream(ListenStream):
    """A `/v1/listen` stream."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        pool: DecoderPool,
        lease: ModelLease,
        *,
        options: ListenOptions,
        request_id: str,
    ) -> None:
        settings = StreamSettings(
            pause_s=options.pause_s, interims=options.interims, long_silence_s=options.utterance_end_s
        )
        super().__init__(socket, pool, lease, audio=options.audio, settings=settings, request_id=request_id)
        self._options = options
        self._sent: tuple[Word, ...] = ()
        self._last_word_end_s: float | None = None
        self._by_finalize = False

    async def command(self, message: ms.Message) -> None:
        match message["type"]:
            case "KeepAlive":
                pass
            case "Finalize":
                await self._finalize()
            case "CloseStream":
                await self.client_closed()
            case "Configure":
                await self.send(self._configured(message))
            case _:
                await self.fail("DATA-0000", "A text message has an unknown type.", close_code=1008)

    async def client_closed(self) -> None:
        await self.finish_utterance(last=True)
        await self.send(
            ms.metadata(self.request_id, sha256=self.sha256.hexdigest(), duration_s=self.segmenter.position_s)
        )
        await self.close()

    async def fail(self, code: str, description: str, *, close_code: int) -> None:
        await self.send(ms.stream_error(code, description))
        await self.close_with(close_code, f"{code}: {description}"[:120])

    async def speech_began(self, utterance: Utterance) -> None:
        self._sent = ()
        if self._options.vad_events:
            await self.send(ms.speech_started(utterance.start_s))

    async def speech_continued(self, utterance: Utterance) -> None:
        if utterance.words == self._sent or not utterance.words:
            return
        said = [word.text for word in self._sent]
        self._sent = utterance.words
        if said != [word.text for word in utterance.words]:
            window_s = (utterance.start_s, self.segmenter.position_s)
            await self._send(utterance.start_s, utterance.words, window_s)

    async def speech_resumed(self, utterance: Utterance) -> None:
        """Nothing was said of the pause."""

    async def speech_ended(self, utterance: Utterance, decoded: Decoded, ended: Ended) -> None:
        if decoded.words:
            self._last_word_end_s = utterance.start_s + decoded.words[-1].end_s
        await self._send(
            utterance.start_s,
            decoded.words,
            (utterance.start_s, self.segmenter.position_s),
            is_final=True,
            speech_final=ended.reason != "limit" and (self._options.endpointing or self._by_finalize),
        )

    async def long_silence(self) -> None:
        if self._last_word_end_s is not None:
            await self.send(ms.utterance_end(self._last_word_end_s))
            self._last_word_end_s = None

    def _configured(self, message: ms.Message) -> ms.Message:
        """New keyterms are heard from the next utterance on."""
        try:
            keyterms = keyterms_of(message.get("keyterms"))
            self.lease.change_keyterms(keyterms)
        except (ValueError, TooManyKeytermModelsError) as error:
            return ms.configure_refused(self.request_id, str(error))
        return ms.keyterms_configured(self.request_id, keyterms)

    async def _finalize(self) -> None:
        self._by_finalize = True
        if not await self.finish_utterance():
            position_s = self.segmenter.position_s
            await self._send(position_s, (), (position_s, position_s), is_final=True)
        self._by_finalize = False

    async def _send(
        self,
        offset_s: float,
        words: tuple[Word, ...],
        window_s: tuple[float, float],
        *,
        is_final: bool = False,
        speech_final: bool = False,
    ) -> None:
        found = ms.alternative(
            words,
            offset_s=offset_s,
            punctuate=is_final and self._options.punctuate,
            multilingual=self._options.multilingual,
        )
        await self.send(
            ms.results(
                found,
                request_id=self.request_id,
                window_s=window_s,
                is_final=is_final,
                speech_final=speech_final,
                from_finalize=is_final and self._by_finalize,
            )
        )
