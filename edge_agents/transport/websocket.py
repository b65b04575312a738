"""A caller's audio over a WebSocket: the transport of the embedded stack, and of browsers without WebRTC.

    HTTP upgrade ─► start (5 s) ─► transport handed to the host ─► attach: ready ─► audio both ways ─► ended, close
         │               │
         └ 401/409/503   └ error, close

What is said on the wire stands in media_protocol.py, how audio waits in queued_input.py and paced_output.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from aiohttp import ClientError, WSMessage, WSMsgType, web
from livekit.agents import AgentSession

from edge_agents.transport import media_protocol as protocol
from edge_agents.transport.media_protocol import MediaProtocolError
from edge_agents.transport.paced_output import PacedOutput
from edge_agents.transport.port import DisconnectReason
from edge_agents.transport.queued_input import QueuedInput
from shared.domain.call import EndReason, Media, RefusalReason
from shared.errors import CallRefusedError, InvalidInputError, TokenError, TrackNotPublishedError
from shared.media_token import MIN_SECRET_BYTES, MediaClaims, verify_media_token
from shared.names import Attribute

log = structlog.get_logger(__name__)

READY_TIMEOUT_S: Final = 2.0
"""`ready` must leave within this (port.py: a caller never sits in silence)."""
_SEND_TIMEOUT_S: Final = 5.0
"""A client that takes no data for so long is gone."""
_CLOSE_TIMEOUT_S: Final = 2.0
"""A client that does not answer the closing handshake gets no more time."""
_HEARTBEAT_S: Final = 15.0
"""Pings find connections that died without a word."""
_HARD_MESSAGE_LIMIT_BYTES: Final = 256 * 1024
"""aiohttp closes the socket on larger messages; between 64 KiB and this the client is told why."""
_MAX_EARLY_KEYS: Final = 32
"""DTMF keys kept until somebody listens."""
_RETRY_AFTER_S: Final = 2


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may be silent."""

    start_s: float = 5.0
    """From the upgrade to `start`."""
    audio_s: float = 30.0
    """Clients send audio all the time; one that has sent none for so long is gone."""


PATIENCE: Final = Patience()


