"""The load model's voices and their faults, as the LiveKit Deepgram, ElevenLabs and Azure plugins meet them."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from livekit.agents import (
    APIConnectionError,
    APIConnectOptions,
    APIError,
    APIStatusError,
    APITimeoutError,
    tts,
)
from livekit.plugins import azure, deepgram, elevenlabs

from tests.contract.load_model_process import Engine, running_engine

ONE_TRY = APIConnectOptions(max_retry=0, timeout=1)
TWO_TRIES = APIConnectOptions(max_retry=1, timeout=5, retry_interval=0.01)
TEXT = "Hello there. It is sunny."
RATE_HZ = 24_000
TEXT_SAMPLES = len(TEXT) * 20 * RATE_HZ // 1000
"""The quick profile's 20 ms a character."""

PEAK = 8231
"""-12 dBFS of 32,767."""


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


def aura(engine: Engine, key: str) -> tts.TTS[Any]:
    return deepgram.TTS(api_key=key, base_url=f"{engine.url}/v1/speak", http_session=engine.session)


def eleven(engine: Engine, key: str) -> tts.TTS[Any]:
    return elevenlabs.TTS(
        api_key=key, base_url=f"{engine.url}/v1", encoding="pcm_24000", http_session=engine.session
    )


def azure_neural(engine: Engine, key: str) -> tts.TTS[Any]:
    endpoint = f"{engine.url}/cognitiveservices/v1"
    return azure.TTS(speech_endpoint=endpoint, speech_key=key, http_session=engine.session)


type_of_plugin = Callable[[Engine, str], tts.TTS[Any]]
by_socket = pytest.mark.parametrize("plugin", [aura, eleven])
by_rest = pytest.mark.parametrize("plugin", [aura, eleven, azure_neural])


@asynccontextmanager
async def voice(plugin: tts.TTS[Any]) -> AsyncIterator[tts.TTS[Any]]:
    try:
        async with asyncio.timeout(10):
            yield plugin
    finally:
        await plugin.aclose()


async def stream_speech(
    plugin: tts.TTS[Any], text: str = TEXT, options: APIConnectOptions = TWO_TRIES
) -> list[tts.SynthesizedAudio]:
    """What a websocket stream of `text` gives."""
    async with voice(plugin) as speaker, speaker.stream(conn_options=options) as stream:
        stream.push_text(text)
        stream.end_input()
        return [audio async for audio in stream]


async def fetch_speech(
    plugin: tts.TTS[Any], text: str = TEXT, options: APIConnectOptions = TWO_TRIES
) -> list[tts.SynthesizedAudio]:
    """What a REST request for `text` gives."""
    async with voice(plugin) as speaker, speaker.synthesize(text, conn_options=options) as stream:
        return [audio async for audio in stream]


def samples(audio: list[tts.SynthesizedAudio]) -> array[int]:
    """PCM without the 10 ms of zeros that the framework puts after a REST answer (it flushes, then ends)."""
    pcm = array("h", b"".join(bytes(piece.frame.data.cast("B")) for piece in audio))
    tail = RATE_HZ // 100
    return pcm[:-tail] if not any(pcm[-tail:]) else pcm


@by_socket
async def test_streamed_speech_has_the_length_of_its_text_and_starts_at_its_peak(
    engine: Engine, plugin: type_of_plugin
) -> None:
    pcm = samples(await stream_speech(plugin(engine, "length")))

    assert len(pcm) == TEXT_SAMPLES
    assert pcm[0] == PEAK


@by_rest
async def test_fetched_speech_has_the_length_of_its_text_and_starts_at_its_peak(
    engine: Engine, plugin: type_of_plugin
) -> None:
    pcm = samples(await fetch_speech(plugin(engine, "length")))

    assert len(pcm) == TEXT_SAMPLES
    assert pcm[0] == PEAK


