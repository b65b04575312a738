from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit import rtc

from edge_agents.transport.port import DisconnectReason, MediaTransport
from edge_agents.transport.websocket import PATIENCE, MediaEndpoint, Patience, WebSocketTransport
from shared.domain.call import EndReason, Media, RefusalReason
from shared.errors import CallRefusedError, InvalidInputError
from shared.ids import IdKind, new_id
from shared.media_token import MediaClaims, issue_media_token
from shared.names import Attribute

SECRET = "a secret of at least thirty-two bytes"
NOW = datetime.now(UTC)
START = '{"type":"start","sample_rate":16000}'

OnCall = Callable[[WebSocketTransport], Awaitable[None]]


@dataclass
class Slot:
    """What an AgentSession has where a transport puts its audio."""

    audio: object = None


@dataclass
class Session:
    """Stands in for an AgentSession."""

    input: Slot = field(default_factory=Slot)
    output: Slot = field(default_factory=Slot)


def claims() -> MediaClaims:
    return MediaClaims(
        tenant_id=new_id(IdKind.TENANT),
        agent_id=new_id(IdKind.AGENT),
        call_id=new_id(IdKind.CALL),
        exp=NOW + timedelta(minutes=5),
    )


def token(of: MediaClaims | None = None) -> str:
    return issue_media_token(of or claims(), SECRET, NOW)


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


async def test_the_transport_carries_what_our_side_signed_and_keeps_the_port() -> None:
    seen: list[WebSocketTransport] = []

    async def on_call(transport: WebSocketTransport) -> None:
        port: MediaTransport = transport
        assert port.media is Media.WEBSOCKET
        seen.append(transport)

    its_claims = claims()
    async with serving(on_call) as client:
        socket = await client.dial(token(its_claims))
        await socket.send_str(START)
        assert (await told(socket))["type"] == "ended"

    assert seen[0].attributes == {
        Attribute.TENANT_ID: its_claims.tenant_id,
        Attribute.AGENT_ID: its_claims.agent_id,
        Attribute.CALL_ID: its_claims.call_id,
    }


@pytest.mark.parametrize("bad", ["", "nonsense", token()[:-2] + "xx"])
async def test_a_token_that_is_not_ours_is_refused_before_the_upgrade(bad: str) -> None:
    async with serving(until_gone) as client:
        status, body, _ = await client.refused(bad)
    assert (status, body["code"]) == (401, "unauthorised")


async def test_a_token_that_is_over_its_time_is_refused() -> None:
    past = NOW - timedelta(minutes=10)
    old = issue_media_token(claims().model_copy(update={"exp": past + timedelta(minutes=5)}), SECRET, past)
    async with serving(until_gone) as client:
        status, body, _ = await client.refused(old)
    assert (status, body["code"]) == (401, "unauthorised")


@pytest.mark.parametrize(
    ("reason", "status", "code", "retry"),
    [
        (RefusalReason.AT_CAPACITY, 503, "call_refused", "2"),
        (RefusalReason.DRAINING, 503, "call_refused", "2"),
        (RefusalReason.UNKNOWN_TENANT, 404, "unknown_tenant", None),
    ],
)
async def test_a_host_that_takes_no_call_says_why_before_the_upgrade(
    reason: RefusalReason, status: int, code: str, retry: str | None
) -> None:
    async with serving(until_gone, refusal=lambda _claims: reason) as client:
        answer = await client.refused(token())
    assert answer[0] == status
    assert answer[1]["code"] == code
    assert answer[2] == retry


async def test_a_plain_request_is_told_to_use_a_websocket() -> None:
    async with serving(until_gone) as client, client.http.get(f"{client.url}?token={token()}") as response:
        assert response.status == 426
        assert (await response.json())["code"] == "websocket_expected"


async def test_a_token_opens_one_call() -> None:
    its_token = token()
    async with serving(until_gone) as client:
        first = await client.dial(its_token)
        waiting = await client.dial(its_token)  # both passed the door before either said start
        await first.send_str(START)
        await first.send_str('{"type":"stop"}')
        assert (await told(first))["type"] == "ended"
        await waiting.send_str(START)
        assert (await told(waiting))["code"] == "call_exists"
        status, body, _ = await client.refused(its_token)
    assert (status, body["code"]) == (409, "call_exists")


