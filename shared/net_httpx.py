"""The guarded way out for `openai.AsyncOpenAI`, which brings its own HTTP client (httpx2).

Same rules as shared/net.py: the URL is checked by its text before each request, and each connection is made
to an address that was checked, after the name was resolved for the last time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

import httpcore2
import httpx2

from shared.errors import AddressBlockedError, RemoteError, ResponseTooLargeError
from shared.net import Resolve, SystemResolver, addresses_of
from shared.net_rules import check_address, validate_public_url

MAX_CONNECTIONS: Final = 100
MAX_ADDRESSES_TRIED: Final = 4
"""Addresses of one name that are tried, one after the other."""
DEFAULT_TOTAL_S: Final = 120.0
DEFAULT_MAX_BYTES: Final = 8 * 1024 * 1024


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves a host, checks every answer and connects to one of them by its address.

    TLS still checks the certificate against the host name: httpcore2 takes that from the URL.

    Args:
        allow_loopback: lets connections reach loopback.
        resolve: host name -> addresses.
        inner: opens the connections; always given an IP address, never a name.
    """

    def __init__(
        self, *, allow_loopback: bool, resolve: Resolve, inner: httpcore2.AsyncNetworkBackend
    ) -> None:
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect; `timeout` covers the look-up and all attempts.

        Raises:
            AddressBlockedError: one of the host's addresses is not public; none is then connected to.
            httpcore2.ConnectError: no address, or none answers.
            httpcore2.ConnectTimeout: `timeout` passed.
        """
        try:
            async with asyncio.timeout(timeout):
                addresses = await addresses_of(host, self._resolve)
                for address in addresses:
                    check_address(address, allow_loopback=self._allow_loopback)
                failure: Exception = httpcore2.ConnectError("no address")
                for address in addresses[:MAX_ADDRESSES_TRIED]:
                    try:
                        return await self._inner.connect_tcp(
                            address, port, None, local_address, socket_options
                        )
                    except httpcore2.ConnectError as error:
                        failure = error
                raise failure
        except TimeoutError:
            raise httpcore2.ConnectTimeout("connecting took too long") from None
        except OSError:
            raise httpcore2.ConnectError("the host does not resolve") from None

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Always refused."""
        raise AddressBlockedError("a socket file is not on the public internet")

    async def sleep(self, seconds: float) -> None:
        """Pause between a pool's own attempts."""
        await asyncio.sleep(seconds)


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's own transport over a pool whose connections are checked.

    Args:
        backend: opens the connections.
        resolver: closed with the transport, when it is ours.
        allow_loopback: lets URLs name loopback, by http too.
        total_s: deadline of one request together with its whole response, however it trickles.
        max_bytes: largest response body.
    """

    def __init__(
        self,
        *,
        backend: httpcore2.AsyncNetworkBackend,
        resolver: SystemResolver | None,
        allow_loopback: bool,
        total_s: float,
        max_bytes: int,
    ) -> None:
        super().__init__(trust_env=False)
        # httpx2 has no parameter for the backend. Were this attribute ever renamed, the assertion stops the
        # process at start instead of leaving an unguarded pool in use.
        if not isinstance(self._pool, httpcore2.AsyncConnectionPool):
            raise TypeError("httpx2's transport no longer keeps its connections in _pool")
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False),
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=60.0,
            network_backend=backend,
        )
        self._resolver = resolver
        self._allow_loopback = allow_loopback
        self._total_s = total_s
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request.

        Raises:
            InvalidInputError, AddressBlockedError: the URL or its address is refused; nothing was sent.
            RemoteError: the response is compressed although we did not offer it.
            httpx2.TimeoutException: an operation's timeout or the total deadline passed.
            httpx2.TransportError: anything else that went wrong on the way.
        """
        validate_public_url(str(request.url), allow_loopback=self._allow_loopback)
        # a compressed body would be inflated by httpx2 without a bound
        request.headers["Accept-Encoding"] = "identity"
        deadline_s = asyncio.get_running_loop().time() + self._total_s
        try:
            async with asyncio.timeout_at(deadline_s):
                response = await super().handle_async_request(request)
        except TimeoutError:
            raise httpx2.ReadTimeout("the response did not begin in time", request=request) from None
        # neither can be used: a client's user may turn redirects on, and httpx2 always keeps cookies
        for name in ("location", "set-cookie"):
            response.headers.pop(name, None)
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await stream.aclose()
            raise RemoteError("the response is compressed, which was not asked for")
        response.stream = _BoundedStream(stream, request, deadline_s=deadline_s, max_bytes=self._max_bytes)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await super().aclose()
        if self._resolver is not None:
            self._resolver.close()


class _BoundedStream(httpx2.AsyncByteStream):
    """A response body that ends, with an error if need be, at a deadline and at a length."""

    def __init__(
        self, inner: httpx2.AsyncByteStream, request: httpx2.Request, *, deadline_s: float, max_bytes: int
    ) -> None:
        self._inner = inner
        self._request = request
        self._deadline_s = deadline_s
        self._max_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._inner)
        read_bytes = 0
        while True:
            try:
                # not around the yield: the deadline must not cancel whoever consumes the chunk
                async with asyncio.timeout_at(self._deadline_s):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError:
                await self.aclose()
                raise httpx2.ReadTimeout("the response did not end in time", request=self._request) from None
            read_bytes += len(chunk)
            if read_bytes > self._max_bytes:
                await self.aclose()
                raise ResponseTooLargeError("the response is too long", max_bytes=self._max_bytes)
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def guarded_httpx_client(
    *,
    allow_loopback: bool,
    timeout_s: float,
    total_s: float = DEFAULT_TOTAL_S,
    max_bytes: int = DEFAULT_MAX_BYTES,
    resolve: Resolve | None = None,
    inner: httpcore2.AsyncNetworkBackend | None = None,
) -> httpx2.AsyncClient:
    """An httpx2 client that reaches only public addresses, for `openai.AsyncOpenAI(http_client=...)`.

    No redirects, no cookies, no proxies, nothing from the environment, no compression. `AddressBlockedError`,
    `InvalidInputError` and `ResponseTooLargeError` come out as they are, through openai's client too;
    timeouts are httpx2's, which openai and LiveKit know. Whoever makes it calls `aclose()`, which openai's
    `close()` does too.

    Args:
        allow_loopback: lets requests reach loopback, by http too. Only the local stack's settings set it.
        timeout_s: for each of connecting, one read, one write, waiting for a connection.
        total_s: deadline of one request with its whole, perhaps streamed, response.
        max_bytes: largest response body.
        resolve: host name -> addresses; None asks the operating system.
        inner: opens the checked connections; None is anyio.
    """
    resolver = None
    if resolve is None:
        resolve = resolver = SystemResolver()
    backend = GuardedBackend(
        allow_loopback=allow_loopback, resolve=resolve, inner=inner or httpcore2.AnyIOBackend()
    )
    transport = GuardedTransport(
        backend=backend,
        resolver=resolver,
        allow_loopback=allow_loopback,
        total_s=total_s,
        max_bytes=max_bytes,
    )
    return httpx2.AsyncClient(transport=transport, timeout=timeout_s, trust_env=False, follow_redirects=False)
