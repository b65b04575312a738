"""The guarded httpx2 client, alone and under openai's client, against misbehaving servers on loopback."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterable

import httpcore2
import httpx2
import openai
import pytest

from shared.errors import AddressBlockedError, InvalidInputError, RemoteError, ResponseTooLargeError
from shared.net_httpx import GuardedBackend, guarded_httpx_client
from tests.fakes.origin import endless, serving, silent, whole
from tests.fakes.resolver import ScriptedResolver

PUBLIC = "93.184.216.34"
COMPLETION = json.dumps(
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}
        ],
    }
).encode()


class BackendSpy(httpcore2.AsyncNetworkBackend):
    """Opens connections, and remembers to what."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self.hosts.append(host)
        return await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)


async def _ask(client: httpx2.AsyncClient, url: str) -> openai.types.chat.ChatCompletion:
    async with openai.AsyncOpenAI(api_key="k", base_url=url, http_client=client, max_retries=0) as llm:
        return await llm.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])


async def test_openai_speaks_through_it() -> None:
    spy = BackendSpy()
    resolver = ScriptedResolver({"localhost": [["127.0.0.1"]]})
    answer = whole(COMPLETION, headers="Content-Type: application/json\r\n")
    async with serving(answer) as origin:
        client = guarded_httpx_client(allow_loopback=True, timeout_s=5, resolve=resolver, inner=spy)
        completion = await _ask(client, origin.url("localhost") + "v1")

    assert completion.choices[0].message.content == "hello"
    assert spy.hosts == ["127.0.0.1"]
    assert "Host: localhost:" in origin.requests[0][0]
    assert client.is_closed


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "hooks.example.com", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_loopback_is_never_reached_unless_allowed(host: str, scheme: str) -> None:
    spy = BackendSpy()
    resolver = ScriptedResolver({"localhost": [["127.0.0.1"]], "hooks.example.com": [["127.0.0.1", "::1"]]})
    async with serving(silent) as origin:
        client = guarded_httpx_client(allow_loopback=False, timeout_s=5, resolve=resolver, inner=spy)
        with pytest.raises((AddressBlockedError, InvalidInputError)):
            await _ask(client, origin.url(host, scheme))
    assert (origin.connections, spy.hosts) == (0, [])


@pytest.mark.parametrize("answers", [["10.0.0.1"], [PUBLIC, "127.0.0.1"], ["::ffff:a00:1"], ["fe80::1%lo"]])
async def test_a_name_with_an_internal_address_is_not_connected_to_at_all(answers: list[str]) -> None:
    spy = BackendSpy()
    resolver = ScriptedResolver({"llm.example.com": [answers]})
    async with guarded_httpx_client(allow_loopback=False, timeout_s=5, resolve=resolver, inner=spy) as client:
        with pytest.raises(AddressBlockedError):
            await client.get("https://llm.example.com/v1/models")
    assert spy.hosts == []


async def test_a_second_look_up_that_turns_to_loopback_is_blocked() -> None:
    spy = BackendSpy()
    resolver = ScriptedResolver({"llm.example.com": [[PUBLIC], ["127.0.0.1"]]})
    await resolver("llm.example.com")  # what a check before the connection would have seen
    async with guarded_httpx_client(allow_loopback=False, timeout_s=5, resolve=resolver, inner=spy) as client:
        with pytest.raises(AddressBlockedError):
            await client.get("https://llm.example.com/")
    assert spy.hosts == []


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    resolver = ScriptedResolver({"localhost": [["127.0.0.2", "127.0.0.1"]]})
    async with (
        serving(whole(b"hi")) as origin,
        guarded_httpx_client(allow_loopback=True, timeout_s=5, resolve=resolver) as client,
    ):
        assert (await client.get(origin.url("localhost"))).content == b"hi"


