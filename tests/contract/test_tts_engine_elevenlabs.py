"""The engine's ElevenLabs protocol, through LiveKit's plugin and bare sockets."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from livekit.agents import APIStatusError
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT
from livekit.plugins import elevenlabs

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

RATE_HZ = 24_000
VOICE = "hpp4J3VqNfWAUOO0d1Us"
KEY = {"xi-api-key": "any-key"}


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with running_engine("--voice-engine", "espeak") as url:
        yield url


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@asynccontextmanager
async def plugin(engine: str, **options: Any) -> AsyncIterator[elevenlabs.TTS]:
    async with aiohttp.ClientSession() as session:
        defaults = {"api_key": "any-key", "base_url": f"{engine}/v1", "encoding": "pcm_24000"}
        voice = elevenlabs.TTS(**{**defaults, "http_session": session, **options})
        yield voice
        await voice.aclose()


class Socket:
    """A bare multi-context socket, with what came for each context so far."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.pcm: defaultdict[str, bytes] = defaultdict(bytes)
        self.order: list[str] = []
        """The context of every audio message."""
        self.alignments: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.final: set[str] = set()

    async def send(self, **message: Any) -> None:
        await self.socket.send_json(message)

    async def say(self, context_id: str, text: str) -> None:
        """What LiveKit's plugin sends for one reply."""
        await self.send(text=" ", voice_settings={}, context_id=context_id)
        await self.send(text=f"{text} ", context_id=context_id)
        await self.send(text="", context_id=context_id, flush=True)
        await self.send(context_id=context_id, close_context=True)

    async def receive(self) -> dict[str, Any]:
        """The next message; audio and endings are noted."""
        message: dict[str, Any] = await self.socket.receive_json(timeout=20)
        context_id = message.get("contextId", "")
        if message.get("audio"):
            self.pcm[context_id] += base64.b64decode(message["audio"])
            self.order.append(context_id)
        if message.get("alignment"):
            self.alignments[context_id].append(message["alignment"])
        if message.get("isFinal"):
            self.final.add(context_id)
        return message

    async def until_final(self, *context_ids: str) -> None:
        while not self.final.issuperset(context_ids):
            await self.receive()

    async def until_error(self) -> dict[str, Any]:
        while "error" not in (message := await self.receive()):
            pass
        return message

    async def close_code(self) -> int | None:
        """How the engine closes, once everything before was read."""
        while (await self.socket.receive(timeout=20)).type is aiohttp.WSMsgType.TEXT:
            pass
        return self.socket.close_code


@asynccontextmanager
async def bare_socket(
    http: aiohttp.ClientSession, engine: str, query: str = "sync_alignment=true"
) -> AsyncIterator[Socket]:
    url = f"{engine}/v1/text-to-speech/{VOICE}/multi-stream-input?output_format=pcm_24000&{query}"
    async with http.ws_connect(url, headers=KEY) as socket:
        yield Socket(socket)


@pytest.mark.parametrize("encoding", ["pcm_16000", "pcm_22050", "pcm_24000", "pcm_44100"])
async def test_the_plugin_streams_and_synthesizes_at_the_asked_rate(engine: str, encoding: str) -> None:
    rate_hz = int(encoding.removeprefix("pcm_"))
    async with plugin(engine, encoding=encoding) as voice:
        for pcm, rates in (
            await stream_words(voice, TWO_SENTENCES),
            await plugin_audio(voice.synthesize(TWO_SENTENCES, conn_options=ONE_TRY)),
        ):
            assert rates == {rate_hz}
            assert heard(pcm, rate_hz).is_speech(seconds=(2.5, 6.0))


async def test_the_plugin_speaks_replies_one_after_the_other_and_at_once_on_one_socket(engine: str) -> None:
    async with plugin(engine) as voice:
        await stream_words(voice, SHORT)
        results = await asyncio.gather(*(stream_words(voice, TWO_SENTENCES) for _ in range(3)))
        for pcm, _ in results:
            assert heard(pcm, RATE_HZ).is_speech(seconds=(2.5, 6.0))


