"""The engine's `/v1/speak`, through the official SDK, LiveKit's plugin and bare sockets."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx
import pytest
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types import SpeakV1Flushed, SpeakV1Metadata, SpeakV1Text
from livekit.agents import APIStatusError
from livekit.plugins import deepgram

from tests.contract.tts_engine_process import (
    LONG,
    ONE_TRY,
    SHORT,
    TWO_SENTENCES,
    heard,
    plugin_audio,
    running_engine,
    stream_words,
)

# deepgram-sdk 7.17 imports names that websockets 17 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")

RATE_HZ = 24_000
KEY = {"Authorization": "Token any-key"}


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with running_engine("--voice-engine", "espeak") as url:
        yield url


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


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
async def sdk_socket(engine: str, key: str = "any-key") -> AsyncIterator[Any]:
    async with (
        sdk(engine, key) as client,
        client.speak.v1.connect(model="aura-2-thalia-en", encoding="linear16", sample_rate=RATE_HZ) as socket,
    ):
        yield socket


@asynccontextmanager
async def plugin(engine: str, **options: Any) -> AsyncIterator[deepgram.TTS]:
    async with aiohttp.ClientSession() as session:
        voice = deepgram.TTS(
            **{"api_key": "any-key", "base_url": f"{engine}/v1/speak", "http_session": session, **options}
        )
        yield voice
        await voice.aclose()


class Socket:
    """A bare `/v1/speak` socket: what the official clients don't show."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, kind: str, **fields: str) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def until(self, kind: str) -> tuple[dict[str, Any], bytes]:
        """The next message of a kind, and the audio before it."""
        pcm = b""
        while True:
            frame = await self.socket.receive(timeout=20)
            if frame.type is aiohttp.WSMsgType.BINARY:
                pcm += frame.data
                continue
            assert frame.type is aiohttp.WSMsgType.TEXT, frame
            message = json.loads(frame.data)
            if message["type"] == kind:
                return message, pcm
            assert message["type"] == "Metadata", message

    async def first_audio(self) -> bytes:
        while True:
            frame = await self.socket.receive(timeout=20)
            if frame.type is aiohttp.WSMsgType.BINARY:
                return bytes(frame.data)


@asynccontextmanager
async def bare_socket(http: aiohttp.ClientSession, engine: str, query: str = "") -> AsyncIterator[Socket]:
    async with http.ws_connect(f"{engine}/v1/speak?{query}", headers=KEY) as socket:
        yield Socket(socket)


async def test_the_sdk_hears_the_first_sentence_before_any_flush(engine: str) -> None:
    async with sdk_socket(engine) as socket:
        metadata = await socket.recv()
        assert isinstance(metadata, SpeakV1Metadata)
        assert metadata.model_name == "aura-2-thalia-en"
        for word in ["Hello", "there.", "How"]:
            await socket.send_text(SpeakV1Text(text=f"{word} "))
        assert isinstance(await socket.recv(), bytes)


async def test_the_sdk_gets_one_flushed_per_flush_behind_all_audio(engine: str) -> None:
    async with sdk_socket(engine) as socket:
        await socket.recv()
        for number in range(3):
            await socket.send_text(SpeakV1Text(text=TWO_SENTENCES))
            await socket.send_flush()
            pcm = b""
            while isinstance(message := await socket.recv(), bytes):
                pcm += message
            assert isinstance(message, SpeakV1Flushed)
            assert message.sequence_id == number
            assert heard(pcm, RATE_HZ).is_speech(seconds=(2.5, 6.0))


async def test_close_speaks_what_was_sent_and_ends_the_socket(engine: str) -> None:
    async with sdk_socket(engine) as socket:
        await socket.send_text(SpeakV1Text(text="Good bye for now"))
        await socket.send_close()
        pcm = b"".join([message async for message in socket if isinstance(message, bytes)])
    assert heard(pcm, RATE_HZ).is_speech(seconds=(0.5, 2.5))