async def test_redirects_are_not_followed_even_when_a_request_asks_for_it() -> None:
    async with serving(whole(b"inside")) as inside:
        answer = whole(b"", status="302 Found", headers=f"Location: {inside.url()}\r\n")
        async with (
            serving(answer) as origin,
            guarded_httpx_client(allow_loopback=True, timeout_s=5) as client,
        ):
            response = await client.get(origin.url(), follow_redirects=True)
    assert response.status_code == 302
    assert inside.connections == 0


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(whole(b"proxy")) as proxy, serving(whole(b"origin")) as origin:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        async with guarded_httpx_client(allow_loopback=True, timeout_s=5) as client:
            assert (await client.get(origin.url())).content == b"origin"
    assert proxy.connections == 0


async def test_cookies_are_not_kept() -> None:
    answer = whole(b"", headers="Set-Cookie: session=of-tenant-a\r\n")
    async with (
        serving(answer) as origin,
        guarded_httpx_client(allow_loopback=True, timeout_s=5) as client,
    ):
        await client.get(origin.url("localhost"))
        await client.get(origin.url("localhost"))
    assert all("cookie" not in head.lower() for head, _ in origin.requests)


async def test_a_slow_drip_ends_at_the_total_deadline() -> None:
    async with (
        serving(endless(b"x", pause_s=0.02)) as origin,
        guarded_httpx_client(allow_loopback=True, timeout_s=5, total_s=0.3) as client,
    ):
        with pytest.raises(httpx2.ReadTimeout):
            await client.get(origin.url())


async def test_a_stream_that_never_ends_ends_at_the_total_deadline() -> None:
    event = b'data: {"id":"c","object":"chat.completion.chunk","created":0,"model":"m","choices":[]}\n\n'
    answer = endless(event, pause_s=0.02, headers="Content-Type: text/event-stream\r\n")
    async with serving(answer) as origin:
        client = guarded_httpx_client(allow_loopback=True, timeout_s=5, total_s=0.3)
        async with openai.AsyncOpenAI(api_key="k", base_url=origin.url(), http_client=client) as llm:
            stream = await llm.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            with pytest.raises(openai.APITimeoutError):
                async for _ in stream:
                    pass


async def test_a_server_that_never_answers_is_openais_timeout() -> None:
    async with serving(silent) as origin:
        client = guarded_httpx_client(allow_loopback=True, timeout_s=5, total_s=0.2)
        with pytest.raises(openai.APITimeoutError):
            await _ask(client, origin.url())


async def test_a_resolver_that_never_answers_is_a_connect_timeout() -> None:
    async def resolve(host: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with guarded_httpx_client(allow_loopback=False, timeout_s=0.1, resolve=resolve) as client:
        with pytest.raises(httpx2.ConnectTimeout):
            await client.get("https://llm.example.com/")


async def test_a_name_that_does_not_resolve_is_openais_connection_error() -> None:
    client = guarded_httpx_client(allow_loopback=False, timeout_s=5, resolve=ScriptedResolver({}))
    with pytest.raises(openai.APIConnectionError):
        await _ask(client, "https://nowhere.example.com/")


async def test_a_body_without_end_is_cut_at_the_limit() -> None:
    async with (
        serving(endless(b"x" * 65536)) as origin,
        guarded_httpx_client(allow_loopback=True, timeout_s=5, max_bytes=100_000) as client,
    ):
        with pytest.raises(ResponseTooLargeError):
            await client.get(origin.url())


async def test_a_compressed_answer_is_refused_unread() -> None:
    answer = whole(gzip.compress(b"\0" * 16 * 1024 * 1024), headers="Content-Encoding: gzip\r\n")
    async with (
        serving(answer) as origin,
        guarded_httpx_client(allow_loopback=True, timeout_s=5) as client,
    ):
        with pytest.raises(RemoteError):
            await client.get(origin.url(), headers={"Accept-Encoding": "gzip"})
    assert "accept-encoding: identity" in origin.requests[0][0].lower()


async def test_socket_files_are_refused() -> None:
    backend = GuardedBackend(allow_loopback=True, resolve=ScriptedResolver({}), inner=BackendSpy())
    with pytest.raises(AddressBlockedError):
        await backend.connect_unix_socket("/run/some.sock")
