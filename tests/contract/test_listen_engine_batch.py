"""The engine's `/v1/listen` for whole recordings, through the official SDK and bare requests."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from deepgram.core.api_error import ApiError

from tests.contract.listen_engine_process import (
    KEY,
    SILENCE,
    WEATHER,
    recording,
    running_engine,
    sdk,
    wav_file,
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
async def test_the_sdk_transcribes_a_recording(engine: str) -> None:
    async with sdk(engine) as client:
        answer = await client.listen.v1.media.transcribe_file(
            request=wav_file("weather"), model="nova-3", smart_format=True
        )

    [channel] = answer.results.channels
    [alternative] = channel.alternatives
    assert alternative.transcript == "What's the weather like?"
    assert [word.word for word in alternative.words] == WEATHER.split()
    assert answer.metadata.duration == pytest.approx(2.03, abs=0.01)
    assert answer.metadata.channels == 1


@pytest.mark.needs("recordings")
async def test_raw_audio_is_transcribed_as_its_query_says(engine: str, http: aiohttp.ClientSession) -> None:
    body = recording("weather") + SILENCE + recording("brooklyn_bridge")
    async with http.post(f"{engine}/v1/listen?encoding=linear16", data=body, headers=KEY) as response:
        answer = await response.json()

    [alternative] = answer["results"]["channels"][0]["alternatives"]
    assert alternative["transcript"] == f"{WEATHER} how old is the brooklyn bridge"
    assert alternative["words"][-1]["end"] > 3.03 + 1.5


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, SILENCE, 401),
        (KEY, b"", 400),
        (KEY, b"RIFF\x00", 400),
        ({**KEY, "Content-Type": "application/json"}, b'{"url": "http://127.0.0.1/a.wav"}', 400),
        ({**KEY, "Content-Type": "application/json"}, b"{", 400),
        (KEY, bytes(32 * 1024 * 1024 + 1), 413),
    ],
    ids=["no key", "nothing", "half a WAV", "an address", "no JSON", "too much"],
)
async def test_a_recording_is_refused_with_deepgrams_error(
    engine: str, http: aiohttp.ClientSession, headers: dict[str, str], body: bytes, status: int
) -> None:
    async with http.post(f"{engine}/v1/listen", data=io.BytesIO(body), headers=headers) as response:
        answer = await response.json()

    assert response.status == status
    assert set(answer) == {"err_code", "err_msg", "request_id"}


async def test_the_sdk_tells_a_refusal(engine: str) -> None:
    async with sdk(engine, key="invalid") as client:
        with pytest.raises(ApiError) as caught:
            await client.listen.v1.media.transcribe_file(request=SILENCE)

    assert caught.value.status_code == 401
    assert caught.value.body["err_code"] == "INVALID_AUTH"
