"""The guarded client against servers on loopback that misbehave. Nothing outside loopback is ever connected to."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.errors import (
    AddressBlockedError,
    InvalidInputError,
    RemoteError,
    RemoteStatusError,
    RemoteTimeoutError,
    ResponseTooLargeError,
)
from shared.net import AddrInfo, GuardedClient, GuardedResponse, check_public_url
from tests.fakes.origin import endless, serving, silent, whole
from tests.fakes.resolver import ScriptedResolver

PUBLIC = "93.184.216.34"
INTERNAL_ANSWERS = [["169.254.169.254"], ["10.0.0.1", PUBLIC], ["fe80::1%lo"], ["not an address"]]


class SocketSpy:
    """Makes the sockets that the client asks for, and remembers for which addresses."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    def __call__(self, info: AddrInfo) -> socket.socket:
        self.addresses.append(str(info[4][0]))
        return socket.socket(info[0], info[1], info[2])


async def _post(client: GuardedClient, url: str, max_bytes: int = 4096, **more: object) -> GuardedResponse:
    return await client.request("POST", url, json={"a": 1}, timeout_s=5, max_bytes=max_bytes, **more)  # type: ignore[arg-type]


async def test_a_request_reaches_an_allowed_server_and_comes_back_whole() -> None:
    answer = whole(b'{"ok":true}', headers="X-Part: 1\r\nX-Part: 2\r\n")
    async with serving(answer) as origin, GuardedClient(allow_loopback=True) as client:
        response = await _post(client, origin.url() + "book?x=1", headers={"X-Call": "call_1"})

    head, body = origin.requests[0]
    assert (response.status, response.body) == (200, b'{"ok":true}')
    assert response.headers["x-part"] == "1, 2"
    assert head.startswith("POST /book?x=1 HTTP/1.1")
    assert "X-Call: call_1" in head
    assert json.loads(body) == {"a": 1}
    assert "ok" not in repr(response)


async def test_a_body_is_sent_byte_for_byte() -> None:
    async with serving(whole(b"")) as origin, GuardedClient(allow_loopback=True) as client:
        await client.request("PUT", origin.url(), body=b'{ "a":1 }\n', timeout_s=5, max_bytes=10)
    assert origin.requests[0][1] == b'{ "a":1 }\n'


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "hooks.example.com", "[::1]", "[::ffff:127.0.0.1]"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_loopback_is_never_reached_unless_allowed(host: str, scheme: str) -> None:
    spy = SocketSpy()
    resolver = ScriptedResolver({"localhost": [["127.0.0.1"]], "hooks.example.com": [["127.0.0.1", "::1"]]})
    async with serving(silent) as origin, GuardedClient(resolve=resolver, open_socket=spy) as client:
        with pytest.raises((AddressBlockedError, InvalidInputError)):
            await _post(client, origin.url(host, scheme))
    assert (origin.connections, spy.addresses) == (0, [])


@pytest.mark.parametrize(
    ("answers", "allow_loopback"),
    [
        (["127.0.0.1"], False),
        (["::1"], False),
        (["::ffff:7f00:1"], False),
        *((answers, allowed) for answers in INTERNAL_ANSWERS for allowed in (False, True)),
    ],
)
async def test_a_name_that_resolves_inside_gets_no_socket(answers: list[str], allow_loopback: bool) -> None:
    spy = SocketSpy()
    client = GuardedClient(
        allow_loopback=allow_loopback,
        resolve=ScriptedResolver({"hooks.example.com": [answers]}),
        open_socket=spy,
    )
    async with client:
        with pytest.raises(AddressBlockedError) as caught:
            await _post(client, "https://hooks.example.com/")
    assert spy.addresses == []
    assert answers[0] not in str(caught.value)


async def test_a_name_that_turns_to_loopback_after_its_check_is_blocked_at_connect_time() -> None:
    spy = SocketSpy()
    resolver = ScriptedResolver({"rebind.example.com": [[PUBLIC], ["127.0.0.1"]]})
    async with serving(silent) as origin, GuardedClient(resolve=resolver, open_socket=spy) as client:
        url = await check_public_url(origin.url("rebind.example.com", "https"), resolver)
        with pytest.raises(AddressBlockedError):
            await _post(client, url)

    assert resolver.asked == ["rebind.example.com"] * 2
    assert (origin.connections, spy.addresses) == (0, [])


