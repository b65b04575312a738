"""The engine's own interface: the languages of agents.

PUT /local/language-models/{agent_id}   {"texts": [...], "keyterms": [...]}
GET /local/language-models
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from dataclasses import dataclass, field
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic import Field as PydanticField

from local_stack.engines.listen.decoder_link import DecoderLostError
from local_stack.engines.listen.decoder_pool import DecoderPool
from local_stack.engines.listen.decoder_protocol import GENERAL
from local_stack.engines.listen.errors import BAD_JSON, Refused
from local_stack.engines.listen.language_source import LanguageError, build_language

MAX_MODELS = 64
"""Each takes about 20 MB in every decoder process."""

_MAX_ORDER_BYTES = 2 * 1024 * 1024
"""More would hold up the event loop while it is parsed."""

_AGENT_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)

_Text = Annotated[str, StringConstraints(max_length=20_000)]
_Keyterm = Annotated[str, StringConstraints(max_length=200)]


class LanguageOrder(BaseModel):
    """What an agent publishes, and the terms that its callers must be understood with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: Annotated[tuple[_Text, ...], PydanticField(max_length=2000)] = ()
    keyterms: Annotated[tuple[_Keyterm, ...], PydanticField(max_length=500)] = ()

    @property
    def digest(self) -> str:
        """The same for the same order."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


@dataclass
class LanguageModels:
    """The agents' models, built one after the other.

    Args:
        pool: that decodes with them.
    """

    pool: DecoderPool
    described: dict[str, dict[str, object]] = field(default_factory=dict)
    """By agent, what `GET` tells."""
    _building: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def put(self, agent_id: str, order: LanguageOrder) -> dict[str, object]:
        """Build a model and let the decoders have it; the same order again is done already.

        Returns:
            The model's description.

        Raises:
            Refused: 507 for one model too many, 422 for texts that no model can be built from.
        """
        async with self._building:
            present = self.described.get(agent_id)
            if present is not None and present["digest"] == order.digest:
                return present
            if present is None and len(self.described) >= MAX_MODELS:
                raise Refused(507, "TOO_MANY_MODELS", f"The engine keeps {MAX_MODELS} language models.")
            begun_at = time.monotonic()
            try:
                language = await build_language(order.texts, order.keyterms)
                await self.pool.define(agent_id, language)
            except (LanguageError, DecoderLostError) as error:
                raise Refused(422, "UNPROCESSABLE_ENTITY", str(error)) from None
            self.described[agent_id] = {
                "agent_id": agent_id,
                "digest": order.digest,
                "pronunciations": language.words,
                "build_s": round(time.monotonic() - begun_at, 3),
            }
            return self.described[agent_id]


LANGUAGE_MODELS: web.AppKey[LanguageModels] = web.AppKey("language_models", LanguageModels)


def add_routes(app: web.Application) -> None:
    """Serve `/local/language-models`."""
    app.router.add_put("/local/language-models/{agent_id}", _put)
    app.router.add_get("/local/language-models", _get)


async def _put(request: web.Request) -> web.Response:
    try:
        agent_id = request.match_info["agent_id"]
        _check(agent_id)
        order = await _order(request)
        return web.json_response(await request.app[LANGUAGE_MODELS].put(agent_id, order))
    except Refused as refused:
        return refused.response("")


def _check(agent_id: str) -> None:
    if not _AGENT_ID.fullmatch(agent_id) or agent_id == GENERAL:
        raise Refused(
            400, "INVALID_AGENT_ID", "An agent id is 1 to 128 of A-Z a-z 0-9 _ . : -, not 'general'."
        )


async def _order(request: web.Request) -> LanguageOrder:
    body = await request.read()
    if len(body) > _MAX_ORDER_BYTES:
        raise Refused(413, "PAYLOAD_TOO_LARGE", "Payload size exceeds the limit of 2 MB.")
    try:
        return LanguageOrder.model_validate(json.loads(body))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise Refused(400, "PAYLOAD_ERROR", f"{where}: {problem['msg']}") from None
    except (ValueError, RecursionError):
        raise BAD_JSON from None


async def _get(request: web.Request) -> web.Response:
    return web.json_response({"language_models": list(request.app[LANGUAGE_MODELS].described.values())})
