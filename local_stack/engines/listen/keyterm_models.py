"""Models with keyterms that clients bring along, in a decoder process of their own.

A decoder that has learnt a keyterm can't forget it, so each set of keyterms has decoders of its own, under a model name
of its own: whoever comes without these keyterms, or with others, can't be given one of them. Their process starts with
the first keyterm. Building a decoder stops everything else in its process (.1 s of an agent's language, .6 s of the
general one: our measurement), and ordinary streams are decoded elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from local_stack.engines.listen.decoder_link import DecoderLink, DecoderLostError, Urgency
from local_stack.engines.listen.decoder_protocol import Head, KeytermEntry
from local_stack.engines.listen.language_source import Language, LanguageError, pronounce_keyterms

MOST_PLACES = 16
"""For models that are used or kept for the next client with the same keyterms."""

_PLACES, _PLACES_GENERAL = 1, 4
"""That a model takes: 20 MB of an agent's language, 200 MB of the general one."""

_MARK = "#"
"""Before the number of a model with keyterms; in no agent's id."""

logger = logging.getLogger(__name__)

Definition = tuple[Head, bytes]

Pronounce = Callable[[Sequence[str]], Awaitable[list[KeytermEntry]]]


class TooManyKeytermModelsError(Exception):
    """As many different sets of keyterms are in use as the engine has room for."""


@dataclass(frozen=True, slots=True)
class KeytermKey:
    """What makes two models the same."""

    base: str
    """The model that the keyterms are added to."""
    language: Language | None
    """Of the base; None for the general one. An agent that publishes anew has another."""
    keyterms: tuple[str, ...]
    """Each once, in order."""

    @property
    def places(self) -> int:
        return _PLACES_GENERAL if self.language is None else _PLACES


@dataclass(eq=False)
class KeytermModel:
    """A model in use, or kept for the next use."""

    key: KeytermKey
    name: str
    """By which decoders know it."""
    ready: asyncio.Task[bool] | None = None
    """Whether it can be decoded with, once that is known."""
    users: int = 0
    definition: Definition | None = None
    """That a fresh process is taught it by."""


class KeytermModels:
    """Builds and keeps the models. `close` it.

    Args:
        pronounce: finds out how keyterms are said.
    """

    def __init__(self, pronounce: Pronounce = pronounce_keyterms) -> None:
        self._pronounce = pronounce
        self._models: OrderedDict[KeytermKey, KeytermModel] = OrderedDict()
        """The one unused for longest first."""
        self._link: DecoderLink | None = None
        self._numbers = count(1)
        self._pronouncing = asyncio.Lock()

    async def close(self) -> None:
        """Stop what is being built and end the process."""
        building = [model.ready for model in self._models.values() if model.ready is not None]
        for task in building:
            task.cancel()
        await asyncio.gather(*building, return_exceptions=True)
        if self._link is not None:
            await self._link.close()

    def link_of(self, name: str) -> DecoderLink | None:
        """The process that knows a model, None for a model without keyterms."""
        known = any(model.name == name for model in self._models.values())
        return self._link if known else None

    def take(self, key: KeytermKey) -> KeytermModel:
        """Use a model until it is given back; one that isn't there begins to be built.

        Raises:
            TooManyKeytermModelsError: there is no room for one more.
        """
        model = self._models.get(key)
        if model is None:
            self._make_room(key.places)
            model = KeytermModel(key, f"{key.base}{_MARK}{next(self._numbers)}")
            self._models[key] = model
            model.ready = asyncio.create_task(self._build(model))
        self._models.move_to_end(key)
        model.users += 1
        return model

    def give_back(self, model: KeytermModel) -> None:
        """End a use; the model is kept until its room is needed."""
        model.users -= 1

    def _make_room(self, places: int) -> None:
        idle = [model for model in self._models.values() if model.users == 0]
        taken = sum(key.places for key in self._models)
        if taken - sum(model.key.places for model in idle) + places > MOST_PLACES:
            raise TooManyKeytermModelsError(
                "too many different keyterms are in use: there is no room for these"
            )
        while taken + places > MOST_PLACES:
            model = idle.pop(0)
            taken -= model.key.places
            self._drop(model)

    def _drop(self, model: KeytermModel) -> None:
        del self._models[model.key]
        if model.ready is not None:
            model.ready.cancel()
        if self._link is not None and model.definition is not None:
            self._link.ask_in_background(Urgency.RELEASE, {"do": "forget", "model": model.name})

    async def _build(self, model: KeytermModel) -> bool:
        try:
            async with self._pronouncing:
                entries = await self._pronounce(model.key.keyterms)
            if self._link is None:
                self._link = DecoderLink(self._setting_up)
            head, body = definition(model.name, model.key.language)
            head["keyterms"] = entries
            model.definition = head, body
            await self._link.ask(Urgency.DEFINE, head, body)
        except (LanguageError, DecoderLostError) as error:
            logger.warning("keyterms are not used: %s", error)
            if self._models.get(model.key) is model:
                del self._models[model.key]
            return False
        self._link.ask_in_background(Urgency.WARM, {"do": "warm", "model": model.name, "streams": 1})
        return True

    def _setting_up(self) -> Iterable[Definition]:
        return [model.definition for model in self._models.values() if model.definition is not None]


def base_model(name: str) -> str:
    """What a model is without its keyterms."""
    return name.partition(_MARK)[0]


def definition(name: str, language: Language | None) -> Definition:
    """The message that teaches a decoder process a model; None for the language that all of them know."""
    arpa = b"" if language is None else language.arpa.encode()
    dictionary = b"" if language is None else language.dictionary.encode()
    return {"do": "define", "model": name, "arpa_bytes": len(arpa)}, arpa + dictionary
