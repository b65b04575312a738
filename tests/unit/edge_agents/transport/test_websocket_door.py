"""The media endpoint's door: tokens, refusals, and how a call must begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from edge_agents.transport.websocket import MediaEndpoint, Patience, WebSocketTransport
from shared.domain.call import RefusalReason
from shared.errors import CallRefusedError, InvalidInputError
from shared.media_token import issue_media_token
from tests.unit.edge_agents.transport.media_client import (
    SECRET,
    START,
    claims,
    serving,
    token,
    told,
    until_gone,
)


@pytest.mark.parametrize("bad", ["", "nonsense", token()[:-2] + "xx"])
async def test_a_token_that_is_not_ours_is_refused_before_the_upgrade(bad: str) -> None:
    async with serving(until_gone) as client:
        status, body, _ = await client.refused(bad)
    assert (status, body["code"]) == (401, "unauthorised")


async def test_a_token_that_is_over_its_time_is_refused() -> None:
    past = datetime.now(UTC) - timedelta(minutes=10)
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


def test_a_short_secret_is_refused_at_the_start() -> None:
    with pytest.raises(InvalidInputError):
        MediaEndpoint(on_call=until_gone, secret="short")