async def test_a_call_refused_after_the_upgrade_says_why_and_closes() -> None:
    async def on_call(transport: WebSocketTransport) -> None:
        await transport.refuse(CallRefusedError("the call was refused", reason="at_capacity"))

    async with serving(on_call) as client:
        socket = await client.dial(token())
        await socket.send_str(START)
        message = await told(socket)
        assert (message["type"], message["code"], message["reason"]) == (
            "error",
            "call_refused",
            "at_capacity",
        )
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ('{"type":"stop"}', "start_expected"),
        (bytes(640), "start_expected"),
        ("rubbish", "malformed_message"),
        ('{"type":"start","sample_rate":44100}', "unsupported_sample_rate"),
    ],
)
async def test_a_client_that_does_not_begin_with_start_is_told_and_closed(
    first: str | bytes, code: str
) -> None:
    async with serving(until_gone) as client:
        socket = await client.dial(token())
        await (socket.send_str(first) if isinstance(first, str) else socket.send_bytes(first))
        assert (await told(socket))["code"] == code
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1008


async def test_a_client_that_never_says_start_is_closed() -> None:
    async with serving(until_gone, patience=Patience(start_s=0.05)) as client:
        socket = await client.dial(token())
        assert (await told(socket))["code"] == "start_timeout"


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (bytes(641), "invalid_audio"),
        (bytes(65_538), "message_too_large"),
        ("{", "malformed_message"),
        ('{"type":"dtmf","digit":"E"}', "invalid_dtmf"),
        (START, "unexpected_start"),
    ],
)
async def test_a_malformed_message_ends_the_call_with_a_code(bad: str | bytes, code: str) -> None:
    reasons: list[DisconnectReason] = []

    async def on_call(transport: WebSocketTransport) -> None:
        reasons.append(await transport.wait_disconnected())

    async with serving(on_call) as client:
        socket = await client.dial(token())
        await socket.send_str(START)
        await (socket.send_str(bad) if isinstance(bad, str) else socket.send_bytes(bad))
        assert (await told(socket))["code"] == code
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert reasons == [DisconnectReason.LOST]


async def test_a_message_that_aiohttp_itself_refuses_ends_the_call() -> None:
    reasons: list[DisconnectReason] = []

    async def on_call(transport: WebSocketTransport) -> None:
        reasons.append(await transport.wait_disconnected())

    async with serving(on_call) as client:
        socket = await client.dial(token())
        await socket.send_str(START)
        await socket.send_bytes(bytes(300 * 1024))
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
    assert reasons == [DisconnectReason.LOST]


async def test_stop_a_close_and_a_broken_connection_are_told_apart() -> None:
    reasons: asyncio.Queue[DisconnectReason] = asyncio.Queue()

    async def on_call(transport: WebSocketTransport) -> None:
        reason = await transport.wait_disconnected()
        assert await transport.wait_disconnected() is reason
        reasons.put_nowait(reason)

    async with serving(on_call) as client, asyncio.timeout(5):
        stopped, closed, broken = [await client.dial(token()) for _ in range(3)]
        for socket in (stopped, closed, broken):
            await socket.send_str(START)
        await stopped.send_str('{"type":"stop"}')
        assert await reasons.get() is DisconnectReason.HUNG_UP
        await closed.close()
        assert await reasons.get() is DisconnectReason.HUNG_UP
        connection = broken._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        assert await reasons.get() is DisconnectReason.LOST


async def test_a_client_that_sends_no_audio_is_lost() -> None:
    reasons: list[DisconnectReason] = []

    async def on_call(transport: WebSocketTransport) -> None:
        reasons.append(await transport.wait_disconnected())
        await transport.aclose(EndReason.CALLER_HUNG_UP)

    async with serving(on_call, patience=Patience(audio_s=0.05)) as client:
        socket = await client.dial(token())
        await socket.send_str(START)
        assert await told(socket) == {"type": "ended", "reason": "caller_hung_up"}
    assert reasons == [DisconnectReason.LOST]