async def test_clear_stops_the_audio_and_the_next_text_is_spoken(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare_socket(http, engine) as socket:
        for _ in range(2):
            await socket.send("Speak", text=LONG)
        await socket.send("Flush")
        await socket.first_audio()
        await socket.send("Clear")
        cleared, pcm = await socket.until("Cleared")
        assert cleared["sequence_id"] == 0
        assert len(pcm) / 2 / RATE_HZ < 30  # of two minutes
        await socket.send("Speak", text=SHORT)
        await socket.send("Flush")
        flushed, pcm = await socket.until("Flushed")
        assert flushed["sequence_id"] == 1
        assert heard(pcm, RATE_HZ).is_speech(seconds=(0.4, 2.0))


async def test_a_flush_with_nothing_to_say_is_answered_too(engine: str, http: aiohttp.ClientSession) -> None:
    async with bare_socket(http, engine) as socket:
        await socket.send("Speak", text=" ... ")
        await socket.send("Flush")
        await socket.send("Flush")
        assert await socket.until("Flushed") == ({"type": "Flushed", "sequence_id": 0}, b"")
        assert await socket.until("Flushed") == ({"type": "Flushed", "sequence_id": 1}, b"")


async def test_flushing_too_often_is_warned_of_and_still_done(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare_socket(http, engine) as socket:
        for _ in range(20):
            await socket.send("Flush")
            await socket.until("Flushed")
        await socket.send("Flush")
        warning, _ = await socket.until("Warning")
        assert warning["code"] == "EXCESSIVE_FLUSH"
        assert (await socket.until("Flushed"))[0]["sequence_id"] == 20


async def test_an_unknown_message_is_warned_of_and_the_socket_goes_on(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare_socket(http, engine) as socket:
        await socket.send("Sing", text="la")
        await socket.until("Warning")
        await socket.send("Flush")
        await socket.until("Flushed")


@pytest.mark.parametrize(
    ("data", "code", "close_code"),
    [
        ("not json", "DATA-0000", 1008),
        ('{"text": "no type"}', "DATA-0000", 1008),
        (json.dumps({"type": "Speak", "text": "a" * 2001}), "DATA-0002", 1008),
        (b"audio?", "MESSAGE-0000", 1003),
    ],
)
async def test_a_message_that_cannot_be_used_is_an_error_and_closes_the_socket(
    engine: str, http: aiohttp.ClientSession, data: str | bytes, code: str, close_code: int
) -> None:
    async with bare_socket(http, engine) as socket:
        if isinstance(data, bytes):
            await socket.socket.send_bytes(data)
        else:
            await socket.socket.send_str(data)
        error, _ = await socket.until("Error")
        assert error["code"] == code
        await socket.socket.receive(timeout=10)
        assert socket.socket.close_code == close_code


async def test_more_text_than_may_wait_closes_the_socket(engine: str, http: aiohttp.ClientSession) -> None:
    async with bare_socket(http, engine) as socket:
        for _ in range(24):
            await socket.send("Speak", text=LONG)
        error, _ = await socket.until("Error")
        assert error["code"] == "DATA-0003"


async def sdk_speech(
    engine: str, *, text: str = TWO_SENTENCES, key: str = "any-key", **format_: Any
) -> bytes:
    async with sdk(engine, key) as client:
        speech = client.speak.v1.audio.generate(text=text, encoding="linear16", **format_)
        return b"".join([chunk async for chunk in speech])


async def test_the_sdk_gets_raw_pcm_over_rest(engine: str) -> None:
    pcm = await sdk_speech(engine, container="none", sample_rate=16_000)
    assert heard(pcm, 16_000).is_speech(seconds=(2.5, 6.0))


async def test_the_sdk_gets_a_wav_file_over_rest(engine: str) -> None:
    file = await sdk_speech(engine, container="wav", sample_rate=8000)
    with wave.open(io.BytesIO(file)) as reader:
        assert reader.getframerate() == 8000
        assert heard(reader.readframes(10**7), 8000).is_speech(seconds=(2.5, 6.0))


@pytest.mark.parametrize("sample_rate_hz", [8000, 16_000, 24_000, 48_000])
async def test_the_plugin_streams_and_synthesizes_at_the_asked_rate(engine: str, sample_rate_hz: int) -> None:
    async with plugin(engine, sample_rate=sample_rate_hz) as voice:
        for pcm, rates in (
            await stream_words(voice, TWO_SENTENCES),
            await plugin_audio(voice.synthesize(TWO_SENTENCES, conn_options=ONE_TRY)),
        ):
            assert rates == {sample_rate_hz}
            assert heard(pcm, sample_rate_hz).is_speech(seconds=(2.5, 6.0))


async def test_the_plugin_speaks_many_replies_on_one_socket(engine: str) -> None:
    async with plugin(engine) as voice:
        for _ in range(3):
            pcm, _ = await stream_words(voice, SHORT)
            assert heard(pcm, RATE_HZ).is_speech(seconds=(0.4, 2.0))
        assert voice._pool.last_connection_reused


async def test_the_plugins_speed_changes_the_duration(engine: str) -> None:
    durations_s = []
    for speed in (0.7, 1.5):
        async with plugin(engine, speed=speed) as voice:
            pcm, _ = await stream_words(voice, TWO_SENTENCES)
            durations_s.append(heard(pcm, RATE_HZ).duration_s)
    assert durations_s[0] / durations_s[1] == pytest.approx(1.5 / 0.7, rel=0.2)


async def test_an_invalid_key_is_401_for_the_sdk_and_for_the_plugin(engine: str) -> None:
    with pytest.raises(ApiError) as refused:
        async with sdk_socket(engine, "invalid-key"):
            pass
    assert refused.value.status_code == 401
    with pytest.raises(ApiError) as refused:
        await sdk_speech(engine, key="invalid-key")
    assert refused.value.status_code == 401
    assert refused.value.body["err_code"] == "INVALID_AUTH"
    async with plugin(engine, api_key="invalid-key") as voice:
        with pytest.raises(APIStatusError) as status:
            await stream_words(voice, SHORT)
        assert status.value.status_code == 401


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ("encoding=linear16", {"text": "a" * 2001}, (413, "Payload Too Large")),
        ("encoding=linear16", {"text": "  "}, (400, "Bad Request")),
        ("encoding=linear16", {"words": "Hi"}, (400, "PAYLOAD_ERROR")),
        ("encoding=linear16", {"url": "http://127.0.0.1/"}, (400, "REMOTE_CONTENT_ERROR")),
        ("encoding=opus", {"text": "Hi"}, (400, "INVALID_QUERY_PARAMETER")),
        ("encoding=linear16&model=nova-3", {"text": "Hi"}, (400, "Bad Request")),
        ("encoding=x%0d%0aSet-Cookie:y", {"text": "Hi"}, (400, "INVALID_QUERY_PARAMETER")),
        ("encoding=linear16&container=%0d%0a", {"text": "Hi"}, (400, "INVALID_QUERY_PARAMETER")),
        ("encoding=linear16&container=ogg", {"text": "Hi"}, (400, "INVALID_QUERY_PARAMETER")),
        ("encoding=linear16&callback=http://127.0.0.1/", {"text": "Hi"}, (400, "INVALID_QUERY_PARAMETER")),
    ],
)
async def test_a_bad_request_gets_the_vendors_error(
    engine: str, http: aiohttp.ClientSession, query: str, body: dict[str, str], expected: tuple[int, str]
) -> None:
    async with http.post(f"{engine}/v1/speak?{query}", json=body, headers=KEY) as response:
        answer = await response.json()
        assert (response.status, answer["err_code"]) == expected
        assert answer["request_id"] == response.headers["dg-request-id"]


async def test_a_body_above_2_mb_is_413(engine: str, http: aiohttp.ClientSession) -> None:
    body = io.BytesIO(b'{"text": "' + b"a" * 2_200_000 + b'"}')
    headers = {**KEY, "Content-Type": "application/json"}
    async with http.post(f"{engine}/v1/speak?encoding=linear16", data=body, headers=headers) as response:
        assert (response.status, (await response.json())["err_code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_another_content_type_is_415_and_plain_text_is_spoken(
    engine: str, http: aiohttp.ClientSession
) -> None:
    url = f"{engine}/v1/speak?encoding=linear16&container=none"
    async with http.post(url, data=b"<x/>", headers={**KEY, "Content-Type": "text/xml"}) as response:
        assert response.status == 415
    async with http.post(url, data=b"Hello", headers={**KEY, "Content-Type": "text/plain"}) as response:
        assert heard(await response.read(), RATE_HZ).is_speech(seconds=(0.2, 1.5))


async def test_the_stream_above_the_limit_is_429_until_another_ends(http: aiohttp.ClientSession) -> None:
    with running_engine("--voice-engine", "espeak", "--max-streams", "1") as engine:
        async with bare_socket(http, engine) as socket:
            await socket.send("Speak", text=LONG)
            await socket.first_audio()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(f"{engine}/v1/speak", headers=KEY)
            assert refused.value.status == 429
            body = {"text": SHORT}
            url = f"{engine}/v1/speak?encoding=linear16"
            async with http.post(url, json=body, headers=KEY) as response:
                assert (response.status, (await response.json())["err_code"]) == (429, "Too Many Requests")
        status = 429
        for _ in range(1000):  # the engine notices the end of the socket a moment later
            async with http.post(url, json=body, headers=KEY) as response:
                status = response.status
            if status != 429:
                break
        assert status == 200


async def test_the_voices_are_listed_with_engine_and_licence(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{engine}/local/voices") as response:
        voices = (await response.json())["voices"]
    assert [voice["name"] for voice in voices] == [
        *(f"agent-{number}" for number in (1, 2, 3)),
        *(f"caller-{number}" for number in (1, 2, 3, 4)),
    ]
    assert {(voice["engine"], voice["licence"]) for voice in voices} == {("espeak", "GPL-3.0-or-later")}


@pytest.mark.needs("flite")
async def test_agents_speak_with_flite_and_callers_with_espeak_where_flite_is_installed(
    http: aiohttp.ClientSession,
) -> None:
    with running_engine() as engine:
        async with http.get(f"{engine}/local/voices") as response:
            voices = (await response.json())["voices"]
        assert {(voice["role"], voice["engine"]) for voice in voices} == {
            ("agent", "flite"),
            ("caller", "espeak"),
        }
        for model in ("aura-2-andromeda-en", "caller-1"):
            async with plugin(engine, model=model) as voice:
                pcm, _ = await stream_words(voice, TWO_SENTENCES)
                assert heard(pcm, RATE_HZ).is_speech(seconds=(2.5, 6.0))