async def test_an_allowed_socket_is_opened_to_the_address_that_was_resolved() -> None:
    spy = SocketSpy()
    resolver = ScriptedResolver({"localhost": [["127.0.0.1"]]})
    async with (
        serving(whole(b"hi")) as origin,
        GuardedClient(allow_loopback=True, resolve=resolver, open_socket=spy) as client,
    ):
        assert (await _post(client, origin.url("localhost"))).body == b"hi"
    assert spy.addresses == ["127.0.0.1"]


@pytest.mark.parametrize(
    "status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "304 Not Modified"]
)
@pytest.mark.parametrize("raise_for_status", [True, False])
async def test_a_redirect_is_an_error_and_is_not_followed(status: str, raise_for_status: bool) -> None:
    async with serving(whole(b"inside")) as inside:
        answer = whole(b"", status=status, headers=f"Location: {inside.url()}\r\n")
        async with serving(answer) as origin, GuardedClient(allow_loopback=True) as client:
            with pytest.raises(RemoteStatusError) as caught:
                await _post(client, origin.url(), raise_for_status=raise_for_status)
    assert caught.value.data == {"status": int(status[:3])}
    assert inside.connections == 0


async def test_an_error_status_raises_without_its_body_or_is_given_back_on_request() -> None:
    answer = whole(b"the password is hunter2", status="503 Unavailable", headers="Retry-After: 7\r\n")
    async with serving(answer) as origin, GuardedClient(allow_loopback=True) as client:
        with pytest.raises(RemoteStatusError) as caught:
            await _post(client, origin.url() + "?token=hunter2")
        response = await _post(client, origin.url(), raise_for_status=False)
    assert caught.value.data == {"status": 503}
    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert (response.status, response.headers["retry-after"]) == (503, "7")


async def test_a_body_with_too_great_a_declared_length_is_refused() -> None:
    async with serving(whole(b"x" * 4097)) as origin, GuardedClient(allow_loopback=True) as client:
        with pytest.raises(ResponseTooLargeError):
            await _post(client, origin.url())


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    async with serving(whole(b"x" * 4096)) as origin, GuardedClient(allow_loopback=True) as client:
        assert len((await _post(client, origin.url())).body) == 4096


async def test_a_body_without_end_is_cut_at_the_limit() -> None:
    async with serving(endless(b"x" * 65536)) as origin, GuardedClient(allow_loopback=True) as client:
        with pytest.raises(ResponseTooLargeError):
            await _post(client, origin.url())


@pytest.mark.parametrize("times", [1, 2])
async def test_a_gzip_bomb_counts_by_what_it_unpacks_to(times: int) -> None:
    bomb = gzip.compress(b"\0" * 64 * 1024 * 1024)
    answer = whole(bomb if times == 1 else bomb * times, headers="Content-Encoding: gzip\r\n")
    async with serving(answer) as origin, GuardedClient(allow_loopback=True) as client:
        with pytest.raises(ResponseTooLargeError):
            await _post(client, origin.url(), max_bytes=1024 * 1024)


async def test_an_honest_gzip_answer_is_unpacked() -> None:
    answer = whole(gzip.compress(b"hello"), headers="Content-Encoding: gzip\r\n")
    async with serving(answer) as origin, GuardedClient(allow_loopback=True) as client:
        assert (await _post(client, origin.url())).body == b"hello"


async def test_a_slow_drip_ends_at_the_total_deadline() -> None:
    async with serving(endless(b"x", pause_s=0.02)) as origin, GuardedClient(allow_loopback=True) as client:
        with pytest.raises(RemoteTimeoutError):
            await client.request("GET", origin.url(), timeout_s=0.3, max_bytes=1_000_000)


async def test_a_server_that_never_answers_ends_at_the_deadline() -> None:
    async with serving(silent) as origin, GuardedClient(allow_loopback=True) as client:
        with pytest.raises(RemoteTimeoutError):
            await client.request("GET", origin.url(), timeout_s=0.2, max_bytes=10)