class WebSocketTransport:
    """One caller's socket after `start`, as a MediaTransport.

    Args:
        socket: prepared WebSocket; closed by `aclose`.
        attributes: what our side signed; holds Attribute.CALL_ID.
        clock: monotonic seconds; the latency probe must use the same.
        patience: how long the client may be silent.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        *,
        attributes: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        patience: Patience = PATIENCE,
    ) -> None:
        self._socket = socket
        self._attributes = dict(attributes)
        self._clock = clock
        self._patience = patience
        self._input = QueuedInput(sample_rate_hz=protocol.SAMPLE_RATE_HZ, frame_s=protocol.FRAME_S)
        self._output = PacedOutput(self, clock=clock)
        self._gone: asyncio.Future[DisconnectReason] = asyncio.get_running_loop().create_future()
        self._dtmf: Callable[[str], None] | None = None
        self._early_keys: deque[str] = deque(maxlen=_MAX_EARLY_KEYS)
        self._receiver: asyncio.Task[None] | None = None
        self._last_audio_s = clock()
        self._closed = False

    def start(self) -> None:
        """Begin to receive. Audio from before `attach` is kept for 3 s."""
        if self._receiver is None:
            self._receiver = asyncio.create_task(self._receive(), name="media-receiver")

    # --- MediaTransport

    @property
    def media(self) -> Media:
        """Kind of carrier."""
        return Media.WEBSOCKET

    @property
    def attributes(self) -> Mapping[str, str]:
        """What our side signed."""
        return self._attributes

    async def attach(self, session: AgentSession[Any]) -> None:
        """Tell the caller that the agent is there, and connect both directions to the session.

        A caller who is gone already is not an error here: `wait_disconnected` says so.

        Raises:
            TrackNotPublishedError: the socket did not take the first message within 2 s.
        """
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await self._send(self._socket.send_str(protocol.ready(self._attributes[Attribute.CALL_ID])))
        except TimeoutError:
            raise TrackNotPublishedError("the caller's socket takes no data") from None
        session.input.audio = self._input
        session.output.audio = self._output
        self._output.start()

    def on_dtmf(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with each key, first with those pressed before."""
        self._dtmf = handler
        while self._early_keys:
            handler(self._early_keys.popleft())

    async def wait_disconnected(self) -> DisconnectReason:
        """Wait for the caller's side to go away."""
        return await asyncio.shield(self._gone)

    async def aclose(self, reason: EndReason) -> None:
        """Tell the caller why, close the socket, end both directions. Closing twice does nothing."""
        await self._close(protocol.ended(reason))

    # --- beyond the port

    async def refuse(self, refusal: CallRefusedError) -> None:
        """Tell the caller that there will be no call, and close."""
        body = {
            "type": "error",
            "code": refusal.code,
            "message": refusal.message,
            "reason": refusal.data.get("reason", ""),
        }
        await self._close(json.dumps(body))

    # --- FrameSink

    async def send_audio(self, pcm: bytes) -> None:
        """Send one frame to the caller."""
        await self._send(self._socket.send_bytes(pcm))

    async def send_clear(self) -> None:
        """Tell the caller to drop what was not played."""
        await self._send(self._socket.send_str(protocol.clear()))

    # --- inside

    async def _send(self, sending: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                await sending
        except (TimeoutError, ConnectionError, ClientError):
            self._set_gone(DisconnectReason.LOST)

    async def _close(self, last_words: str) -> None:
        if self._closed:
            return
        self._closed = True
        self._set_gone(DisconnectReason.CLOSED)
        await self._output.close()
        # a client that takes no data or does not answer must not hold the call's resources
        with contextlib.suppress(TimeoutError, ConnectionError, ClientError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                if not self._socket.closed:
                    await self._socket.send_str(last_words)
                await self._socket.close()
        if self._receiver is not None:
            self._receiver.cancel()
            await asyncio.gather(self._receiver, return_exceptions=True)

    def _set_gone(self, reason: DisconnectReason) -> None:
        self._input.end()
        if not self._gone.done():
            self._gone.set_result(reason)

    async def _receive(self) -> None:
        reason = DisconnectReason.LOST
        watchdog = asyncio.create_task(self._watch_idle(), name="media-idle")
        try:
            while (done := self._take(await self._socket.receive())) is None:
                pass
            reason = done
        except MediaProtocolError as problem:
            log.info("media_protocol_broken", code=problem.wire_code)
            await tell_problem(self._socket, problem)
        finally:
            watchdog.cancel()
            self._set_gone(reason)
            await self._output.close()

    def _take(self, message: WSMessage) -> DisconnectReason | None:
        """One message; a reason when it was the last.

        Raises:
            MediaProtocolError: the client broke the protocol.
        """
        if message.type is WSMsgType.BINARY:
            protocol.check_audio(message.data)
            self._last_audio_s = self._clock()
            self._input.push(message.data, self._last_audio_s)
            return None
        if message.type is WSMsgType.TEXT:
            return self._take_text(message.data)
        in_order = message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING)
        return DisconnectReason.HUNG_UP if in_order else DisconnectReason.LOST

    def _take_text(self, text: str) -> DisconnectReason | None:
        match protocol.parse_text(text):
            case protocol.Dtmf(digit):
                if self._dtmf is None:
                    self._early_keys.append(digit)
                else:
                    self._dtmf(digit)
                return None
            case protocol.Stop():
                return DisconnectReason.HUNG_UP
            case protocol.Start():
                raise MediaProtocolError("unexpected_start", "start was said before")

    async def _watch_idle(self) -> None:
        while True:
            left_s = self._last_audio_s + self._patience.audio_s - self._clock()
            if left_s <= 0:
                self._set_gone(DisconnectReason.LOST)
                return
            await asyncio.sleep(left_s)


class MediaEndpoint:
    """Handler of `GET /v1/media`: checks the token, upgrades, waits for `start`, hands the transport over.

    Args:
        on_call: carries the call; the socket is closed when it returns.
        secret: signs media tokens.
        refusal: why this call can't be taken now, or None.
        clock: monotonic seconds, handed to the transports.
        now: wall clock, UTC, for the tokens.
        patience: how long clients may be silent.

    Raises:
        InvalidInputError: the secret is too short.
    """

    def __init__(
        self,
        *,
        on_call: Callable[[WebSocketTransport], Awaitable[None]],
        secret: str,
        refusal: Callable[[MediaClaims], RefusalReason | None] = lambda _claims: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience: Patience = PATIENCE,
    ) -> None:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise InvalidInputError(f"the media secret needs at least {MIN_SECRET_BYTES} bytes")
        self._on_call = on_call
        self._secret = secret
        self._refusal = refusal
        self._clock = clock
        self._now = now
        self._patience = patience
        self._used: dict[str, datetime] = {}
        self._calls: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one caller until the call is over."""
        try:
            claims = verify_media_token(request.query.get("token", ""), self._secret, self._now())
        except TokenError:
            return _problem(401, "unauthorised", "the token is missing, wrong or too old")
        if claims.call_id in self._used:
            return _problem(409, "call_exists", "this call has had its socket")
        if (reason := self._refusal(claims)) is not None:
            return _refused(reason)
        socket = web.WebSocketResponse(
            timeout=_CLOSE_TIMEOUT_S,
            heartbeat=_HEARTBEAT_S,
            compress=False,
            max_msg_size=_HARD_MESSAGE_LIMIT_BYTES,
        )
        if not socket.can_prepare(request).ok:
            return _problem(426, "websocket_expected", "this address speaks WebSocket only")
        await socket.prepare(request)
        if await _wait_for_start(socket, self._patience.start_s):
            if self._use_up(claims):
                call = asyncio.create_task(self._serve(socket, claims), name="media-call")
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
                # a web server may cancel the handler of a client who has gone; the call ends by itself, in order
                await asyncio.shield(call)
            else:
                await tell_problem(socket, MediaProtocolError("call_exists", "this call has had its socket"))
        return socket

    def _use_up(self, claims: MediaClaims) -> bool:
        """A token opens one call; one whose socket broke before `start` may be tried again."""
        now = self._now()
        # bounded by the tokens issued in an hour, their longest life
        self._used = {call_id: exp for call_id, exp in self._used.items() if exp > now}
        if claims.call_id in self._used:
            return False
        self._used[claims.call_id] = claims.exp
        return True

    async def _serve(self, socket: web.WebSocketResponse, claims: MediaClaims) -> None:
        attributes = {
            Attribute.TENANT_ID: claims.tenant_id,
            Attribute.AGENT_ID: claims.agent_id,
            Attribute.CALL_ID: claims.call_id,
        }
        transport = WebSocketTransport(
            socket, attributes=attributes, clock=self._clock, patience=self._patience
        )
        transport.start()
        try:
            await self._on_call(transport)
        except Exception:
            log.exception("call_failed", call_id=claims.call_id)
        finally:
            # does nothing when the call has ended the media itself
            await transport.aclose(EndReason.INTERNAL_ERROR)


async def _wait_for_start(socket: web.WebSocketResponse, patience_s: float) -> bool:
    try:
        async with asyncio.timeout(patience_s):
            message = await socket.receive()
        if message.type is WSMsgType.TEXT:
            if isinstance(protocol.parse_text(message.data), protocol.Start):
                return True
        elif message.type is not WSMsgType.BINARY:
            return False
        problem = MediaProtocolError("start_expected", "the first message must be start")
    except TimeoutError:
        problem = MediaProtocolError("start_timeout", f"start must come within {patience_s:g} s")
    except MediaProtocolError as error:
        problem = error
    await tell_problem(socket, problem)
    return False


async def tell_problem(socket: web.WebSocketResponse, problem: MediaProtocolError) -> None:
    """Say what the client did wrong, and close with status 1008 (policy violation)."""
    with contextlib.suppress(TimeoutError, ConnectionError, ClientError):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await socket.send_str(protocol.error(problem))
            await socket.close(code=1008, message=problem.wire_code.encode())


def _problem(status: int, code: str, message: str, **more: str) -> web.Response:
    return web.json_response({"code": code, "message": message, **more}, status=status)


def _refused(reason: RefusalReason) -> web.Response:
    if reason is RefusalReason.UNKNOWN_TENANT:
        return _problem(404, "unknown_tenant", "no such tenant")
    response = _problem(503, "call_refused", "no call can be taken now", reason=reason.value)
    response.headers["Retry-After"] = str(_RETRY_AFTER_S)
    return response
