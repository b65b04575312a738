"""One utterance while it is heard: what it sounds like so far, and its final, begun before it is asked for.

audio     ######################......................
interim       ^    ^    ^    ^
final                              |-- decoding --|    begun in the first pause; dropped if speech goes on
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from local_stack.engines.listen.decoder_link import DecoderLostError
from local_stack.engines.listen.decoder_pool import Decoded, DecoderPool
from local_stack.engines.listen.decoder_protocol import BYTES_PER_S
from local_stack.engines.listen.transcript import Word

INTERIM_PERIOD_S = 0.3
"""Audio between two interims, unless the decoder falls behind."""

_PERIOD_BYTES = int(INTERIM_PERIOD_S * BYTES_PER_S)
_MAX_CHUNK_BYTES = BYTES_PER_S // 2
"""Heard at a time when the decoder has fallen behind: other utterances' finals wait no longer than this takes."""

logger = logging.getLogger(__name__)


class Utterance:
    """Collects audio and has it decoded. `close` it.

    Args:
        pool: decodes.
        model: language.
        start_s: position in the stream of the first byte.
        interims: whether interim words are wanted at all: they cost as much as the final.
        cmn: of the channel's last utterance; empty for none.
        on_news: called when interim words or an early final have come in.
    """

    def __init__(
        self,
        pool: DecoderPool,
        *,
        model: str,
        start_s: float,
        interims: bool,
        cmn: str,
        on_news: Callable[[], None],
    ) -> None:
        self.start_s = start_s
        self.words: tuple[Word, ...] = ()
        """Found so far."""
        self._pool = pool
        self._model = model
        self._on_news = on_news
        self._pcm = bytearray()
        self._heard_bytes = 0
        self._hearing = pool.hearing(model, cmn) if interims else None
        self._interim: asyncio.Task[None] | None = None
        self._final: asyncio.Task[Decoded] | None = None

    @property
    def decoded(self) -> Decoded | None:
        """The early final, once it is there."""
        final = self._final
        if final is None or not final.done() or final.cancelled() or final.exception() is not None:
            return None
        return final.result()

    def add(self, pcm: bytes) -> None:
        """Take more audio, 16 kHz linear16."""
        self._pcm += pcm
        self._hear_more()

    def decode_early(self) -> None:
        """Begin the final with what there is."""
        self._drop_final()
        self._final = asyncio.create_task(self._pool.final(self._model, bytes(self._pcm)))
        self._final.add_done_callback(self._final_done)

    def resume(self) -> None:
        """Speech goes on: the final that was begun is worth nothing."""
        self._drop_final()
        self._hear_more()

    async def finish(self) -> Decoded:
        """The final: the one that was begun in the last pause, or one of all audio.

        Raises:
            DecoderLostError: it can't be had.
        """
        if self._final is None:
            self.decode_early()
        assert self._final is not None
        return await self._final

    def close(self) -> None:
        """Let all decoders go; calls after the first do nothing."""
        self._drop_final()
        if self._interim is not None:
            self._interim.cancel()
            self._interim = None
        if self._hearing is not None:
            self._hearing.close()
            self._hearing = None

    def _hear_more(self) -> None:
        waiting_bytes = len(self._pcm) - self._heard_bytes
        if self._hearing is None or self._interim is not None or self._final is not None:
            return
        if waiting_bytes < _PERIOD_BYTES:
            return
        chunk = bytes(self._pcm[self._heard_bytes : self._heard_bytes + _MAX_CHUNK_BYTES])
        self._interim = asyncio.create_task(self._hear(chunk))

    async def _hear(self, chunk: bytes) -> None:
        assert self._hearing is not None
        words: tuple[Word, ...] | None = ()
        try:
            words = await self._hearing.hear(chunk)
        except DecoderLostError as error:
            logger.warning("no interim words: %s", error)
        self._interim = None
        if words is None:
            return  # the same audio is tried again when more comes
        self._heard_bytes += len(chunk)
        self.words = words or self.words
        self._on_news()
        self._hear_more()

    def _final_done(self, final: asyncio.Task[Decoded]) -> None:
        # a final that failed is told by `finish`, if it is wanted at all
        if not final.cancelled() and final.exception() is None:
            self._on_news()

    def _drop_final(self) -> None:
        if self._final is not None:
            self._final.cancel()
            self._final = None
