"""The agent's HTTP side: health for the orchestrator, and callers' WebSockets."""

from __future__ import annotations

from aiohttp import web

from edge_agents.bootstrap import AgentRuntime
from edge_agents.transport.websocket import MediaEndpoint, WebSocketTransport
from shared.domain.call import Media, RefusalReason
from shared.errors import CallRefusedError
from shared.media_token import MediaClaims


def agent_app(runtime: AgentRuntime) -> web.Application:
    """The routes `GET /healthz` and `GET /v1/media`."""
    desk = runtime.desk

    async def health(_request: web.Request) -> web.Response:
        body = {
            "status": "draining" if desk.draining else "ok",
            "engine": "agent",
            "active_calls": desk.active_calls,
            "max_calls": runtime.settings.max_calls,
        }
        return web.json_response(body, status=503 if desk.draining else 200)

    def refusal(claims: MediaClaims) -> RefusalReason | None:
        return desk.turn_away(
            tenant_id=claims.tenant_id,
            agent_id=claims.agent_id,
            call_id=claims.call_id,
            media=Media.WEBSOCKET,
            full=desk.active_calls >= runtime.settings.max_calls,
        )

    async def on_call(transport: WebSocketTransport) -> None:
        try:
            await desk.take(transport)
        except CallRefusedError as error:
            await transport.refuse(error)

    media = MediaEndpoint(
        on_call=on_call, secret=runtime.settings.media_secret.get_secret_value(), refusal=refusal
    )
    app = web.Application()
    app.router.add_get("/healthz", health)
    app.router.add_get("/v1/media", media.handle)
    return app
