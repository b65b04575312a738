"""What the front process and a decoder process say to each other over two pipes.

Every message is a JSON head and a body of bytes:

    head length | body length | head | body          (lengths: 4 bytes, big-endian)

The front asks, the worker answers; one question at a time.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

RATE_HZ = 16_000
"""Of all audio on the pipes, linear 16-bit mono: what the acoustic model was trained on."""

GENERAL = "general"
"""The language model that every decoder process knows: the American English that pocketsphinx comes with."""

BYTES_PER_S = RATE_HZ * 2

_LENGTHS = struct.Struct(">II")

Head = dict[str, Any]

KeytermEntry = tuple[str, Sequence[str]]
"""A keyterm as a decoder learns it: its words, joined by blanks, and the phones of each way to say it."""


def pack(head: Head, body: bytes = b"") -> bytes:
    """One message."""
    text = json.dumps(head, separators=(",", ":")).encode()
    return b"".join((_LENGTHS.pack(len(text), len(body)), text, body))


def read_message(stream: BinaryIO) -> tuple[Head, bytes] | None:
    """The next message, None when the other side closed the pipe."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head_bytes, body_bytes = _LENGTHS.unpack(lengths)
    head, body = stream.read(head_bytes), stream.read(body_bytes)
    if len(head) < head_bytes or len(body) < body_bytes:
        return None
    return json.loads(head), body


async def receive_message(stream: asyncio.StreamReader) -> tuple[Head, bytes]:
    """The next message.

    Raises:
        asyncio.IncompleteReadError: the other side closed the pipe.
    """
    head_bytes, body_bytes = _LENGTHS.unpack(await stream.readexactly(_LENGTHS.size))
    head = json.loads(await stream.readexactly(head_bytes))
    return head, await stream.readexactly(body_bytes)
