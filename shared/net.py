"""The one HTTP client for addresses that tenants give: tools, a model's base_url, later issuers and webhooks.

Three lines of defence, each enough against one kind of attack:

1. `validate_public_url` refuses a URL by its text, when it is configured and again before each request;
2. `check_public_url` also refuses a name by what it resolves to now, for an early answer to the tenant;
3. the client checks the address of every socket just before it connects, which is the only place where a name
   that changes its answer (DNS rebinding) and a literal that no resolver sees are both caught
   (a checking resolver alone is bypassed by IP literals: measured with aiohttp 3.14.5).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from json import dumps
from types import TracebackType
from typing import Any, Final, Literal, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from shared.errors import (
    InvalidInputError,
    RemoteError,
    RemoteStatusError,
    RemoteTimeoutError,
    ResponseTooLargeError,
)
from shared.net_rules import (
    check_address,
    is_loopback_address,
    is_public_address,
    parse_address,
    validate_public_url,
)

__all__ = [
    "AddrInfo",
    "GuardedClient",
    "GuardedResponse",
    "Method",
    "OpenSocket",
    "Resolve",
    "SystemResolver",
    "addresses_of",
    "check_address",
    "check_public_url",
    "is_loopback_address",
    "is_public_address",
    "open_socket",
    "validate_public_url",
]

DNS_THREADS: Final = 8
"""Name look-ups at once in one client; further ones wait inside their request's deadline."""
_MAX_FIELD_BYTES: Final = 8190
_MAX_RESPONSE_HEADERS: Final = 64

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]
"""One answer of getaddrinfo: family, type, protocol, canonical name, socket address."""
Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Host name -> IP addresses as text. Raises OSError when there are none."""
OpenSocket = Callable[[AddrInfo], socket.socket]
"""Makes an unconnected socket for an address that was checked."""


async def check_public_url(
    url: str, resolve: Resolve, *, allow_loopback: bool = False, timeout_s: float = 5.0
) -> str:
    """Check a URL's text and every address that its host has now; connects to nothing.

    For the moment when a tenant configures it. A later answer may differ, so the client checks again.

    Raises:
        InvalidInputError, AddressBlockedError: as `validate_public_url`.
        RemoteError: the name does not resolve.
        RemoteTimeoutError: the resolver did not answer within `timeout_s`.
    """
    checked = validate_public_url(url, allow_loopback=allow_loopback)
    try:
        async with asyncio.timeout(timeout_s):
            addresses = await addresses_of(URL(checked).raw_host or "", resolve)
    except TimeoutError:
        raise RemoteTimeoutError("the URL's host could not be resolved in time") from None
    except OSError:
        raise RemoteError("the URL's host does not resolve") from None
    for address in addresses:
        check_address(address, allow_loopback=allow_loopback)
    return checked


async def addresses_of(host: str, resolve: Resolve) -> Sequence[str]:
    """Addresses of a host, itself when it is an IP literal; at least one.

    Raises:
        OSError: there is none.
    """
    if parse_address(host) is not None:
        return (host,)
    addresses = await resolve(host)
    if not addresses:
        raise OSError("no address")
    return addresses


class SystemResolver:
    """Host names to addresses through the operating system.

    Look-ups block, and a tenant can point a name at a slow server, so they run in threads of their own and
    can't fill the event loop's. Cancelling leaves a thread busy until the system gives up.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(DNS_THREADS, thread_name_prefix="dns")

    async def __call__(self, host: str) -> Sequence[str]:
        """Addresses in the system's order of preference. Raises OSError."""
        look_up = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        answers = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))

    def close(self) -> None:
        """Drop waiting look-ups; returns at once."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def open_socket(info: AddrInfo) -> socket.socket:
    """A plain socket for an address that was checked."""
    return socket.socket(info[0], info[1], info[2])


class _ResolverForAiohttp(AbstractResolver):
    """Our resolver in the shape that aiohttp wants."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await addresses_of(host, self._resolve)
        ]

    async def close(self) -> None:
        """Nothing of its own to close."""


@dataclass(frozen=True, slots=True)
class GuardedResponse:
    """A whole response."""

    status: int
    """HTTP status, 200 to 299, or 400 and above where the caller asked for it."""
    headers: Mapping[str, str]
    """Lower-case name -> value; values of a repeated header are joined with ", "."""
    body: bytes = field(repr=False)
    """Decompressed; not part of the repr, since it may hold personal data."""


