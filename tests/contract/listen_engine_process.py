"""The speech-to-text engine as a real process, and recordings to speak to it. Used by test_listen_engine_*."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import httpx
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment

from tests.parts import data_folder

RATE_HZ = 16_000
SILENCE = bytes(2 * RATE_HZ)
"""One second."""

_LONGER_THAN_IDLE_S = 20

KEY = {"Authorization": "Token any-key"}

ROOMS = {
    "texts": [
        "You have reached Harbor Meeting Rooms. How can I help you?",
        "We rent meeting rooms in mountain view and in palo alto, by the half hour.",
        "How many people are coming? We have rooms for two people and rooms for twelve people.",
    ],
    "keyterms": ["book a room", "mountain view", "half an hour", "two people"],
}
"""What an agent that rents out rooms publishes."""

WEATHER = "what's the weather like"
"""Said in the recording `weather`."""

TURNS = {
    "turn1_book_a_room": "book a room",
    "turn2_mountain_view": "mountain view",
    "turn3_today": "today",
    "turn4_230pm": "two thirty p.m.",
    "turn5_half_an_hour": "half an hour",
    "turn6_two_people": "two people",
}
"""Recordings of one caller, and what they are heard as."""


@contextmanager
def running_engine(*arguments: str, may_complain: bool = False) -> Iterator[str]:
    """An engine process; yields `http://host:port` and ends it after, which must go well.

    Args:
        may_complain: it may write to standard error.
    """
    command = [sys.executable, "-m", "local_stack.engines.listen", *arguments]
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints) as process,
    ):
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            yield f"http://127.0.0.1:{ready['port']}"
        finally:
            process.terminate()
        assert process.wait(10) == 0
        complaints.seek(0)
        complaint = complaints.read()
        assert may_complain or complaint == ""
        assert "Traceback" not in complaint


def teach_rooms(url: str) -> None:
    """Let the engine build the language of `agent:rooms`."""
    answer = httpx.put(f"{url}/local/language-models/rooms", json=ROOMS, timeout=60)
    assert answer.status_code == 200, answer.text


def recording(name: str) -> bytes:
    """16 kHz linear16 PCM of a recording."""
    with wave.open(str(data_folder() / "speech" / f"{name}.wav")) as wav:
        return wav.readframes(wav.getnframes())


def wav_file(name: str) -> bytes:
    """A recording as it lies there."""
    return (data_folder() / "speech" / f"{name}.wav").read_bytes()


@asynccontextmanager
async def sdk(engine: str, key: str = "any-key") -> AsyncIterator[AsyncDeepgramClient]:
    """The official client; it leaves closing its HTTP connections to whoever gave it the HTTP client."""
    host = engine.removeprefix("http://")
    environment = DeepgramClientEnvironment(
        base=engine, production=f"ws://{host}", agent=f"ws://{host}", agent_rest=engine
    )
    async with httpx.AsyncClient() as http:
        yield AsyncDeepgramClient(api_key=key, environment=environment, httpx_client=http)


@asynccontextmanager
async def bare(
    http: aiohttp.ClientSession, url: str, query: str = "", *, version: int = 1
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket without a client library; the whole block has 20 s."""
    async with (
        asyncio.timeout(_LONGER_THAN_IDLE_S),
        http.ws_connect(f"{url}/v{version}/listen?{query}", headers=KEY) as socket,
    ):
        yield socket


async def say(socket: aiohttp.ClientWebSocketResponse, *sounds: bytes, message_bytes: int = 1600) -> None:
    for pcm in sounds:
        for start in range(0, len(pcm), message_bytes):
            await socket.send_bytes(pcm[start : start + message_bytes])


async def messages_until_close(socket: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    return [json.loads(message.data) async for message in socket]


def finals(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message for message in messages if message["type"] == "Results" and message["is_final"]]


def transcript(result: dict[str, Any]) -> str:
    return str(result["channel"]["alternatives"][0]["transcript"])
