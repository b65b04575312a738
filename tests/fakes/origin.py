"""A small HTTP server on loopback that answers as badly as a test wants, and counts who came."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Writes an answer to a request whose head and body were read; the connection is then closed."""


class Origin:
    """What a test knows of a running server."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[tuple[str, bytes]] = []
        """Head and body of each request."""
        self._arrivals: asyncio.Queue[None] = asyncio.Queue()

    def note(self, head: str, body: bytes) -> None:
        """A request is here."""
        self.requests.append((head, body))
        self._arrivals.put_nowait(None)

    async def arrival(self) -> None:
        """Wait for one more request than was waited for so far."""
        await self._arrivals.get()

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        """Root of the server under some name."""
        return f"{scheme}://{host}:{self.port}/"


@asynccontextmanager
async def serving(
    answer: Answer, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Origin]:
    """Serve `answer` to every request until the block ends; connections still open are then cut."""
    origin = Origin()
    tasks: set[asyncio.Task[None]] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        origin.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
            body = await reader.readexactly(int(length[0].split(":")[1])) if length else b""
            origin.note(head, body)
            await answer(writer)
            writer.close()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            if not writer.is_closing():
                writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve_one(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, host, 0, ssl=tls)
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
    finally:
        server.close()
        for task in set(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def whole(body: bytes, *, status: str = "200 OK", headers: str = "") -> Answer:
    """An answer with a Content-Length. `headers` are complete lines with their line ends."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode("latin-1") + body)
        await writer.drain()

    return answer


def endless(piece: bytes, *, pause_s: float = 0.0, headers: str = "") -> Answer:
    """An answer without a length that never ends."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\n{headers}Connection: close\r\n\r\n".encode("latin-1"))
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return answer


async def silent(writer: asyncio.StreamWriter) -> None:
    """Take the request and never answer."""
    await asyncio.Event().wait()