async def test_the_plugin_gets_every_word_with_a_time_inside_the_audio(engine: str) -> None:
    async with plugin(engine) as voice, voice.stream(conn_options=ONE_TRY) as stream:
        stream.push_text(TWO_SENTENCES)
        stream.end_input()
        words, duration_s = [], 0.0
        async for event in stream:
            words += event.frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, [])
            duration_s += event.frame.duration
    assert "".join(words).split() == TWO_SENTENCES.split()
    starts_s = [word.start_time for word in words]
    assert starts_s == sorted(starts_s)
    assert 0 <= starts_s[0] < starts_s[-1] < duration_s


async def test_the_voice_settings_speed_changes_the_duration(engine: str) -> None:
    durations_s = []
    for speed in (0.8, 1.2):
        settings = elevenlabs.VoiceSettings(stability=0.5, similarity_boost=0.5, speed=speed)
        async with plugin(engine, voice_settings=settings) as voice:
            pcm, _ = await stream_words(voice, TWO_SENTENCES)
            durations_s.append(heard(pcm, RATE_HZ).duration_s)
    assert durations_s[0] / durations_s[1] == pytest.approx(1.2 / 0.8, rel=0.15)


async def test_an_invalid_key_is_401_for_the_plugin(engine: str) -> None:
    async with plugin(engine, api_key="invalid-key") as voice:
        with pytest.raises(APIStatusError) as refused:
            await stream_words(voice, SHORT)
        assert refused.value.status_code == 401
        with pytest.raises(APIStatusError) as refused:
            await plugin_audio(voice.synthesize(SHORT, conn_options=ONE_TRY))
        assert refused.value.status_code == 401


async def test_an_encoding_that_cannot_be_had_is_400_for_the_plugin(engine: str) -> None:
    async with plugin(engine, encoding="mp3_22050_32") as voice:
        with pytest.raises(APIStatusError) as refused:
            await stream_words(voice, SHORT)
        assert refused.value.status_code == 400


