"""The door: every provider request is counted, checked for a key, and met by the faults of the handshake."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from local_stack.engines.load_model.faults import ActiveFault, Target
from local_stack.engines.load_model.state import LoadModel
from local_stack.engines.load_model.vendor_errors import Refused
from local_stack.engines.load_model.wire import Broken, HttpWire, SocketWire

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_MESSAGE_BYTES = 4 * 1024 * 1024


def api_key(request: web.Request) -> str:
    """The key a request came with, in any of the vendors' ways; empty without one.

    Deepgram: `Authorization: Token K` (browsers: subprotocols `token, K`). OpenAI and Azure tokens: `Bearer
    K`. ElevenLabs: `xi-api-key`. Azure: `Ocp-Apim-Subscription-Key`.
    """
    for header in ("xi-api-key", "Ocp-Apim-Subscription-Key"):
        if key := request.headers.get(header, "").strip():
            return key
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in {"token", "bearer"}:
        return key.strip()
    first, _, second = request.headers.get("Sec-WebSocket-Protocol", "").partition(",")
    return second.strip() if first.strip().lower() in {"token", "bearer"} else ""


@asynccontextmanager
async def visit(
    request: web.Request, model: LoadModel, target: Target, *, upgrade: bool = False
) -> AsyncIterator[ActiveFault | None]:
    """Let a request in for the length of the block; yields the fault it carries, if any.

    Args:
        upgrade: a websocket, whose pieces of work meet the other faults later.

    Raises:
        Refused: no key (401), or a `status` fault.
        Broken: `refuse_handshake`, or a `stall` that was let go.
    """
    count = model.counters.of(target)
    count.requests += 1
    count.open += 1
    if request.transport is not None:
        model.open_connections[id(request)] = (target, request.transport)
    try:
        if not target.key:
            raise Refused(target.vendor, 401, "Missing credentials: any non-empty key will do.")
        fault = model.faults.strike(target, "handshake" if upgrade else None)
        if fault is not None:
            count.faults += 1
            await _meet_at_the_door(request, model, target, fault)
        if not upgrade:
            count.work += 1
        yield fault
    finally:
        count.open -= 1
        model.open_connections.pop(id(request), None)


async def _meet_at_the_door(
    request: web.Request, model: LoadModel, target: Target, fault: ActiveFault
) -> None:
    if fault.kind == "status":
        raise Refused(target.vendor, fault.rule.status, retry_after_s=fault.rule.retry_after_s)
    if fault.kind == "refuse_handshake":
        if request.transport is not None:
            request.transport.abort()
        raise Broken
    if fault.kind == "stall" and fault.immediate:
        await HttpWire(request, web.StreamResponse(), model.faults).hold()
        raise Broken


@asynccontextmanager
async def socket_visit(
    request: web.Request,
    model: LoadModel,
    target: Target,
    *,
    counts_sent: bool = True,
    headers: Mapping[str, str],
) -> AsyncIterator[tuple[web.WebSocketResponse, SocketWire, ActiveFault | None]]:
    """Let a websocket in and open it: the socket, its way out, and the fault that all of its work carries."""
    async with visit(request, model, target, upgrade=True) as fault:
        ws = web.WebSocketResponse(
            compress=False, max_msg_size=MAX_MESSAGE_BYTES, protocols=("token", "bearer")
        )
        ws.headers.update(headers)
        await ws.prepare(request)
        wire = SocketWire(request, ws, model.faults, counts_sent=counts_sent)
        if fault is not None and fault.kind == "close" and fault.immediate:
            wire.abort()
            raise Broken
        yield ws, wire, fault


async def answer_json(
    request: web.Request,
    model: LoadModel,
    body: Mapping[str, Any],
    fault: ActiveFault | None,
    headers: Mapping[str, str],
) -> web.StreamResponse:
    """Answer with a JSON object, as whole as `fault` lets it be."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", **headers})
    await response.prepare(request)
    await HttpWire(request, response, model.faults).content(json.dumps(body), fault)
    return response
