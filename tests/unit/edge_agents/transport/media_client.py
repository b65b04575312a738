"""A caller's side of the media endpoint, and the endpoint served for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from edge_agents.transport.websocket import PATIENCE, MediaEndpoint, Patience, WebSocketTransport
from shared.domain.call import RefusalReason
from shared.ids import IdKind, new_id
from shared.media_token import MediaClaims, issue_media_token

SECRET = "a secret of at least thirty-two bytes"
START = '{"type":"start","sample_rate":16000}'

OnCall = Callable[[WebSocketTransport], Awaitable[None]]


def claims() -> MediaClaims:
    return MediaClaims(
        tenant_id=new_id(IdKind.TENANT),
        agent_id=new_id(IdKind.AGENT),
        call_id=new_id(IdKind.CALL),
        exp=datetime.now(UTC) + timedelta(minutes=5),
    )


def token(of: MediaClaims | None = None) -> str:
    return issue_media_token(of or claims(), SECRET, datetime.now(UTC))


@dataclass
class Client:
    """A caller's side of the endpoint."""

    http: aiohttp.ClientSession
    url: str

    async def dial(self, its_token: str) -> aiohttp.ClientWebSocketResponse:
        return await self.http.ws_connect(f"{self.url}?token={its_token}")

    async def refused(self, its_token: str) -> tuple[int, dict[str, str], str | None]:
        async with self.http.get(
            f"{self.url}?token={its_token}",
            headers={
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            },
        ) as response:
            return response.status, await response.json(), response.headers.get("Retry-After")


@asynccontextmanager
async def serving(
    on_call: OnCall,
    refusal: Callable[[MediaClaims], RefusalReason | None] = lambda _claims: None,
    patience: Patience = PATIENCE,
) -> AsyncIterator[Client]:
    before = asyncio.all_tasks()
    endpoint = MediaEndpoint(on_call=on_call, secret=SECRET, refusal=refusal, patience=patience)
    app = web.Application()
    app.router.add_get("/v1/media", endpoint.handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        yield Client(http, str(server.make_url("/v1/media")))
    async with asyncio.timeout(5):  # a call leaves no task behind, whatever happened
        while left := asyncio.all_tasks() - before:
            await asyncio.wait(left)


async def until_gone(transport: WebSocketTransport) -> None:
    await transport.wait_disconnected()


async def told(socket: aiohttp.ClientWebSocketResponse) -> dict[str, str]:
    """The next text message."""
    while True:
        message = await socket.receive(timeout=5)
        if message.type is aiohttp.WSMsgType.TEXT:
            return dict(json.loads(message.data))
        assert message.type is aiohttp.WSMsgType.BINARY
