"""The application of the speech-to-text engine: Deepgram's protocols over local decoders."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from local_stack.engines.listen import local_api
from local_stack.engines.listen.batch import read_recording, transcribe
from local_stack.engines.listen.decoder_link import DecoderLostError
from local_stack.engines.listen.decoder_pool import DecoderPool
from local_stack.engines.listen.errors import (
    AUDIO_TOO_LARGE,
    FAILED,
    NO_URLS,
    TOO_MANY_REQUESTS,
    Refused,
    check_key,
)
from local_stack.engines.listen.flux import FluxStream
from local_stack.engines.listen.keyterm_models import TooManyKeytermModelsError
from local_stack.engines.listen.listen_v1 import ListenV1Stream
from local_stack.engines.listen.model_lease import ModelLease
from local_stack.engines.listen.query import AudioOptions, FluxOptions, ListenOptions
from local_stack.engines.listen.stream import MAX_MESSAGE_BYTES
from local_stack.engines.slots import StreamSlots, TooManyStreamsError

_MAX_BODY_BYTES = 32 * 1024 * 1024

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """How one engine process runs."""

    workers: int = 2
    """Decoder processes: one per core that speech may use."""
    max_streams: int = 64
    """Open sockets and running requests; one more is answered with 429."""


@dataclass(frozen=True, slots=True)
class ListenEngine:
    """What every route needs."""

    pool: DecoderPool
    slots: StreamSlots


ENGINE: web.AppKey[ListenEngine] = web.AppKey("engine", ListenEngine)


def build_app(settings: ListenSettings) -> web.Application:
    """Build the application, ready for `run_engine`; it starts its decoder processes and ends them."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    pool = DecoderPool(settings.workers)
    app[ENGINE] = ListenEngine(pool, StreamSlots(settings.max_streams))
    app[local_api.LANGUAGE_MODELS] = local_api.LanguageModels(pool)
    app.cleanup_ctx.append(_decoders)
    app.router.add_get("/v1/listen", _listen_v1)
    app.router.add_post("/v1/listen", _listen_batch)
    app.router.add_get("/v2/listen", _listen_flux)
    local_api.add_routes(app)
    return app


async def _decoders(app: web.Application) -> AsyncIterator[None]:
    pool = app[ENGINE].pool
    try:
        await pool.start()
        yield
    finally:
        await pool.close()


async def _listen_v1(request: web.Request) -> web.StreamResponse:
    request_id = str(uuid.uuid4())
    engine = request.app[ENGINE]
    try:
        check_key(request.headers)
        options = ListenOptions.parse(request.query)
        with engine.slots.take(), _lease(engine, options.audio) as lease:
            socket = await _open_socket(request, request_id)
            with contextlib.suppress(ConnectionResetError):
                stream = ListenV1Stream(socket, engine.pool, lease, options=options, request_id=request_id)
                await stream.run()
            return socket
    except TooManyStreamsError:
        return TOO_MANY_REQUESTS.response(request_id)
    except Refused as refused:
        return refused.response(request_id)


async def _listen_flux(request: web.Request) -> web.StreamResponse:
    request_id = str(uuid.uuid4())
    engine = request.app[ENGINE]
    try:
        check_key(request.headers)
        options = FluxOptions.parse(request.query)
        with engine.slots.take(), _lease(engine, options.audio) as lease:
            socket = await _open_socket(request, request_id)
            with contextlib.suppress(ConnectionResetError):
                stream = FluxStream(socket, engine.pool, lease, options=options, request_id=request_id)
                await stream.open()
                await stream.run()
            return socket
    except TooManyStreamsError:
        return TOO_MANY_REQUESTS.response(request_id)
    except Refused as refused:
        return refused.response(request_id)


async def _listen_batch(request: web.Request) -> web.StreamResponse:
    request_id = str(uuid.uuid4())
    engine = request.app[ENGINE]
    try:
        check_key(request.headers)
        options = ListenOptions.parse(request.query)
        with engine.slots.take(), _lease(engine, options.audio) as lease:
            recording = read_recording(await _body(request), options.audio)
            answer = await transcribe(recording, engine.pool, lease, options=options, request_id=request_id)
            return web.json_response(answer, headers={"dg-request-id": request_id})
    except TooManyStreamsError:
        return TOO_MANY_REQUESTS.response(request_id)
    except DecoderLostError:
        logger.warning("a recording can't be decoded")
        return FAILED.response(request_id)
    except Refused as refused:
        return refused.response(request_id)


def _lease(engine: ListenEngine, audio: AudioOptions) -> ModelLease:
    try:
        return engine.pool.lease(audio.agent_id, audio.keyterms)
    except TooManyKeytermModelsError:
        raise TOO_MANY_REQUESTS from None


async def _body(request: web.Request) -> bytes:
    if request.content_type == "application/json":
        raise NO_URLS
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise AUDIO_TOO_LARGE from None


async def _open_socket(request: web.Request, request_id: str) -> web.WebSocketResponse:
    # no compression: audio doesn't shrink. Clients ping; the engine watches for silence itself
    socket = web.WebSocketResponse(
        protocols=("token", "bearer"), compress=False, max_msg_size=MAX_MESSAGE_BYTES
    )
    socket.headers["dg-request-id"] = request_id
    await socket.prepare(request)
    return socket
