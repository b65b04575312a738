"""Which model a stream is decoded with: its agent's or the general one, with the stream's own keyterms if any."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Self

from local_stack.engines.listen.keyterm_models import (
    KeytermKey,
    KeytermModel,
    KeytermModels,
    TooManyKeytermModelsError,
)
from local_stack.engines.listen.language_source import Language

LanguageOf = Callable[[str | None], tuple[str, Language | None]]

logger = logging.getLogger(__name__)


class ModelLease:
    """The model of one stream or request, with its keyterms. `close` it.

    Args:
        language_of: tells an agent's model and language.
        keyterm_models: the models with keyterms.
        agent_id: whose language is spoken; None for anyone's.
        keyterms: to expect; those that the agent's language was built with cost nothing.

    Raises:
        TooManyKeytermModelsError: there is no room for these keyterms.
    """

    def __init__(
        self,
        language_of: LanguageOf,
        keyterm_models: KeytermModels,
        agent_id: str | None,
        keyterms: Iterable[str],
    ) -> None:
        self._language_of = language_of
        self._keyterm_models = keyterm_models
        self._agent_id = agent_id
        self._keyterms = tuple(keyterms)
        self._held: KeytermModel | None = None
        self._take()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the model go; calls after the first do nothing."""
        if self._held is not None:
            self._keyterm_models.give_back(self._held)
            self._held = None

    def change_keyterms(self, keyterms: Iterable[str]) -> None:
        """Expect these terms from now on instead of those before.

        Raises:
            TooManyKeytermModelsError: there is no room for them; those before stay.
        """
        before, self._keyterms = self._keyterms, tuple(keyterms)
        try:
            self._take()
        except TooManyKeytermModelsError:
            self._keyterms = before
            raise

    async def model(self) -> str:
        """The model's name, as soon as it can be decoded with.

        The agent's own language is followed when it comes later or is replaced. Where keyterms can't be added, the
        model without them has to do.
        """
        try:
            self._take()
        except TooManyKeytermModelsError:
            logger.warning(
                "a stream goes on without its keyterms: there is no room for them in the new language"
            )
            self.close()
        held = self._held
        if held is not None and held.ready is not None and await asyncio.shield(held.ready):
            return held.name
        return self._language_of(self._agent_id)[0]

    def _take(self) -> None:
        base, language = self._language_of(self._agent_id)
        own = set() if language is None else {_folded(keyterm) for keyterm in language.keyterms}
        extra = {_folded(keyterm) for keyterm in self._keyterms} - own - {""}
        key = KeytermKey(base, language, tuple(sorted(extra)))
        if self._held is not None and self._held.key == key:
            return
        taken = self._keyterm_models.take(key) if extra else None
        self.close()
        self._held = taken


def _folded(keyterm: str) -> str:
    return " ".join(keyterm.lower().split())