async def test_two_contexts_are_spoken_at_the_same_time_on_one_socket(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare_socket(http, engine) as socket:
        await socket.say("a", LONG)
        await socket.say("b", TWO_SENTENCES)
        await socket.until_final("a", "b")
    assert heard(socket.pcm["a"], RATE_HZ).duration_s > 40
    assert heard(socket.pcm["b"], RATE_HZ).is_speech(seconds=(2.5, 6.0))
    last_of_b = len(socket.order) - socket.order[::-1].index("b")
    assert "a" in socket.order[:last_of_b]
    assert "a" in socket.order[last_of_b:]


async def test_alignment_covers_the_text_and_the_audio_of_its_context(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare_socket(http, engine) as socket:
        await socket.say("a", TWO_SENTENCES)
        await socket.until_final("a")
    alignments = socket.alignments["a"]
    assert len(alignments) == 2  # one a sentence
    assert "".join(char for alignment in alignments for char in alignment["chars"]).split() == (
        TWO_SENTENCES.split()
    )
    last = alignments[-1]
    end_ms = last["charStartTimesMs"][-1] + last["charDurationsMs"][-1]
    assert end_ms == pytest.approx(heard(socket.pcm["a"], RATE_HZ).duration_s * 1000, abs=2)


async def test_without_sync_alignment_there_is_none(engine: str, http: aiohttp.ClientSession) -> None:
    async with bare_socket(http, engine, "auto_mode=true") as socket:
        await socket.say("a", SHORT)
        await socket.until_final("a")
    assert not socket.alignments


async def test_a_sentence_is_spoken_without_a_flush_and_the_rest_with_one(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare_socket(http, engine) as socket:
        await socket.send(text="Hello there. And now ", context_id="a")
        while not socket.alignments["a"]:
            await socket.receive()
        assert "".join(socket.alignments["a"][0]["chars"]) == "Hello there. "
        await socket.send(text="", context_id="a", flush=True)
        while len(socket.alignments["a"]) < 2:
            await socket.receive()
        assert "".join(socket.alignments["a"][1]["chars"]) == "And now "
        assert not socket.final


async def test_a_sixth_context_is_refused_and_the_socket_closed_as_the_vendor_does(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare_socket(http, engine) as socket:
        for number in range(6):
            await socket.send(text=" ", context_id=f"c{number}")
        error = await socket.until_error()
        assert (error["error"], error["code"]) == ("max_active_conversations", 1008)
        assert await socket.close_code() == 1008


async def test_a_closed_context_makes_room_for_another(engine: str, http: aiohttp.ClientSession) -> None:
    async with bare_socket(http, engine) as socket:
        for number in range(8):
            await socket.say(f"c{number}", SHORT)
            await socket.until_final(f"c{number}")


async def test_close_socket_speaks_what_was_sent_then_closes(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare_socket(http, engine) as socket:
        await socket.send(text="Good bye for now", context_id="a")
        await socket.send(close_socket=True)
        await socket.until_final("a")
        assert await socket.close_code() == 1000
    assert heard(socket.pcm["a"], RATE_HZ).is_speech(seconds=(0.5, 2.5))


async def test_an_idle_context_is_spoken_and_closed_then_the_idle_socket_with_the_vendors_error(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare_socket(http, engine, "inactivity_timeout=1") as socket:
        await socket.send(text="Forgotten words", context_id="a")
        await socket.until_final("a")
        assert heard(socket.pcm["a"], RATE_HZ).is_speech(seconds=(0.3, 2.5))
        assert (await socket.until_error())["error"] == "input_timeout_exceeded"
        assert await socket.close_code() == 1008


@pytest.mark.parametrize("data", ["no json", '{"text": 1}', b"binary"])
async def test_a_message_that_cannot_be_read_is_an_error_and_closes_the_socket(
    engine: str, http: aiohttp.ClientSession, data: str | bytes
) -> None:
    async with bare_socket(http, engine) as socket:
        send = socket.socket.send_bytes if isinstance(data, bytes) else socket.socket.send_str
        await send(data)  # type: ignore[arg-type]
        assert (await socket.until_error())["error"] == "invalid_message"
        assert await socket.close_code() == 1008


async def test_a_caller_that_hangs_up_in_the_middle_leaves_the_engine_well(
    engine: str, http: aiohttp.ClientSession
) -> None:
    for _ in range(3):
        async with bare_socket(http, engine) as socket:
            await socket.say("a", LONG)
            while not socket.pcm["a"]:
                await socket.receive()
    async with bare_socket(http, engine) as socket:
        await socket.say("a", SHORT)
        await socket.until_final("a")


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ("output_format=pcm_24000", {"text": ""}, (400, "invalid_text")),
        ("output_format=pcm_24000", {"text": "a" * 10_001}, (400, "max_character_limit_exceeded")),
        ("output_format=mp3_44100", {"text": "Hi"}, (400, "invalid_output_format")),
        ("output_format=pcm_24000", {"text": "Hi", "model_id": "eleven_v3"}, (400, "model_not_found")),
    ],
)
async def test_a_bad_request_gets_the_vendors_error(
    engine: str, http: aiohttp.ClientSession, query: str, body: dict[str, str], expected: tuple[int, str]
) -> None:
    url = f"{engine}/v1/text-to-speech/{VOICE}/stream?{query}"
    async with http.post(url, json=body, headers=KEY) as response:
        detail = json.loads(await response.text())["detail"]
        assert (response.status, detail["status"]) == expected


async def test_the_request_above_the_limit_is_429(http: aiohttp.ClientSession) -> None:
    with running_engine("--voice-engine", "espeak", "--max-streams", "1") as engine:
        async with bare_socket(http, engine):
            async with plugin(engine) as voice:
                with pytest.raises(APIStatusError) as refused:
                    await stream_words(voice, SHORT)
            assert refused.value.status_code == 429


async def test_the_plugin_lists_the_voices(engine: str) -> None:
    async with plugin(engine) as voice:
        assert "caller-1" in {listed.id for listed in await voice.list_voices()}
