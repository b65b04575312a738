"""All protocols of the load model in one aiohttp application."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from local_stack.engines.load_model import (
    azure,
    chat,
    deepgram_listen,
    elevenlabs,
    flux,
    local_api,
    speak,
)
from local_stack.engines.load_model.local_api import BadRequest
from local_stack.engines.load_model.profile import Profile
from local_stack.engines.load_model.state import LOAD_MODEL, LoadModel
from local_stack.engines.load_model.vendor_errors import Refused
from local_stack.engines.load_model.visit import MAX_BODY_BYTES
from local_stack.engines.load_model.wire import Broken

_logger = logging.getLogger(__name__)


def build_app(profile: Profile, seed: int) -> web.Application:
    """An application that models the providers by `profile`.

    Base URLs for the LiveKit plugins, `H` being http://host:port: Deepgram `H/v1/listen`, `H/v2/listen`
    (Flux) and `H/v1/speak`; OpenAI `H/v1`; ElevenLabs `H/v1`; Azure `H/cognitiveservices/v1`.
    """
    app = web.Application(middlewares=[_answer_outcomes], client_max_size=MAX_BODY_BYTES)
    app[LOAD_MODEL] = LoadModel(profile, seed)
    app.add_routes(
        [
            web.get("/v1/listen", deepgram_listen.listen),
            web.post("/v1/listen", deepgram_listen.transcribe),
            web.get("/v2/listen", flux.listen_flux),
            web.get("/v1/speak", speak.speak_socket),
            web.post("/v1/speak", speak.speak_rest),
            web.post("/v1/chat/completions", chat.complete),
            web.get("/v1/models", chat.list_models),
            web.get("/v1/text-to-speech/{voice}/multi-stream-input", elevenlabs.speak_multi_stream),
            web.post("/v1/text-to-speech/{voice}/stream", elevenlabs.speak_stream),
            web.post("/cognitiveservices/v1", azure.speak_ssml),
            web.get("/local/profile", local_api.get_profile),
            web.put("/local/profile", local_api.put_profile),
            web.get("/local/faults", local_api.get_faults),
            web.put("/local/faults", local_api.put_faults),
            web.delete("/local/faults", local_api.delete_faults),
            web.get("/local/draws", local_api.get_draws),
            web.delete("/local/draws", local_api.delete_draws),
            web.get("/local/counters", local_api.get_counters),
            web.post("/local/abort", local_api.post_abort),
        ]
    )
    return app


@web.middleware
async def _answer_outcomes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what handlers raise into answers; a broken connection gets one that nobody can receive."""
    try:
        return await handler(request)
    except (Refused, BadRequest) as outcome:
        return outcome.response()
    except (Broken, ConnectionError):
        return web.Response(status=503)
    except web.HTTPException:
        raise
    except Exception:
        _logger.exception("request failed")
        return web.json_response({"error": {"code": "internal"}}, status=500)
