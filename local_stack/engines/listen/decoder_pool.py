"""The decoder processes together: which of them decodes what, and the languages that they all know."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from local_stack.engines.listen.decoder_link import DecoderLink, DecoderLostError, Urgency
from local_stack.engines.listen.decoder_protocol import GENERAL, Head
from local_stack.engines.listen.keyterm_models import KeytermModels, base_model, definition
from local_stack.engines.listen.language_source import Language
from local_stack.engines.listen.model_lease import ModelLease
from local_stack.engines.listen.transcript import Word, is_noise

WARM_STREAMS = 2
"""Interim decoders of one model that each process keeps ready: building one takes 0.1 s."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What an utterance was found to be."""

    words: tuple[Word, ...]
    cmn: str
    """The channel's cepstral mean, a good start for the same channel's next utterance."""


class Hearing:
    """An interim decoder, at work on one utterance for as long as it lasts. `close` it."""

    def __init__(self, link: DecoderLink, utterance: int, model: str, cmn: str) -> None:
        self._link = link
        self._utterance = utterance
        self._model = model
        self._cmn = cmn
        self._opened = False
        self._closed = False
        link.leases += 1

    async def hear(self, pcm: bytes) -> tuple[Word, ...] | None:
        """Hear more of the utterance.

        Returns:
            All of its words so far. None if there is no decoder yet: `pcm` was not heard. One is built when nothing
            else is to be done, so under load utterances do without interims before they wait for finals.

        Raises:
            DecoderLostError: the process died over it.
        """
        self._opened = True
        head = {"do": "hear", "utterance": self._utterance, "model": self._model, "cmn": self._cmn}
        answer = await self._link.ask(Urgency.INTERIM, head, pcm)
        if answer["words"] is None:
            self._link.ask_in_background(Urgency.WARM, {"do": "warm", "model": self._model, "streams": 1})
            return None
        return _words(answer)

    def close(self) -> None:
        """Give the decoder back; calls after the first do nothing."""
        if self._closed:
            return
        self._closed = True
        self._link.leases -= 1
        if self._opened:
            self._link.ask_in_background(Urgency.RELEASE, {"do": "release", "utterance": self._utterance})


class DecoderPool:
    """Decoder processes. `start` it, `close` it.

    Args:
        workers: how many; one per core that speech may use.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._links: list[DecoderLink] = []
        self._languages: dict[str, Language] = {}
        self._keyterm_models = KeytermModels()
        self._utterances = count(1)

    async def start(self) -> None:
        """Start the processes and wait until each can decode with the general model."""
        self._links = [DecoderLink(self._setting_up) for _ in range(self._workers)]
        await asyncio.gather(*(link.wait_ready() for link in self._links))
        self._warm(GENERAL)

    async def close(self) -> None:
        """End the processes; what waits is cancelled."""
        await asyncio.gather(self._keyterm_models.close(), *(link.close() for link in self._links))

    async def define(self, model: str, language: Language) -> None:
        """Teach all processes a language; utterances that run go on with what they began with.

        Raises:
            DecoderLostError: a process could not load it.
        """
        head, body = definition(model, language)
        await asyncio.gather(*(link.ask(Urgency.DEFINE, head, body) for link in self._links))
        self._languages[model] = language
        self._warm(model)

    def language_of(self, agent_id: str | None) -> tuple[str, Language | None]:
        """The agent's own model and its language, or the general model."""
        language = self._languages.get(agent_id or GENERAL)
        return (GENERAL, None) if language is None else (agent_id or GENERAL, language)

    def lease(self, agent_id: str | None, keyterms: Iterable[str]) -> ModelLease:
        """Choose the model for a stream or request.

        Raises:
            TooManyKeytermModelsError: there is no room for these keyterms.
        """
        return ModelLease(self.language_of, self._keyterm_models, agent_id, keyterms)

    def hearing(self, model: str, cmn: str) -> Hearing:
        """Lease an interim decoder for one utterance from the process with the fewest.

        Args:
            cmn: of the channel's last utterance; empty for none.
        """
        links = self._links_of(model)
        link = min(links, key=lambda link: (not link.ready, link.leases, link.backlog_bytes))
        return Hearing(link, next(self._utterances), model, cmn)

    async def final(self, model: str, pcm: bytes, *, live: bool = True) -> Decoded:
        """Decode a whole utterance thoroughly; cancelling takes the job back if its turn has not come.

        Args:
            pcm: 16 kHz linear16.
            live: somebody waits for it; else live utterances go first.

        Raises:
            DecoderLostError: two processes died over it.
        """
        urgency = Urgency.FINAL if live else Urgency.RECORDING
        head = {"do": "final", "model": model}
        try:
            answer = await self._idlest(model).ask(urgency, head, pcm)
        except DecoderLostError:
            answer = await self._idlest(model).ask(urgency, head, pcm)
        words = _words(answer)
        return Decoded(() if base_model(model) != GENERAL and is_noise(words) else words, answer["cmn"])

    def _idlest(self, model: str) -> DecoderLink:
        links = self._links_of(model)
        return min(links, key=lambda link: (not link.ready, link.backlog_bytes, link.leases))

    def _links_of(self, model: str) -> list[DecoderLink]:
        link = self._keyterm_models.link_of(model)
        return self._links if link is None else [link]

    def _setting_up(self) -> Iterable[tuple[Head, bytes]]:
        for model, language in self._languages.items():
            yield definition(model, language)
        yield {"do": "warm", "model": GENERAL, "streams": 1}, b""

    def _warm(self, model: str) -> None:
        for link in self._links:
            for _ in range(WARM_STREAMS):
                link.ask_in_background(Urgency.WARM, {"do": "warm", "model": model, "streams": WARM_STREAMS})


def _words(answer: Head) -> tuple[Word, ...]:
    return tuple(Word(*word) for word in answer["words"])