async def test_the_lead_silence_is_exact_zeros_and_nothing_else_is(engine: Engine) -> None:
    await engine.use_profile(tts={"lead_silence_ms": 100})

    pcm = samples(await stream_speech(aura(engine, "lead")))

    assert not any(pcm[: RATE_HZ // 10])
    assert pcm[RATE_HZ // 10] == PEAK
    assert len(pcm) == TEXT_SAMPLES + RATE_HZ // 10


@pytest.mark.parametrize(("start_at", "ready_before_the_end"), [("sentence", True), ("flush", False)])
async def test_speech_starts_with_the_first_sentence_or_with_the_flush(
    engine: Engine, start_at: str, ready_before_the_end: bool
) -> None:
    await engine.use_profile(tts={"start_at": start_at})
    key = f"start-{start_at}"

    async with voice(aura(engine, key)) as speaker, speaker.stream() as stream:
        stream.push_text("One sentence. And then")
        if ready_before_the_end:
            first = await anext(stream)
            assert first.frame.duration > 0
        stream.push_text(" some more.")
        stream.end_input()
        async for _ in stream:
            pass
    [draw] = await engine.draws("tts", key)

    assert draw["draw_ms"] == 10
    assert draw["first_audio_at"] - draw["text_ready_at"] >= 0.010
    assert draw["done_at"] >= draw["first_audio_at"]


async def test_a_pooled_socket_serves_one_reply_after_another(engine: Engine) -> None:
    async with voice(aura(engine, "pooled")) as speaker:
        for _ in range(3):
            async with speaker.stream() as stream:
                stream.push_text(TEXT)
                stream.end_input()
                assert len(samples([audio async for audio in stream])) == TEXT_SAMPLES
        count = await engine.count("tts", "pooled")

    assert (count["requests"], count["work"]) == (1, 3)
    assert [draw["index"] for draw in await engine.draws("tts", "pooled")] == [0, 1, 2]


async def test_a_reply_that_is_interrupted_is_logged_as_cancelled(engine: Engine) -> None:
    await engine.use_profile(tts={"speedup": 1})

    async with voice(aura(engine, "interrupted")) as speaker, speaker.stream() as stream:
        stream.push_text("A long reply. " * 20)
        stream.end_input()
        await anext(stream)
        # the plugin's pool keeps the socket of an interrupted reply until it is closed itself
    while (await engine.count("tts", "interrupted"))["open"]:
        pass
    [draw] = await engine.draws("tts", "interrupted")

    assert draw["cancelled"]
    assert draw["done_at"] is None


async def test_elevenlabs_contexts_speak_at_the_same_time_on_one_socket(engine: Engine) -> None:
    async with voice(eleven(engine, "contexts")) as speaker:

        async def one() -> int:
            async with speaker.stream() as stream:
                stream.push_text(TEXT)
                stream.end_input()
                return len(samples([audio async for audio in stream]))

        assert await asyncio.gather(*(one() for _ in range(5))) == [TEXT_SAMPLES] * 5

    assert (await engine.count("tts", "contexts"))["requests"] == 1


async def test_elevenlabs_aligns_words_with_the_audio(engine: Engine) -> None:
    audio = await stream_speech(eleven(engine, "aligned"))

    words = [word for piece in audio for word in piece.frame.userdata.get("lk.timed_transcripts", [])]
    assert "".join(words).split() == TEXT.split()
    starts = [word.start_time for word in words]
    assert starts == sorted(starts)


async def test_text_that_breaks_the_azure_plugin_s_ssml_is_refused_as_azure_does(engine: Engine) -> None:
    with pytest.raises(APIStatusError) as caught:
        await fetch_speech(azure_neural(engine, "ssml"), "Fish & chips.")

    assert caught.value.status_code == 400


@by_socket
async def test_a_401_at_the_handshake_is_not_tried_again(engine: Engine, plugin: type_of_plugin) -> None:
    await engine.inject({"stage": "tts", "kind": "status", "status": 401})

    with pytest.raises(APIStatusError) as caught:
        await stream_speech(plugin(engine, "refused"))

    assert caught.value.status_code == 401
    assert await engine.struck() == 1


@by_rest
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_retryable_status_is_tried_again(engine: Engine, plugin: type_of_plugin, status: int) -> None:
    await engine.inject({"stage": "tts", "kind": "status", "status": status, "times": 1})

    assert len(samples(await fetch_speech(plugin(engine, "retried")))) == TEXT_SAMPLES
    assert await engine.struck() == 1


@by_socket
@pytest.mark.parametrize("kind", ["refuse_handshake", "close", "half_chunk", "garbage", "empty"])
async def test_a_stream_that_fails_before_any_audio_is_tried_again(
    engine: Engine, plugin: type_of_plugin, kind: str
) -> None:
    await engine.inject({"stage": "tts", "kind": kind, "times": 1})

    assert len(samples(await stream_speech(plugin(engine, kind)))) == TEXT_SAMPLES
    assert await engine.struck() == 1


@by_socket
@pytest.mark.parametrize("kind", ["silent", "stall"])
async def test_a_stream_without_audio_times_out_and_is_tried_again(
    engine: Engine, plugin: type_of_plugin, kind: str
) -> None:
    await engine.inject({"stage": "tts", "kind": kind, "times": 1})
    options = APIConnectOptions(max_retry=1, timeout=0.5, retry_interval=0.01)
    failed = asyncio.Event()

    async with voice(plugin(engine, kind)) as speaker:
        speaker.on("error", lambda _: failed.set())
        async with speaker.stream(conn_options=options) as stream:
            stream.push_text(TEXT)
            stream.end_input()
            await failed.wait()
            await engine.heal()  # a plugin waits 10 s for the goodbye of a server that is still stalled
            assert len(samples([audio async for audio in stream])) == TEXT_SAMPLES


@by_socket
@pytest.mark.parametrize("kind", ["close", "half_chunk", "garbage"])
async def test_a_stream_that_fails_after_its_first_audio_is_an_error(
    engine: Engine, plugin: type_of_plugin, kind: str
) -> None:
    await engine.use_profile(tts={"ms_per_char": 200})
    await engine.inject({"stage": "tts", "kind": kind, "after_chunks": 10})

    with pytest.raises(APIError):
        await stream_speech(plugin(engine, f"{kind}-later"))

    assert await engine.struck() == 1


@by_rest
@pytest.mark.parametrize("kind", ["refuse_handshake", "close", "half_chunk"])
async def test_a_fetch_that_breaks_is_a_connection_error(
    engine: Engine, plugin: type_of_plugin, kind: str
) -> None:
    await engine.inject({"stage": "tts", "kind": kind})

    with pytest.raises(APIConnectionError):
        await fetch_speech(plugin(engine, kind), options=ONE_TRY)


async def test_an_error_page_with_status_200_is_taken_for_audio_except_by_elevenlabs(engine: Engine) -> None:
    await engine.inject({"stage": "tts", "kind": "garbage"})

    for plugin in (aura, azure_neural):
        assert samples(await fetch_speech(plugin(engine, "page"), options=ONE_TRY))[:3].tobytes() == b"<html>"
    with pytest.raises(APIConnectionError):
        await fetch_speech(eleven(engine, "page"), options=ONE_TRY)


async def test_slowness_is_logged_apart_from_the_draw(engine: Engine) -> None:
    await engine.inject({"stage": "tts", "vendor": "azure", "kind": "slow", "delay_ms": 50})

    await fetch_speech(azure_neural(engine, "slow"))
    [draw] = await engine.draws("tts", "slow")

    assert (draw["draw_ms"], draw["fault_ms"]) == (10, 50)
    assert draw["first_audio_at"] - draw["text_ready_at"] >= 0.060


async def test_a_rule_for_one_vendor_leaves_the_others_healthy(engine: Engine) -> None:
    await engine.inject({"stage": "tts", "vendor": "deepgram", "kind": "status", "status": 503})
    adapter = tts.FallbackAdapter([aura(engine, "ill"), eleven(engine, "well")], max_retry_per_tts=0)

    assert len(samples(await stream_speech(adapter))) == TEXT_SAMPLES
    assert await engine.struck() >= 1


async def test_compressed_output_is_refused_because_there_is_no_encoder(engine: Engine) -> None:
    plugin = elevenlabs.TTS(api_key="mp3", base_url=f"{engine.url}/v1", http_session=engine.session)

    with pytest.raises(APIStatusError) as caught:
        await fetch_speech(plugin, options=ONE_TRY)

    assert caught.value.status_code == 400


async def test_a_stalled_fetch_times_out_at_the_client(engine: Engine) -> None:
    await engine.inject({"stage": "tts", "kind": "stall"})

    with pytest.raises((APITimeoutError, TimeoutError)):
        async with asyncio.timeout(0.5):
            await fetch_speech(aura(engine, "stalled"), options=ONE_TRY)


@asynccontextmanager
async def bare_socket(engine: Engine, key: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A `/v1/speak` websocket whose greeting was read; the whole block has 10 s."""
    headers = {"Authorization": f"Token {key}"}
    async with (
        asyncio.timeout(10),
        engine.session.ws_connect(f"{engine.url}/v1/speak", headers=headers) as ws,
    ):
        assert (await ws.receive_json())["type"] == "Metadata"
        yield ws


async def until_json(ws: aiohttp.ClientWebSocketResponse) -> tuple[dict[str, Any], int]:
    """The next text message, and the bytes of audio before it."""
    audio_bytes = 0
    async for message in ws:
        if message.type is aiohttp.WSMsgType.TEXT:
            return message.json(), audio_bytes
        audio_bytes += len(message.data)
    raise AssertionError("closed")


async def test_every_flush_is_answered_by_one_flushed_even_without_text(engine: Engine) -> None:
    async with bare_socket(engine, "flushes") as ws:
        await ws.send_json({"type": "Flush"})
        empty = await until_json(ws)
        await ws.send_json({"type": "Speak", "text": TEXT})
        await ws.send_json({"type": "Flush"})
        full = await until_json(ws)

    assert empty == ({"type": "Flushed", "sequence_id": 0}, 0)
    assert full == ({"type": "Flushed", "sequence_id": 1}, 2 * TEXT_SAMPLES)


async def test_clear_hushes_and_the_next_text_is_spoken(engine: Engine) -> None:
    await engine.use_profile(tts={"ttfb_ms": [60_000, 60_000]})
    async with bare_socket(engine, "clear") as ws:
        await ws.send_json({"type": "Speak", "text": TEXT})
        await ws.send_json({"type": "Flush"})
        await ws.send_json({"type": "Clear"})
        assert (await until_json(ws))[0]["type"] == "Cleared"
        await engine.use_profile()
        await ws.send_json({"type": "Speak", "text": TEXT})
        await ws.send_json({"type": "Flush"})

        assert (await until_json(ws))[1] == 2 * TEXT_SAMPLES
    hushed, spoken = await engine.draws("tts", "clear")
    assert (hushed["cancelled"], spoken["cancelled"]) == (True, False)


async def test_close_speaks_what_is_left_and_says_goodbye(engine: Engine) -> None:
    async with bare_socket(engine, "goodbye") as ws:
        await ws.send_json({"type": "Speak", "text": TEXT})
        await ws.send_json({"type": "Close"})
        assert (await until_json(ws))[1] == 2 * TEXT_SAMPLES
        await ws.receive()

    assert ws.close_code == 1000


async def test_a_message_that_is_none_is_warned_of(engine: Engine) -> None:
    async with bare_socket(engine, "warned") as ws:
        await ws.send_str("[]")

        assert (await ws.receive_json())["type"] == "Warning"