async def test_keys_reach_the_handler_even_those_pressed_before_it_was_there() -> None:
    keys: list[str] = []

    async def on_call(transport: WebSocketTransport) -> None:
        await transport.wait_disconnected()
        transport.on_dtmf(keys.append)

    async with serving(on_call) as client:
        socket = await client.dial(token())
        await socket.send_str(START)
        for digit in "12*#A":
            await socket.send_str(json.dumps({"type": "dtmf", "digit": digit}))
        await socket.send_str('{"type":"stop"}')
        assert (await told(socket))["type"] == "ended"
    assert "".join(keys) == "12*#A"


async def test_audio_goes_both_ways_once_attached() -> None:
    heard: list[rtc.AudioFrame] = []
    said = np.arange(640, dtype="<i2")

    async def on_call(transport: WebSocketTransport) -> None:
        session = Session()
        await transport.attach(session)  # type: ignore[arg-type]
        output, source = session.output.audio, session.input.audio
        await output.capture_frame(rtc.AudioFrame(said.tobytes(), 16000, 1, 640))  # type: ignore[attr-defined]
        output.flush()  # type: ignore[attr-defined]
        heard.extend([await anext(source) for _ in range(3)])  # type: ignore[call-overload]
        await output.wait_for_playout()  # type: ignore[attr-defined]
        await transport.aclose(EndReason.AGENT_ENDED)
        await transport.aclose(EndReason.AGENT_ENDED)

    its_claims = claims()
    async with serving(on_call) as client:
        socket = await client.dial(token(its_claims))
        await socket.send_str(START)
        assert await told(socket) == {"type": "ready", "call_id": its_claims.call_id}
        await socket.send_bytes(bytes(1920))
        frames = [await socket.receive_bytes() for _ in range(2)]
        assert b"".join(frames) == said.tobytes()
        assert await told(socket) == {"type": "ended", "reason": "agent_ended"}
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert [frame.samples_per_channel for frame in heard] == [320, 320, 320]


async def test_a_hang_up_ends_the_session_s_input_and_frees_its_output() -> None:
    done = asyncio.Event()

    async def on_call(transport: WebSocketTransport) -> None:
        session = Session()
        await transport.attach(session)  # type: ignore[arg-type]
        output, source = session.output.audio, session.input.audio
        for _ in range(5):
            await output.capture_frame(rtc.AudioFrame(bytes(64000), 16000, 1, 32000))  # type: ignore[attr-defined]
        output.flush()  # type: ignore[attr-defined]
        async for _ in source:  # type: ignore[attr-defined]
            pass
        assert (await output.wait_for_playout()).interrupted  # type: ignore[attr-defined]
        done.set()

    async with serving(on_call) as client:
        socket = await client.dial(token())
        await socket.send_str(START)
        await told(socket)
        await socket.send_str('{"type":"stop"}')
        async with asyncio.timeout(5):
            await done.wait()


async def test_attaching_after_the_caller_hung_up_is_no_error() -> None:
    reasons: asyncio.Queue[DisconnectReason] = asyncio.Queue()

    async def on_call(transport: WebSocketTransport) -> None:
        await transport.wait_disconnected()
        await transport.attach(Session())  # type: ignore[arg-type]
        reasons.put_nowait(await transport.wait_disconnected())

    async with serving(on_call) as client, asyncio.timeout(5):
        socket = await client.dial(token())
        await socket.send_str(START)
        await socket.close()
        assert await reasons.get() is DisconnectReason.HUNG_UP


async def test_a_call_that_fails_inside_ends_without_a_word_about_the_inside() -> None:
    async def on_call(_transport: WebSocketTransport) -> None:
        raise RuntimeError("a secret of the inside")

    async with serving(on_call) as client:
        socket = await client.dial(token())
        await socket.send_str(START)
        assert await told(socket) == {"type": "ended", "reason": "internal_error"}


def test_a_short_secret_is_refused_at_the_start() -> None:
    with pytest.raises(InvalidInputError):
        MediaEndpoint(on_call=until_gone, secret="short")
