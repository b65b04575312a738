"""The last step before the network: content goes out whole, or a fault does to it what it does.

A handler sends content by `content(...)` with the fault of its request or piece of work; everything that is
no content (handshakes, keep-alives, metadata) goes out directly.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from abc import ABC, abstractmethod

from aiohttp import web

from local_stack.engines.load_model.faults import ActiveFault, FaultTable

GARBAGE_TEXT = '{"type":"Results","channel":{"altern\\u00'
"""A complete message that is no JSON."""

GARBAGE_PAGE = "<html><head><title>502 Bad Gateway</title></head><body>upstream error</body></html>"
"""What a broken proxy puts in the place of audio, with status 200."""

MAX_HOLD_S = 120.0
"""No stall holds a connection for longer, so that stalls with clients that gave up can't pile up."""

_KEEP_ALIVE_PERIOD_S = 1.0
_TEXT, _BINARY = 0x1, 0x2


class Broken(Exception):  # noqa: N818  (an outcome that a fault rule intends, not a failure of ours)
    """A fault ended the connection; nothing more can be sent on it."""


class FaultyWire(ABC):
    """One connection's way out.

    Args:
        transport: of the connection, for cuts and resets.
        faults: the table whose replacement lets a held connection go.
        counts_sent: whether a fault's `after_bytes` counts what is sent here (not what was received).
    """

    def __init__(
        self, transport: asyncio.Transport | None, faults: FaultTable, *, counts_sent: bool = True
    ) -> None:
        self._transport = transport
        self._faults = faults
        self._counts_sent = counts_sent
        self.stalled = False
        """Set while a stall holds the connection: its reader must stop reading then."""

    async def content(self, payload: str | bytes, fault: ActiveFault | None) -> bool:
        """Send one content message; text or binary as it comes.

        Returns:
            Whether it went out unharmed.

        Raises:
            Broken: a fault ended the connection (after a stall: once the rules were replaced).
            ConnectionError: the client is gone.
        """
        if fault is None:
            await self._send(payload)
            return True
        if fault.due and not await self._survives(payload, fault):
            return False
        await self._send(payload)
        fault.passed(chunks=1, payload_bytes=len(payload) if self._counts_sent else 0)
        return True

    async def hold(self) -> None:
        """Keep the connection open and dead until the rules are replaced (at most 2 min); then reset it."""
        self.stalled = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._faults.replaced.wait(), MAX_HOLD_S)
        self.abort()

    def abort(self) -> None:
        """Reset the connection; what was not sent yet is lost."""
        if self._transport is not None:
            self._transport.abort()

    async def _survives(self, payload: str | bytes, fault: ActiveFault) -> bool:
        match fault.kind:
            case "silent":
                await self._silence()
                return False
            case "garbage":
                await self._send(self._garbage())
                return False
            case "close":
                self.abort()
                raise Broken
            case "half_chunk":
                await self._send_half(payload)
                raise Broken
            case "stall":
                await self.hold()
                raise Broken
            case _:
                return True

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    @abstractmethod
    async def _send(self, payload: str | bytes) -> None: ...

    @abstractmethod
    async def _send_half(self, payload: str | bytes) -> None:
        """Send a message that breaks off in its middle, and end the connection."""

    @abstractmethod
    async def _silence(self) -> None:
        """What happens in place of one content message that is kept back."""

    @abstractmethod
    def _garbage(self) -> str | bytes: ...


class SocketWire(FaultyWire):
    """The sending side of a websocket."""

    def __init__(
        self, request: web.Request, ws: web.WebSocketResponse, faults: FaultTable, *, counts_sent: bool = True
    ) -> None:
        super().__init__(request.transport, faults, counts_sent=counts_sent)
        self._ws = ws

    async def close(self) -> None:
        """Close the socket with a goodbye (1000), unless a stall holds it; its reader ends then."""
        if not self.stalled:
            await self._ws.close()

    async def hold(self) -> None:
        """Also stop reading, so that not even a ping is answered; nor is it noticed when the client leaves."""
        if self._transport is not None:
            self._transport.pause_reading()
        await super().hold()

    async def _send(self, payload: str | bytes) -> None:
        if isinstance(payload, str):
            await self._ws.send_str(payload)
        else:
            await self._ws.send_bytes(payload)

    async def _send_half(self, payload: str | bytes) -> None:
        opcode = _TEXT if isinstance(payload, str) else _BINARY
        body = payload.encode() if isinstance(payload, str) else payload
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_frame_header(opcode, len(body)) + body[: len(body) // 2])
        self._close()

    async def _silence(self) -> None:
        return

    def _garbage(self) -> str:
        return GARBAGE_TEXT


class HttpWire(FaultyWire):
    """The body of a chunked HTTP answer.

    Args:
        keep_alive: sent every second in place of content that `silent` keeps back; empty sends nothing.
        garbage: sent in place of content by `garbage`.
    """

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        faults: FaultTable,
        *,
        keep_alive: bytes = b"",
        garbage: bytes = GARBAGE_TEXT.encode(),
    ) -> None:
        super().__init__(request.transport, faults)
        self._response = response
        self._keep_alive = keep_alive
        self._garbage_bytes = garbage

    async def _send(self, payload: str | bytes) -> None:
        await self._response.write(payload.encode() if isinstance(payload, str) else payload)

    async def _send_half(self, payload: str | bytes) -> None:
        await self._send(payload[: len(payload) // 2])
        self._close()

    async def _silence(self) -> None:
        replaced = self._faults.replaced
        while not replaced.is_set():
            if self._keep_alive:
                await self._response.write(self._keep_alive)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(replaced.wait(), _KEEP_ALIVE_PERIOD_S)
        self.abort()
        raise Broken

    def _garbage(self) -> bytes:
        return self._garbage_bytes


def _frame_header(opcode: int, length: int) -> bytes:
    """Header of an unmasked final websocket frame (RFC 6455 section 5.2)."""
    first = 0x80 | opcode
    if length < 126:
        return bytes((first, length))
    if length < 1 << 16:
        return bytes((first, 126)) + struct.pack("!H", length)
    return bytes((first, 127)) + struct.pack("!Q", length)
