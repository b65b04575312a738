"""The load model's recognisers and their faults, as the LiveKit Deepgram plugin (and a bare client) meets them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, stt
from livekit.plugins import deepgram

from tests.contract.load_model_process import RATE_HZ, SILENCE, SPEECH, Engine, running_engine

ONE_TRY = APIConnectOptions(max_retry=0, timeout=1)
TWO_TRIES = APIConnectOptions(max_retry=1, timeout=5, retry_interval=0.01)

START, INTERIM, PREFLIGHT = (
    stt.SpeechEventType.START_OF_SPEECH,
    stt.SpeechEventType.INTERIM_TRANSCRIPT,
    stt.SpeechEventType.PREFLIGHT_TRANSCRIPT,
)
FINAL, END = stt.SpeechEventType.FINAL_TRANSCRIPT, stt.SpeechEventType.END_OF_SPEECH


@pytest.fixture(scope="module")
def engine_url() -> Iterator[str]:
    with running_engine() as url:
        yield url


@pytest.fixture
async def engine(engine_url: str) -> AsyncIterator[Engine]:
    async with aiohttp.ClientSession() as session:
        engine = Engine(engine_url, session)
        await engine.use_profile()
        yield engine
        await engine.heal()


def nova(engine: Engine, key: str) -> deepgram.STT:
    return deepgram.STT(api_key=key, base_url=f"{engine.url}/v1/listen", http_session=engine.session)


def flux(engine: Engine, key: str, **options: Any) -> deepgram.STTv2:
    url = f"{engine.url}/v2/listen".replace("http", "ws")
    return deepgram.STTv2(api_key=key, base_url=url, http_session=engine.session, **options)


@asynccontextmanager
async def hearing(
    plugin: stt.STT[Any], options: APIConnectOptions = TWO_TRIES
) -> AsyncIterator[stt.RecognizeStream]:
    """A stream that is closed at the end; the whole block has 10 s."""
    stream = plugin.stream(conn_options=options)
    try:
        async with asyncio.timeout(10):
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


async def until_struck(engine: Engine) -> None:
    async with asyncio.timeout(10):
        while not await engine.struck():
            pass


async def test_utterances_are_heard_as_the_script_says_from_the_start_again_after_the_last(
    engine: Engine,
) -> None:
    async with hearing(nova(engine, "script")) as stream:
        say(stream, SPEECH, SILENCE, SPEECH, SILENCE, SPEECH, SILENCE)
        heard = [finals(await until_end_of_speech(stream)) for _ in range(3)]

    assert heard == [["book a room"], ["yes please"], ["book a room"]]


async def test_an_utterance_starts_grows_and_ends(engine: Engine) -> None:
    async with hearing(nova(engine, "grows")) as stream:
        say(stream, SPEECH, SILENCE)
        events = await until_end_of_speech(stream)

    types = [event.type for event in events]
    assert types[0] is START
    assert types[-2:] == [FINAL, END]
    assert set(types[1:-2]) == {INTERIM}
    assert [word.start_time for word in events[-2].alternatives[0].words or []] == pytest.approx(
        [0, 1 / 3, 2 / 3], abs=0.01
    )


async def test_a_final_is_timed_from_the_true_end_of_speech_and_logged(engine: Engine) -> None:
    await engine.use_profile(stt={"final_ms": [150, 150]})
    async with hearing(nova(engine, "timed")) as stream:
        say(stream, SPEECH, SILENCE)
        events = await until_end_of_speech(stream)
    [draw] = await engine.draws("stt", "timed")

    assert draw["request_id"] == events[-2].request_id
    assert draw["text"] == "book a room"
    assert draw["draw_ms"] == 150
    assert draw["final_sent_at"] - draw["end_of_speech_at"] >= 0.150
    assert draw["pause_heard_at"] >= draw["end_of_speech_at"]


async def test_end_of_input_ends_the_utterance_without_a_pause(engine: Engine) -> None:
    async with hearing(nova(engine, "finalize")) as stream:
        say(stream, SPEECH)
        stream.end_input()

        assert finals(await until_end_of_speech(stream)) == ["book a room"]


async def test_a_stream_is_closed_as_deepgram_does_final_metadata_1000(engine: Engine) -> None:
    url = f"{engine.url}/v1/listen?sample_rate=16000&encoding=linear16"
    async with engine.session.ws_connect(url, headers={"Authorization": "Token bare"}) as ws:
        await ws.send_bytes(SPEECH)
        await ws.send_str(json.dumps({"type": "CloseStream"}))
        result, metadata = [json.loads((await ws.receive()).data) for _ in range(2)]
        await ws.receive()

    assert (result["type"], result["is_final"], result["speech_final"]) == ("Results", True, True)
    assert result["channel"]["alternatives"][0]["transcript"] == "book a room"
    assert (metadata["type"], metadata["duration"]) == ("Metadata", 1.0)
    assert ws.close_code == 1000


async def test_a_browser_may_give_its_key_as_a_subprotocol(engine: Engine) -> None:
    async with engine.session.ws_connect(f"{engine.url}/v1/listen", protocols=("token", "browser")) as ws:
        assert ws.protocol == "token"

    assert (await engine.count("stt", "browser"))["requests"] == 1


async def test_a_whole_recording_is_transcribed_in_one_request(engine: Engine) -> None:
    event = await nova(engine, "batch").recognize(rtc.AudioFrame(SPEECH, RATE_HZ, 1, RATE_HZ))

    assert finals([event]) == ["book a room"]


async def test_a_flux_turn_starts_is_updated_and_ends(engine: Engine) -> None:
    async with hearing(flux(engine, "flux")) as stream:
        say(stream, SPEECH, SILENCE)
        events = await until_end_of_speech(stream)

    types = [event.type for event in events]
    assert types[:2] == [START, INTERIM]
    assert types[-2:] == [FINAL, END]
    assert PREFLIGHT not in types
    assert finals(events) == ["book a room"]


async def test_flux_announces_an_end_of_turn_eagerly_and_takes_it_back_when_speech_goes_on(
    engine: Engine,
) -> None:
    await engine.use_profile(stt={"eager_ms": [0, 0]})
    short_pause = SILENCE[: RATE_HZ // 10 * 3]
    async with hearing(flux(engine, "eager", eager_eot_threshold=0.5)) as stream:
        say(stream, SPEECH, short_pause, SPEECH, SILENCE)
        events = await until_end_of_speech(stream)

    types = [event.type for event in events]
    assert types.count(PREFLIGHT) == 2
    assert INTERIM in types[types.index(PREFLIGHT) :]
    assert finals(events) == ["book a room"]


async def test_flux_takes_new_settings_in_band(engine: Engine) -> None:
    url = f"{engine.url}/v2/listen?model=flux-general-en"
    async with engine.session.ws_connect(url, headers={"Authorization": "Token configure"}) as ws:
        connected = await ws.receive_json()
        await ws.send_json({"type": "Configure", "keyterms": ["parley"]})
        configured = await ws.receive_json()

    assert (connected["type"], connected["sequence_id"]) == ("Connected", 0)
    assert (configured["type"], configured["keyterms"]) == ("ConfigureSuccess", ["parley"])


async def test_a_401_ends_the_stream_at_once(engine: Engine) -> None:
    await engine.inject({"stage": "stt", "kind": "status", "status": 401})

    async with hearing(nova(engine, "refused")) as stream:
        with pytest.raises(APIStatusError) as caught:
            await until_end_of_speech(stream)

    assert caught.value.status_code == 401
    assert await engine.struck() == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_retryable_status_is_tried_again_until_the_tries_are_spent(
    engine: Engine, status: int
) -> None:
    await engine.inject({"stage": "stt", "kind": "status", "status": status})

    async with hearing(nova(engine, f"status-{status}")) as stream:
        with pytest.raises(APIConnectionError) as caught:
            await until_end_of_speech(stream)

    assert isinstance(caught.value.__cause__, APIStatusError)
    assert caught.value.__cause__.status_code == status
    assert await engine.struck() == 2


@pytest.mark.parametrize(
    "rule", [{"kind": "refuse_handshake"}, {"kind": "stall", "at": "handshake"}], ids=["reset", "unanswered"]
)
async def test_a_handshake_that_fails_is_a_connection_error(engine: Engine, rule: dict[str, str]) -> None:
    await engine.inject({"stage": "stt", **rule})

    async with hearing(nova(engine, "handshake"), ONE_TRY) as stream:
        with pytest.raises(APIConnectionError, match="failed to connect"):
            await until_end_of_speech(stream)


@pytest.mark.parametrize("kind", ["close", "half_chunk"])
@pytest.mark.parametrize("plugin", [nova, flux])
async def test_a_stream_that_breaks_is_opened_again_and_hears_what_is_said_next(
    engine: Engine, plugin: Any, kind: str
) -> None:
    key = f"{plugin.__name__}-{kind}"
    await engine.inject({"stage": "stt", "kind": kind, "times": 1})

    async with hearing(plugin(engine, key)) as stream:
        say(stream, SPEECH)
        while (await engine.count("stt", key)).get("requests", 0) < 2:
            pass
        say(stream, SPEECH, SILENCE)

        assert finals(await until_end_of_speech(stream)) == ["book a room"]


async def test_a_stream_that_breaks_without_tries_left_is_an_error(engine: Engine) -> None:
    await engine.inject({"stage": "stt", "kind": "close"})

    async with hearing(nova(engine, "broken"), ONE_TRY) as stream:
        say(stream, SPEECH)
        with pytest.raises((APIStatusError, APIConnectionError)):
            await until_end_of_speech(stream)


async def test_a_reset_can_wait_for_so_many_bytes_of_audio(engine: Engine) -> None:
    rule = {"stage": "stt", "kind": "close", "at": "handshake", "after_bytes": len(SILENCE) * 2, "times": 1}
    await engine.inject(rule)

    async with hearing(nova(engine, "bytes")) as stream:
        say(stream, SILENCE)
        while not (await engine.count("stt", "bytes")).get("open"):
            pass
        assert (await engine.count("stt", "bytes"))["requests"] == 1
        say(stream, SILENCE)
        while (await engine.count("stt", "bytes"))["requests"] < 2:
            pass


async def test_a_silent_recogniser_keeps_the_stream_and_hears_again_once_healed(engine: Engine) -> None:
    await engine.inject({"stage": "stt", "kind": "silent", "times": 1})

    async with hearing(nova(engine, "silent")) as stream:
        say(stream, SPEECH, SILENCE, SPEECH, SILENCE)
        events = await until_end_of_speech(stream)

    assert finals(events) == ["yes please"]
    assert (await engine.count("stt", "silent"))["requests"] == 1


async def test_garbage_is_skipped_by_the_plugin_and_the_stream_goes_on(engine: Engine) -> None:
    await engine.inject({"stage": "stt", "kind": "garbage", "times": 1})

    async with hearing(nova(engine, "garbage")) as stream:
        say(stream, SPEECH, SILENCE, SPEECH, SILENCE)

        assert finals(await until_end_of_speech(stream)) == ["yes please"]


async def test_an_empty_result_ends_the_speech_without_words(engine: Engine) -> None:
    await engine.use_profile(stt={"interim_period_ms": 0})
    await engine.inject({"stage": "stt", "kind": "empty"})

    async with hearing(nova(engine, "empty")) as stream:
        say(stream, SPEECH, SILENCE)

        assert [event.type for event in await until_end_of_speech(stream)] == [START, END]


async def test_slowness_is_logged_apart_from_the_draw(engine: Engine) -> None:
    await engine.inject({"stage": "stt", "kind": "slow", "delay_ms": 300})

    async with hearing(nova(engine, "slow")) as stream:
        say(stream, SPEECH, SILENCE)
        await until_end_of_speech(stream)
    [draw] = await engine.draws("stt", "slow")

    assert (draw["draw_ms"], draw["fault_ms"]) == (20, 300)
    assert draw["final_sent_at"] - draw["end_of_speech_at"] >= 0.320


async def test_a_stalled_stream_is_reset_when_the_faults_are_taken_back(engine: Engine) -> None:
    await engine.inject({"stage": "stt", "kind": "stall", "times": 1})

    async with hearing(nova(engine, "stall")) as stream:
        say(stream, SPEECH, SILENCE)
        await until_struck(engine)
        await engine.heal()
        while (await engine.count("stt", "stall"))["requests"] < 2:
            pass
        say(stream, SPEECH, SILENCE)

        assert finals(await until_end_of_speech(stream)) == ["book a room"]


async def test_a_stalled_server_answers_no_ping(engine: Engine) -> None:
    await engine.inject({"stage": "stt", "kind": "stall"})
    headers = {"Authorization": "Token pings"}

    async with engine.session.ws_connect(f"{engine.url}/v1/listen", headers=headers, heartbeat=0.4) as ws:
        await ws.send_bytes(SPEECH)
        await until_struck(engine)
        await ws.send_bytes(SILENCE)
        async with asyncio.timeout(10):
            message = await ws.receive()

    assert message.type is aiohttp.WSMsgType.ERROR


async def test_open_streams_can_be_reset_all_at_once_as_by_a_provider_that_restarts(engine: Engine) -> None:
    async with hearing(nova(engine, "restart")) as stream:
        while not (await engine.count("stt", "restart")).get("open"):
            pass
        assert await engine.abort(stage="stt", key="restart") == 1
        while (await engine.count("stt", "restart"))["requests"] < 2:
            pass
        say(stream, SPEECH, SILENCE)

        assert finals(await until_end_of_speech(stream)) == ["book a room"]


async def test_a_batch_request_that_is_refused_is_a_connection_error_to_the_plugin(engine: Engine) -> None:
    # the plugin doesn't look at the status of a batch answer: it misses `metadata` in the error's body
    await engine.inject({"stage": "stt", "kind": "status", "status": 401})

    with pytest.raises(APIConnectionError):
        await nova(engine, "batch-refused").recognize(
            rtc.AudioFrame(SPEECH, RATE_HZ, 1, RATE_HZ), conn_options=ONE_TRY
        )


@pytest.mark.parametrize("query", ["encoding=mulaw", "channels=2", "sample_rate=1", "sample_rate=x"])
async def test_audio_that_is_not_modelled_is_refused_at_the_handshake(engine: Engine, query: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await engine.session.ws_connect(
            f"{engine.url}/v1/listen?{query}", headers={"Authorization": "Token k"}
        )

    assert caught.value.status == 400
