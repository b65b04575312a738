"""The engine's Azure REST protocol, through LiveKit's plugin and bare requests."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from livekit.agents import APIStatusError
from livekit.plugins import azure

from tests.contract.tts_engine_process import (
    LONG,
    ONE_TRY,
    SHORT,
    TWO_SENTENCES,
    heard,
    plugin_audio,
    running_engine,
)

HEADERS = {
    "Ocp-Apim-Subscription-Key": "any-key",
    "Content-Type": "application/ssml+xml",
    "X-Microsoft-OutputFormat": "raw-24khz-16bit-mono-pcm",
}


def ssml(body: str, *, prolog: str = "") -> bytes:
    opening = '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US">'
    return f'{prolog}{opening}<voice name="en-US-JennyNeural">{body}</voice></speak>'.encode()


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with running_engine("--voice-engine", "espeak") as url:
        yield url


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def endpoint(engine: str) -> str:
    return f"{engine}/cognitiveservices/v1"


@asynccontextmanager
async def plugin(engine: str, **options: Any) -> AsyncIterator[azure.TTS]:
    async with aiohttp.ClientSession() as session:
        defaults = {"speech_endpoint": endpoint(engine), "speech_key": "any-key", "http_session": session}
        voice = azure.TTS(**{**defaults, **options})
        yield voice
        await voice.aclose()


async def synthesized(voice: azure.TTS, text: str) -> tuple[bytes, set[int]]:
    return await plugin_audio(voice.synthesize(text, conn_options=ONE_TRY))


@pytest.mark.parametrize("sample_rate_hz", [8000, 16_000, 22_050, 24_000, 44_100, 48_000])
async def test_the_plugin_synthesizes_at_the_asked_rate(engine: str, sample_rate_hz: int) -> None:
    async with plugin(engine, sample_rate=sample_rate_hz) as voice:
        pcm, rates = await synthesized(voice, TWO_SENTENCES)
    assert rates == {sample_rate_hz}
    assert heard(pcm, sample_rate_hz).is_speech(seconds=(2.5, 6.0))


async def test_the_plugins_prosody_and_style_are_taken_and_its_rate_is_heard(engine: str) -> None:
    durations_s = []
    for rate in (0.7, 1.4):
        async with plugin(
            engine,
            prosody=azure.tts.ProsodyConfig(rate=rate, volume="loud", pitch="high"),
            style=azure.tts.StyleConfig(style="cheerful", degree=1.5),
            language="en-GB",
        ) as voice:
            pcm, _ = await synthesized(voice, TWO_SENTENCES)
            durations_s.append(heard(pcm, 24_000).duration_s)
    assert durations_s[0] / durations_s[1] == pytest.approx(2.0, rel=0.2)


async def test_a_token_serves_as_well_as_a_key(engine: str) -> None:
    async with plugin(engine, speech_key=None, speech_auth_token="a-token", speech_region="here") as voice:
        pcm, _ = await synthesized(voice, SHORT)
    assert heard(pcm, 24_000).is_speech(seconds=(0.4, 2.0))


@pytest.mark.parametrize("key", [None, "invalid-key"])
async def test_no_key_or_an_invalid_one_is_401_for_the_plugin(engine: str, key: str | None) -> None:
    async with plugin(engine, speech_key=key) as voice:
        with pytest.raises(APIStatusError) as refused:
            await synthesized(voice, SHORT)
    assert refused.value.status_code == 401


@pytest.mark.parametrize("text", ["Tom & Jerry", "1 < 2", "</voice>"])
async def test_text_that_breaks_the_plugins_ssml_is_400(engine: str, text: str) -> None:
    async with plugin(engine) as voice:
        with pytest.raises(APIStatusError) as refused:
            await synthesized(voice, text)
    assert refused.value.status_code == 400


async def post(
    http: aiohttp.ClientSession, engine: str, body: bytes, **headers: str
) -> tuple[int, dict[str, Any] | bytes]:
    async with http.post(endpoint(engine), data=body, headers={**HEADERS, **headers}) as response:
        if response.content_type == "application/json":
            return response.status, (await response.json())["error"]
        return response.status, await response.read()


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE speak [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE speak [<!ENTITY b SYSTEM "file:///etc/hostname">]>',
    ],
)
async def test_entities_are_refused(engine: str, http: aiohttp.ClientSession, prolog: str) -> None:
    status, error = await post(http, engine, ssml("&b;", prolog=prolog))
    assert status == 400
    assert isinstance(error, dict)
    assert error["code"] == "InvalidSsml"


async def test_ssml_above_64_kb_is_400(engine: str, http: aiohttp.ClientSession) -> None:
    status, error = await post(http, engine, ssml("word " * 20_000))
    assert (status, isinstance(error, dict)) == (400, True)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Microsoft-OutputFormat": "audio-24khz-48kbitrate-mono-mp3"}, (400, "UnsupportedFormat")),
        ({"X-Microsoft-OutputFormat": ""}, (400, "UnsupportedFormat")),
        ({"Content-Type": "text/plain"}, (415, "UnsupportedMediaType")),
        ({"Ocp-Apim-Subscription-Key": ""}, (401, "401")),
    ],
)
async def test_a_request_that_cannot_be_served_says_why(
    engine: str, http: aiohttp.ClientSession, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    status, error = await post(http, engine, ssml("Hi"), **headers)
    assert isinstance(error, dict)
    assert (status, error["code"]) == expected


async def test_a_break_is_silence_of_its_length(engine: str, http: aiohttp.ClientSession) -> None:
    _, plain = await post(http, engine, ssml("One. Two."))
    _, broken = await post(http, engine, ssml('One.<break time="1500ms"/>Two.'))
    assert isinstance(plain, bytes)
    assert isinstance(broken, bytes)
    assert bytes(24_000 * 2) in broken
    assert (len(broken) - len(plain)) / 2 / 24_000 == pytest.approx(1.5 - 0.18, abs=0.15)


async def test_riff_formats_are_wav_files(engine: str, http: aiohttp.ClientSession) -> None:
    wanted = {"X-Microsoft-OutputFormat": "riff-16khz-16bit-mono-pcm"}
    status, body = await post(http, engine, ssml(TWO_SENTENCES), **wanted)
    assert status == 200
    assert isinstance(body, bytes)
    with wave.open(io.BytesIO(body)) as reader:
        assert reader.getframerate() == 16_000
        assert heard(reader.readframes(10**7), 16_000).is_speech(seconds=(2.5, 6.0))


async def test_the_request_above_the_limit_is_429_and_a_client_that_leaves_frees_its_place(
    http: aiohttp.ClientSession,
) -> None:
    with running_engine("--voice-engine", "espeak", "--max-streams", "1") as engine:
        async with http.post(endpoint(engine), data=ssml(LONG), headers=HEADERS) as response:
            await response.content.readany()
            status, _ = await post(http, engine, ssml(SHORT))
            assert status == 429
            response.close()
        for _ in range(1000):  # the engine notices the end of the connection a moment later
            status, _ = await post(http, engine, ssml(SHORT))
            if status != 429:
                break
        assert status == 200
