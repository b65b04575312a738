"""HTTP answers that carry speech."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from local_stack.engines.tts.speech import Emit

Speak = Callable[[Emit], Awaitable[None]]
"""Emits the pieces of an answer, in order."""


async def stream_response(
    request: web.Request, headers: Mapping[str, str], speak: Speak
) -> web.StreamResponse:
    """Answer with raw PCM, chunked, while it is synthesised.

    The status line waits for the first piece, so that a synthesis that fails at once can still be answered with
    an error. One that fails later breaks the chunked body off: the client sees an incomplete answer, not a short
    one.

    Raises:
        SynthesisError: the library failed.
    """
    response = web.StreamResponse(headers=headers)

    async def emit(piece: bytes) -> None:
        if not response.prepared:
            await response.prepare(request)
        await response.write(piece)

    with contextlib.suppress(ConnectionResetError):  # the client has gone: so has the need to speak
        await speak(emit)
        if not response.prepared:
            await response.prepare(request)
        await response.write_eof()
    return response


async def collect_pcm(speak: Speak) -> bytes:
    """All audio of an answer that must begin with its length.

    Raises:
        SynthesisError: the library failed.
    """
    pcm = bytearray()

    async def emit(piece: bytes) -> None:
        pcm.extend(piece)

    await speak(emit)
    return bytes(pcm)
