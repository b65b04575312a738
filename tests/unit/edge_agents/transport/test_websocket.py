"""A call over the WebSocket media endpoint: audio, keys, hang-ups and messages out of order."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import aiohttp
import numpy as np
import pytest
from livekit import rtc

from edge_agents.transport.port import DisconnectReason, MediaTransport
from edge_agents.transport.websocket import Patience, WebSocketTransport
from shared.domain.call import EndReason, Media
from shared.names import Attribute
from tests.unit.edge_agents.transport.media_client import (
    START,
    claims,
    serving,
    token,
    told,
)


@dataclass
class Slot:
    """What an AgentSession has where a transport puts its audio."""

    audio: object = None


@dataclass
class Session:
    """Stands in for an AgentSession."""

    input: Slot = field(default_factory=Slot)
    output: Slot = field(default_factory=Slot)


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
