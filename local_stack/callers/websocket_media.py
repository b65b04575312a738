"""A synthetic caller's end of the WebSocket media protocol (edge_agents/transport/media_protocol.py)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import numpy as np

from edge_agents.audio.speech_edges import Pcm
from local_stack.callers.media import CallOver
from shared.errors import CallRefusedError, MediaError

ANSWER_TIMEOUT_S: Final = 10.0
"""From the first byte of the connection to `ready`."""
_CLOSE_TIMEOUT_S: Final = 2.0
_REASONS: Final = {401: "unauthorised", 404: "unknown_tenant", 409: "call_exists", 503: "unavailable"}


class WebSocketMedia:
    """CallerMedia over a WebSocket.

    Args:
        url: `ws://host:port/v1/media?token=…`.
        http: session that makes the connection; not owned, may be shared by many callers.
        clock: monotonic seconds.
    """

    def __init__(
        self, url: str, *, http: aiohttp.ClientSession, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._http = http
        self._clock = clock
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._receiver: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[float] | None = None
        self._over: CallOver | None = None
        self._on_audio: Callable[[Pcm, float], None] = lambda _pcm, _at_s: None
        self._on_clear: Callable[[float], None] = lambda _at_s: None

    @property
    def over(self) -> CallOver | None:
        """How the call ended, or None while it goes on."""
        return self._over

    async def connect(
        self, *, on_audio: Callable[[Pcm, float], None], on_clear: Callable[[float], None]
    ) -> float:
        """Open the socket, say `start`, wait for `ready`."""
        self._on_audio, self._on_clear = on_audio, on_clear
        self._ready = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                self._socket = await self._open()
                await self._socket.send_str('{"type":"start","sample_rate":16000}')
                self._receiver = asyncio.create_task(self._receive(self._socket), name="caller-receiver")
                return await self._ready
        except TimeoutError:
            raise MediaError(f"the agent did not answer within {ANSWER_TIMEOUT_S:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise MediaError("the agent can't be reached") from error

    async def send(self, pcm: Pcm) -> None:
        """Send what the microphone took."""
        await self._say(lambda socket: socket.send_bytes(pcm.astype("<i2", copy=False).tobytes()))

    async def send_dtmf(self, digit: str) -> None:
        """Press a key."""
        await self._say(lambda socket: socket.send_str(json.dumps({"type": "dtmf", "digit": digit})))

    async def hang_up(self) -> None:
        """Say `stop` and close."""
        if self._over is None:
            await self._say(lambda socket: socket.send_str('{"type":"stop"}'))
            self._end(CallOver(ended_by_agent=False, reason=""))
        await self.aclose()

    async def aclose(self) -> None:
        """Close the socket."""
        self._end(CallOver(ended_by_agent=False, reason=""))
        if self._socket is not None:
            with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await self._socket.close()
        if self._receiver is not None:
            self._receiver.cancel()
            await asyncio.gather(self._receiver, return_exceptions=True)
        if self._ready is not None and self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # a refusal that nobody waited for is no unhandled error

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        try:
            return await self._http.ws_connect(self._url, compress=0, max_msg_size=1024 * 1024)
        except aiohttp.WSServerHandshakeError as error:
            raise CallRefusedError(
                f"the call was refused with HTTP status {error.status}",
                status=error.status,
                # the body of a failed handshake is not readable, here as in browsers
                reason=_REASONS.get(error.status, "refused"),
            ) from None

    async def _say(self, send: Callable[[aiohttp.ClientWebSocketResponse], Any]) -> None:
        if self._socket is None or self._over is not None:
            return
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            # a broken connection is reported by the receiver
            await send(self._socket)

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    self._on_audio(np.frombuffer(message.data, "<i2").astype(np.int16), self._clock())
                elif message.type is aiohttp.WSMsgType.TEXT:
                    self._take(json.loads(message.data))
        finally:
            self._end(CallOver(ended_by_agent=True, reason="lost"))

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "ready":
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(self._clock())
            case "clear":
                self._on_clear(self._clock())
            case "ended":
                self._end(CallOver(ended_by_agent=True, reason=str(message["reason"])))
            case "error":
                reason = str(message.get("reason") or message["code"])
                self._end(CallOver(ended_by_agent=True, reason=reason))

    def _end(self, over: CallOver) -> None:
        if self._over is None:
            self._over = over
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(
                CallRefusedError("the call ended before it began", reason=self._over.reason)
            )