class GuardedClient:
    """HTTP to addresses that tenants give, safe to share between tenants.

    It keeps no cookies, and reads neither proxies nor credentials from the environment. Nothing is opened
    before the first request. Whoever makes it calls `aclose()`.

    Args:
        allow_loopback: lets requests reach loopback, by http too. Only the local stack's settings set it.
        resolve: host name -> addresses; None asks the operating system.
        open_socket: makes sockets for addresses that were checked.
        max_connections: connections at once; further requests wait inside their deadline.
        max_per_host: the same for one host and port, so that one slow receiver can't delay the others.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        resolve: Resolve | None = None,
        open_socket: OpenSocket = open_socket,
        max_connections: int = 200,
        max_per_host: int = 8,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._own_resolver: SystemResolver | None = None
        if resolve is None:
            resolve = self._own_resolver = SystemResolver()
        self._resolve: Resolve = resolve
        self._open_socket = open_socket
        self._max_connections = max_connections
        self._max_per_host = max_per_host
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; requests under way fail. Closing twice does nothing."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if self._own_resolver is not None:
            self._own_resolver.close()

    async def request(
        self,
        method: Method,
        url: str,
        *,
        json: object | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float,
        max_bytes: int,
        raise_for_status: bool = True,
    ) -> GuardedResponse:
        """Send one request and read the whole response. Tries once; redirects are never followed.

        Cancellation closes the connection.

        Args:
            method: HTTP method.
            url: checked as by `validate_public_url`.
            json: sent as UTF-8 JSON; None for no body.
            body: sent as it is, instead of `json`.
            headers: added to ours.
            timeout_s: deadline of everything together: waiting for a connection, name look-up, connecting,
                every byte of the answer.
            max_bytes: largest body after decompression; the rest is not read.
            raise_for_status: whether 400 and above raise. A redirect (3xx) always does.

        Raises:
            InvalidInputError: URL, headers or JSON are malformed.
            AddressBlockedError: the URL or the address it resolves to is not on the public internet.
            RemoteTimeoutError: the deadline passed.
            RemoteStatusError: `data["status"]` is 300 or above.
            ResponseTooLargeError: the body is longer than `max_bytes`.
            RemoteError: anything else that the other side did wrong; `data["cause"]` names its kind.
            None of them repeats the URL, a header or a body.
        """
        target = validate_public_url(url, allow_loopback=self._allow_loopback)
        data, sent_headers = _outgoing(json, body, headers or {})
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._open_session().request(
                    method, target, data=data, headers=sent_headers, allow_redirects=False
                ) as response,
            ):
                return await _read_response(response, max_bytes, raise_for_status=raise_for_status)
        except TimeoutError:
            raise RemoteTimeoutError("the other side did not finish in time", timeout_s=timeout_s) from None
        except (aiohttp.ClientError, OSError) as error:
            raise RemoteError("the request failed", cause=type(error).__name__) from None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                socket_factory=self._checked_socket,
                resolver=_ResolverForAiohttp(self._resolve),
                # one address after the other: aiohappyeyeballs' race swallows errors that are no OSError
                happy_eyeballs_delay=None,
                use_dns_cache=False,
                limit=self._max_connections,
                limit_per_host=self._max_per_host,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                max_line_size=_MAX_FIELD_BYTES,
                max_field_size=_MAX_FIELD_BYTES,
                max_headers=_MAX_RESPONSE_HEADERS,
            )
        return self._session

    def _checked_socket(self, info: AddrInfo) -> socket.socket:
        # aiohttp calls this with the very address that it connects the socket to
        check_address(str(info[4][0]), allow_loopback=self._allow_loopback)
        return self._open_socket(info)


def _outgoing(
    json: object | None, body: bytes | None, headers: Mapping[str, str]
) -> tuple[bytes | None, dict[str, str]]:
    sent = {"User-Agent": "parley", "Accept-Encoding": "gzip, deflate"}
    if json is not None:
        sent["Content-Type"] = "application/json"
        try:
            body = dumps(json, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError):
            raise InvalidInputError("the request's body can't be written as JSON") from None
    for name, value in headers.items():
        if not (name + value).isprintable():
            raise InvalidInputError("a header holds control characters")
        sent[name] = value
    return body, sent


async def _read_response(
    response: aiohttp.ClientResponse, max_bytes: int, *, raise_for_status: bool
) -> GuardedResponse:
    status = response.status
    if 300 <= status < 400:
        raise RemoteStatusError("the other side answered with a redirect; none is followed", status=status)
    if status >= 400 and raise_for_status:
        raise RemoteStatusError("the other side answered with an error", status=status)
    body = bytearray()
    if (response.content_length or 0) > max_bytes:
        raise ResponseTooLargeError("the response is too long", max_bytes=max_bytes)
    async for chunk in response.content.iter_any():  # decompressed by aiohttp in bounded steps
        body += chunk
        if len(body) > max_bytes:
            raise ResponseTooLargeError("the response is too long", max_bytes=max_bytes)
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return GuardedResponse(status=status, headers=headers, body=bytes(body))
