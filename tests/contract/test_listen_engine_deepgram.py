"""The engine's `/v1/listen` as a stream, and what `/v2/listen` refuses alike, through the SDK and bare sockets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import numpy as np
import pytest
from deepgram.listen.v1.types import ListenV1Configure, ListenV1Metadata, ListenV1Results

from tests.contract.listen_engine_process import (
    KEY,
    RATE_HZ,
    SILENCE,
    WEATHER,
    bare,
    finals,
    messages_until_close,
    recording,
    running_engine,
    say,
    sdk,
    transcript,
)

# deepgram-sdk 7.17 imports names that websockets 17 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with running_engine() as url:
        yield url


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.needs("recordings")
async def test_the_sdk_hears_interims_a_final_and_the_metadata_of_a_stream(engine: str) -> None:
    async with (
        sdk(engine) as client,
        client.listen.v1.connect(
            model="nova-3", encoding="linear16", sample_rate=RATE_HZ, interim_results=True, vad_events=True
        ) as socket,
    ):
        pcm = recording("weather") + SILENCE
        for start in range(0, len(pcm), 3200):
            await socket.send_media(pcm[start : start + 3200])
        await socket.send_close_stream()
        messages = [message async for message in socket]

    started, *heard, metadata = messages
    assert started.type == "SpeechStarted"
    assert all(isinstance(message, ListenV1Results) for message in heard)
    assert [message.is_final for message in heard] == [False] * (len(heard) - 1) + [True]
    assert heard[-1].channel.alternatives[0].transcript == WEATHER
    assert heard[-1].speech_final
    assert isinstance(metadata, ListenV1Metadata)
    assert metadata.sha256 == hashlib.sha256(pcm).hexdigest()
    assert metadata.duration == pytest.approx(len(pcm) / 2 / RATE_HZ, abs=0.02)


@pytest.mark.needs("recordings")
async def test_words_are_timed_within_the_stream(engine: str, http: aiohttp.ClientSession) -> None:
    async with bare(http, engine, "punctuate=true") as socket:
        await say(socket, SILENCE, SILENCE, recording("weather"), SILENCE)
        await socket.send_json({"type": "CloseStream"})
        [final] = finals(await messages_until_close(socket))

    words = final["channel"]["alternatives"][0]["words"]
    assert [word["punctuated_word"] for word in words] == ["What's", "the", "weather", "like?"]
    assert [word["word"] for word in words] == WEATHER.split()
    assert 2.0 < words[0]["start"] < words[-1]["end"] < 4.03
    assert all(0 <= word["confidence"] <= 1 and word["start"] < word["end"] for word in words)
    assert final["start"] <= words[0]["start"]
    assert final["start"] + final["duration"] >= words[-1]["end"]
    assert final["metadata"]["request_id"]


@pytest.mark.needs("recordings")
@pytest.mark.parametrize("rate_hz", [8_000, 48_000])
async def test_other_rates_and_mulaw_are_heard(
    engine: str, http: aiohttp.ClientSession, rate_hz: int
) -> None:
    samples = np.frombuffer(recording("weather"), np.int16)
    at_s = np.arange(int(len(samples) / RATE_HZ * rate_hz)) / rate_hz
    pcm = np.interp(at_s, np.arange(len(samples)) / RATE_HZ, samples).astype(np.int16)
    encoding, audio = ("mulaw", mulaw(pcm)) if rate_hz == 8_000 else ("linear16", pcm.tobytes())
    async with bare(http, engine, f"encoding={encoding}&sample_rate={rate_hz}") as socket:
        await say(socket, audio)
        await socket.send_json({"type": "CloseStream"})
        heard = " ".join(map(transcript, finals(await messages_until_close(socket))))

    assert "weather" in heard


def mulaw(pcm: np.ndarray[Any, np.dtype[np.int16]]) -> bytes:
    """ITU-T G.711, by search: every code's value is known from decoding."""
    codes = np.arange(256, dtype=np.uint8)
    inverse = ~codes
    magnitudes = ((((inverse & 0x0F).astype(int) << 3) + 0x84) << (inverse >> 4 & 7)) - 0x84
    values = np.where(inverse & 0x80, -magnitudes, magnitudes)
    order = np.argsort(values, kind="stable")
    return codes[order][np.searchsorted(values[order], pcm).clip(0, 255)].tobytes()


@pytest.mark.needs("recordings")
async def test_finalize_ends_the_utterance_without_a_pause(engine: str, http: aiohttp.ClientSession) -> None:
    async with bare(http, engine) as socket:
        await say(socket, recording("brooklyn_bridge"))
        await socket.send_json({"type": "Finalize"})
        final = await socket.receive_json()
        await socket.send_json({"type": "Finalize"})
        empty = await socket.receive_json()

    assert transcript(final) == "how old is the brooklyn bridge"
    assert (final["is_final"], final["speech_final"], final["from_finalize"]) == (True, True, True)
    assert transcript(empty) == ""
    assert (empty["is_final"], empty["speech_final"], empty["from_finalize"]) == (True, False, True)


