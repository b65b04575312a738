"""The engine as LiveKit's Deepgram plugins meet it: a caller of an agent whose language the engine was taught."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, stt
from livekit.plugins import deepgram

from tests.contract.listen_engine_process import (
    RATE_HZ,
    SILENCE,
    TURNS,
    recording,
    running_engine,
    teach_rooms,
)

ONE_TRY = APIConnectOptions(max_retry=0, timeout=10)

START, INTERIM, PREFLIGHT = (
    stt.SpeechEventType.START_OF_SPEECH,
    stt.SpeechEventType.INTERIM_TRANSCRIPT,
    stt.SpeechEventType.PREFLIGHT_TRANSCRIPT,
)
FINAL, END = stt.SpeechEventType.FINAL_TRANSCRIPT, stt.SpeechEventType.END_OF_SPEECH


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with running_engine() as url:
        teach_rooms(url)
        yield url


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def nova(engine: str, http: aiohttp.ClientSession, **options: Any) -> deepgram.STT:
    given = {"api_key": "any-key", "tags": ["agent:rooms"], **options}
    return deepgram.STT(base_url=f"{engine}/v1/listen", http_session=http, **given)


def flux(engine: str, http: aiohttp.ClientSession, **options: Any) -> deepgram.STTv2:
    url = f"{engine}/v2/listen".replace("http", "ws")
    given = {"api_key": "any-key", "tags": ["agent:rooms"], **options}
    return deepgram.STTv2(base_url=url, http_session=http, **given)


@asynccontextmanager
async def hearing(plugin: stt.STT[Any]) -> AsyncIterator[stt.RecognizeStream]:
    """A stream that is closed at the end; the whole block has 30 s."""
    stream = plugin.stream(conn_options=ONE_TRY)
    try:
        async with asyncio.timeout(30):
            yield stream
    finally:
        await stream.aclose()


def say(stream: stt.RecognizeStream, *sounds: bytes) -> None:
    for pcm in sounds:
        stream.push_frame(rtc.AudioFrame(pcm, RATE_HZ, 1, len(pcm) // 2))


async def until_end_of_speech(stream: stt.RecognizeStream) -> list[stt.SpeechEvent]:
    """Events of one utterance, without usage reports."""
    events = []
    async for event in stream:
        if event.type is not stt.SpeechEventType.RECOGNITION_USAGE:
            events.append(event)
        if event.type is END:
            break
    return events


def finals(events: list[stt.SpeechEvent]) -> list[str]:
    return [event.alternatives[0].text for event in events if event.type is FINAL]


def plain(sentence: str) -> str:
    """Without the capital letter and the stop of a sentence."""
    return sentence.lower().removesuffix("?").removesuffix(".").replace("p.m", "p.m.")


@pytest.mark.needs("recordings")
@pytest.mark.parametrize("plugin", [nova, flux])
async def test_a_caller_is_understood_in_the_language_of_the_agent(
    engine: str, http: aiohttp.ClientSession, plugin: Any
) -> None:
    async with hearing(plugin(engine, http)) as stream:
        for name in TURNS:
            say(stream, recording(name), SILENCE)
        heard = [finals(await until_end_of_speech(stream)) for _ in TURNS]

    assert [[plain(text) for text in texts] for texts in heard] == [[text] for text in TURNS.values()]


@pytest.mark.needs("recordings")
async def test_several_callers_are_heard_at_once(engine: str, http: aiohttp.ClientSession) -> None:
    async def call(name: str) -> str:
        async with hearing(nova(engine, http, punctuate=False)) as stream:
            say(stream, recording(name), SILENCE)
            return " ".join(finals(await until_end_of_speech(stream)))

    names = [*TURNS, *TURNS]
    assert await asyncio.gather(*map(call, names)) == [*TURNS.values(), *TURNS.values()]


@pytest.mark.needs("recordings")
async def test_an_utterance_starts_grows_and_ends(engine: str, http: aiohttp.ClientSession) -> None:
    async with hearing(nova(engine, http)) as stream:
        say(stream, SILENCE, recording("turn4_230pm"))
        begun = [await anext(stream) for _ in range(2)]
        say(stream, SILENCE)
        events = await until_end_of_speech(stream)

    assert [event.type for event in begun] == [START, INTERIM]
    assert [event.type for event in events[-2:]] == [FINAL, END]
    assert {event.type for event in events[:-2]} <= {INTERIM}
    [data] = events[-2].alternatives
    assert [str(word) for word in data.words or []] == ["Two", "thirty", "p.m."]
    assert 0.9 < data.start_time < data.end_time < 2.7
    assert data.confidence > 0.05
    assert events[-2].request_id


@pytest.mark.needs("recordings")
async def test_the_end_of_input_ends_the_utterance_without_a_pause(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async with hearing(nova(engine, http)) as stream:
        say(stream, recording("turn6_two_people"))
        stream.end_input()

        assert finals(await until_end_of_speech(stream)) == ["Two people."]


@pytest.mark.needs("recordings")
async def test_other_agents_and_nobodys_callers_are_heard_with_the_general_language(
    engine: str, http: aiohttp.ClientSession
) -> None:
    async def hear(*tags: str) -> str:
        async with hearing(nova(engine, http, tags=list(tags), keyterm=["Parley"])) as stream:
            say(stream, recording("brooklyn_bridge"), SILENCE)
            return " ".join(finals(await until_end_of_speech(stream)))

    everybody = await asyncio.gather(hear(), hear("agent:unheard-of"), hear("agent:general", "agent:rooms"))
    assert set(everybody) == {"How old is the brooklyn bridge?"}


@pytest.mark.needs("recordings")
async def test_flux_announces_an_end_of_turn_and_takes_it_back_when_speech_goes_on(
    engine: str, http: aiohttp.ClientSession
) -> None:
    pause = SILENCE[: 2 * int(0.36 * RATE_HZ)]
    async with hearing(flux(engine, http, eager_eot_threshold=0.3, eot_threshold=0.9)) as stream:
        say(stream, recording("turn1_book_a_room"), pause)
        async for event in stream:
            if event.type is PREFLIGHT:
                break
        say(stream, recording("turn6_two_people"), SILENCE)
        events = await until_end_of_speech(stream)

    assert event.alternatives[0].text == "Book a room."
    assert events[0].type is INTERIM
    assert finals(events) == ["Book a room two people."]


async def test_flux_settings_change_in_band_without_a_new_connection(
    engine: str, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = flux(engine, http)
    async with hearing(plugin) as stream:
        say(stream, SILENCE)
        plugin.update_options(eot_threshold=0.5, keyterm=["Parley"])
        stream.end_input()
        async for _ in stream:
            pass

    assert "rejected" not in caplog.text


@pytest.mark.needs("recordings")
async def test_a_whole_recording_is_transcribed_in_one_request(
    engine: str, http: aiohttp.ClientSession
) -> None:
    pcm = recording("brooklyn_bridge")
    event = await nova(engine, http).recognize(rtc.AudioFrame(pcm, RATE_HZ, 1, len(pcm) // 2))

    assert finals([event]) == ["How old is the brooklyn bridge?"]


@pytest.mark.parametrize("plugin", [nova, flux])
async def test_a_bad_key_ends_the_stream_with_401(
    engine: str, http: aiohttp.ClientSession, plugin: Any
) -> None:
    async with hearing(plugin(engine, http, api_key="invalid-key")) as stream:
        with pytest.raises((APIStatusError, APIConnectionError)) as caught:
            await until_end_of_speech(stream)

    refusal = caught.value if isinstance(caught.value, APIStatusError) else caught.value.__cause__
    assert isinstance(refusal, APIStatusError)
    assert refusal.status_code == 401