async def test_a_resolver_that_never_answers_ends_at_the_deadline() -> None:
    async def resolve(host: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with GuardedClient(resolve=resolve) as client:
        with pytest.raises(RemoteTimeoutError):
            await client.request("GET", "https://hooks.example.com/", timeout_s=0.1, max_bytes=10)


async def test_waiting_for_a_busy_host_counts_against_the_deadline_and_other_hosts_do_not_wait() -> None:
    async with (
        serving(silent) as slow,
        serving(whole(b"hi")) as quick,
        GuardedClient(allow_loopback=True, max_per_host=2) as client,
    ):
        first = [asyncio.create_task(_post(client, slow.url())) for _ in range(2)]
        await slow.arrival()
        await slow.arrival()
        with pytest.raises(RemoteTimeoutError):
            await client.request("GET", slow.url(), timeout_s=0.1, max_bytes=10)
        assert (await _post(client, quick.url())).body == b"hi"
        for task in first:
            task.cancel()
        await asyncio.gather(*first, return_exceptions=True)
    assert slow.connections == 2


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(whole(b"proxy")) as proxy, serving(whole(b"origin")) as origin:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with GuardedClient(allow_loopback=True) as client:
            assert (await _post(client, origin.url())).body == b"origin"
    assert proxy.connections == 0


async def test_cookies_of_one_answer_are_not_sent_with_the_next_request() -> None:
    answer = whole(b"", headers="Set-Cookie: session=of-tenant-a\r\n")
    async with serving(answer) as origin, GuardedClient(allow_loopback=True) as client:
        await _post(client, origin.url("localhost"))
        await _post(client, origin.url("localhost"))
    assert all("cookie" not in head.lower() for head, _ in origin.requests)


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\r\nX-Long: " + "a" * 100_000 + "\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" + "X-Many: a\r\n" * 10_000 + "\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain",
        "nonsense\r\n\r\n",
        "",
    ],
)
async def test_a_malformed_answer_is_a_remote_failure(head: str) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode())
        await writer.drain()

    async with serving(answer) as origin, GuardedClient(allow_loopback=True) as client:
        with pytest.raises(RemoteError) as caught:
            await _post(client, origin.url(), max_bytes=10_000_000)
    assert type(caught.value) is RemoteError
    assert caught.value.__cause__ is None


async def test_a_closed_port_is_a_remote_failure() -> None:
    async with serving(silent) as origin:
        url = origin.url()
    async with GuardedClient(allow_loopback=True) as client:
        with pytest.raises(RemoteError):
            await _post(client, url)


async def test_a_certificate_that_nobody_signed_is_a_remote_failure(tmp_path: Path) -> None:
    tls = _self_signed(tmp_path)
    async with serving(whole(b"hi"), tls=tls) as origin, GuardedClient(allow_loopback=True) as client:
        with pytest.raises(RemoteError) as caught:
            await _post(client, origin.url(scheme="https"))
    assert caught.value.data["cause"] == "ClientConnectorCertificateError"
    assert origin.requests == []


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nHost: inside"}, {"X-A\r\nX-B": "c"}, {"X-A": "\0"}])
async def test_headers_with_control_characters_are_refused_before_anything_is_sent(
    headers: dict[str, str],
) -> None:
    async with serving(silent) as origin, GuardedClient(allow_loopback=True) as client:
        with pytest.raises(InvalidInputError):
            await _post(client, origin.url(), headers=headers)
    assert origin.connections == 0


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, "\ud800"])
async def test_a_body_that_is_no_json_is_refused(value: object) -> None:
    async with GuardedClient() as client:
        with pytest.raises(InvalidInputError):
            await client.request("POST", "https://hooks.example.com/", json=value, timeout_s=1, max_bytes=1)


async def test_cancelling_a_request_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter) -> None:
        try:
            await endless(b"x", pause_s=0.01)(writer)
        except ConnectionError:
            closed.set()

    async with serving(answer) as origin, GuardedClient(allow_loopback=True) as client:
        task = asyncio.create_task(_post(client, origin.url()))
        await origin.arrival()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 5)


async def test_closing_twice_is_fine() -> None:
    client = GuardedClient()
    await client.aclose()
    await client.aclose()


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