@pytest.mark.needs("recordings")
async def test_an_utterance_end_follows_a_final_after_the_silence_that_was_asked_for(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare(http, engine, "utterance_end_ms=1000&endpointing=300") as socket:
        await say(socket, recording("weather"), SILENCE, SILENCE)
        await socket.send_json({"type": "CloseStream"})
        final, ended, metadata = await messages_until_close(socket)

    assert (transcript(final), final["speech_final"]) == (WEATHER, True)
    assert ended["type"] == "UtteranceEnd"
    assert ended["last_word_end"] == final["channel"]["alternatives"][0]["words"][-1]["end"]
    assert metadata["type"] == "Metadata"


@pytest.mark.needs("recordings")
async def test_without_endpointing_finals_are_no_end_of_speech(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare(http, engine, "endpointing=false") as socket:
        await say(socket, recording("weather"), SILENCE)
        final = await socket.receive_json()

    assert (transcript(final), final["is_final"], final["speech_final"]) == (WEATHER, True, False)


@pytest.mark.needs("recordings")
async def test_an_empty_message_closes_the_stream_as_in_the_older_protocol(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare(http, engine) as socket:
        await say(socket, recording("weather"))
        await socket.send_bytes(b"")
        final, metadata = await messages_until_close(socket)

    assert transcript(final) == WEATHER
    assert metadata["type"] == "Metadata"
    assert socket.close_code == 1000


async def test_a_stream_of_silence_closes_with_its_metadata_only(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare(http, engine, "vad_events=true&interim_results=true") as socket:
        await say(socket, SILENCE)
        await socket.send_json({"type": "CloseStream"})
        [metadata] = await messages_until_close(socket)

    assert (metadata["type"], metadata["duration"]) == ("Metadata", 1.0)
    assert socket.close_code == 1000


async def test_a_stream_without_audio_is_closed_after_10_s_and_a_keep_alive_keeps_it(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with bare(http, engine) as kept, bare(http, engine) as idle:
        keep_alive = kept.send_json({"type": "KeepAlive"})
        asyncio.get_running_loop().call_later(5, asyncio.ensure_future, keep_alive)
        [error] = await messages_until_close(idle)
        await kept.send_json({"type": "CloseStream"})
        [metadata] = await messages_until_close(kept)

    assert (error["type"], error["code"]) == ("Error", "NET-0001")
    assert idle.close_code == 1011
    assert (metadata["type"], kept.close_code) == ("Metadata", 1000)


async def test_keyterms_may_be_configured_in_band(engine: str) -> None:
    async with sdk(engine) as client, client.listen.v1.connect(model="nova-3") as socket:
        await socket.send_configure(ListenV1Configure(keyterms=["parley"]))
        configured = await socket.recv()

    assert (configured.type, configured.keyterms) == ("ConfigureSuccess", ["parley"])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"type": 5}', '{"type": "Sing"}', "[" * 60_000, '"' + "x" * 70_000 + '"']
)
@pytest.mark.parametrize("version", [1, 2])
async def test_a_text_message_that_makes_no_sense_closes_the_socket_with_an_error(
    engine: str, http: aiohttp.ClientSession, text: str, version: int
) -> None:
    async with bare(http, engine, version=version) as socket:
        await socket.send_str(text)
        messages = await messages_until_close(socket)

    assert messages[-1]["type"] == "Error"
    assert messages[-1]["code"]
    assert socket.close_code == 1008


@pytest.mark.parametrize("audio", [b"\x00", b"\xff" * 99_999, b"RIFF" + bytes(range(256)) * 40])
async def test_audio_that_is_none_does_no_harm(
    engine: str, http: aiohttp.ClientSession, audio: bytes
) -> None:
    async with bare(http, engine, "sample_rate=44100") as socket:
        await socket.send_bytes(audio)
        await socket.send_json({"type": "CloseStream"})
        messages = await messages_until_close(socket)

    assert messages[-1]["type"] == "Metadata"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {}, 401),
        ("", {"Authorization": "Token invalid-key"}, 401),
        ("encoding=opus", KEY, 400),
        ("sample_rate=1", KEY, 400),
        ("sample_rate=fast", KEY, 400),
        ("model=nova-2&keyterm=parley", KEY, 400),
    ],
)
async def test_a_handshake_is_refused_with_deepgrams_error(
    *,
    engine: str,
    http: aiohttp.ClientSession,
    version: int,
    query: str,
    headers: dict[str, str],
    status: int,
) -> None:
    url = f"{engine}/v{version}/listen?{query}"
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(url, headers=headers)
    async with http.get(url, headers=headers) as response:
        body = await response.json()

    assert caught.value.status == response.status == status
    assert body["err_code"]
    assert body["err_msg"]
    assert body["request_id"] == response.headers["dg-request-id"]


async def test_a_browser_may_give_its_key_as_a_subprotocol(engine: str, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(f"{engine}/v1/listen", protocols=("token", "any-key")) as socket:
        assert socket.protocol == "token"
