"""Keyterms: a name outside the vocabulary is heard by who asks for it, and by nobody else.

The names are invented and spoken by espeak-ng when the tests run.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import httpx
import numpy as np
import pytest
from deepgram.core.api_error import ApiError
from deepgram.listen.v1.types import ListenV1Configure
from deepgram.listen.v2.types import ListenV2Configure

from tests.contract import tts_engine_process
from tests.contract.listen_engine_process import (
    KEY,
    RATE_HZ,
    ROOMS,
    SILENCE,
    bare,
    finals,
    messages_until_close,
    running_engine,
    say,
    sdk,
    teach_rooms,
    transcript,
)

# deepgram-sdk 7.17 imports names that websockets 17 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")

NAME = "Zelvorix"
SENTENCE = f"my name is {NAME}"
PHRASE = "Brimtosk Quanderby"
MOST_TERMS = [f"a{number:03}" for number in range(500)]
"""One token each."""


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with running_engine() as url:
        teach_rooms(url)
        yield url


@pytest.fixture(scope="module")
def spoken() -> Iterator[dict[str, bytes]]:
    """Text -> 16 kHz linear16 PCM with a second of silence after it."""
    with tts_engine_process.running_engine() as url:
        yield {text: synthesise(url, text) + SILENCE for text in (SENTENCE, f"i want to see {PHRASE}")}


def synthesise(url: str, text: str) -> bytes:
    query = {"model": "caller-1", "encoding": "linear16", "sample_rate": RATE_HZ, "container": "none"}
    answer = httpx.post(f"{url}/v1/speak", params=query, headers=KEY, json={"text": text}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def streamed(http: aiohttp.ClientSession, engine: str, query: str, pcm: bytes) -> str:
    async with bare(http, engine, query) as socket:
        await say(socket, pcm)
        await socket.send_json({"type": "CloseStream"})
        return " ".join(map(transcript, finals(await messages_until_close(socket))))


@pytest.mark.parametrize("model", ["model=nova-3", "model=nova-3&tag=agent:rooms"])
async def test_an_unknown_name_is_heard_with_its_keyterm_and_forgotten_by_the_next_stream(
    engine: str, http: aiohttp.ClientSession, spoken: dict[str, bytes], model: str
) -> None:
    heard = [
        await streamed(http, engine, query, spoken[SENTENCE])
        for query in (model, f"{model}&keyterm={NAME}", model, f"{model}&keyterm=Tarquelle")
    ]

    assert ["zelvorix" in text for text in heard] == [False, True, False, False]


async def test_two_streams_at_once_do_not_share_their_keyterms(
    engine: str, http: aiohttp.ClientSession, spoken: dict[str, bytes]
) -> None:
    query = "tag=agent:rooms"
    async with bare(http, engine, f"{query}&keyterm={NAME}") as knowing, bare(http, engine, query) as other:
        for socket in (knowing, other):
            await say(socket, spoken[SENTENCE])
            await socket.send_json({"type": "CloseStream"})
        heard = [" ".join(map(transcript, finals(await messages_until_close(s)))) for s in (knowing, other)]

    assert ["zelvorix" in text for text in heard] == [True, False]


async def test_a_phrase_is_heard_as_its_words_each_with_its_time(
    engine: str, http: aiohttp.ClientSession, spoken: dict[str, bytes]
) -> None:
    async with bare(http, engine, f"tag=agent:rooms&keyterm={PHRASE}") as socket:
        await say(socket, spoken[f"i want to see {PHRASE}"])
        await socket.send_json({"type": "CloseStream"})
        [final] = finals(await messages_until_close(socket))

    first, second = final["channel"]["alternatives"][0]["words"][-2:]
    assert [first["word"], second["word"]] == PHRASE.lower().split()
    assert first["start"] < first["end"] <= second["start"] < second["end"]


async def test_interim_words_know_the_keyterms_too(
    engine: str, http: aiohttp.ClientSession, spoken: dict[str, bytes]
) -> None:
    samples = np.frombuffer(spoken[SENTENCE], np.int16)
    going_on = samples[: np.flatnonzero(np.abs(samples) > 500)[-1]].tobytes()
    async with bare(http, engine, f"tag=agent:rooms&interim_results=true&keyterm={NAME}") as socket:
        await say(socket, spoken[SENTENCE])
        await socket.send_json({"type": "Finalize"})
        await next_final(socket)  # by now the decoder for interims is being built as well
        await say(socket, going_on, going_on)
        while "zelvorix" not in transcript(interim := await socket.receive_json()):
            pass

    assert not interim["is_final"]


async def test_the_sdk_transcribes_a_recording_with_keyterms(engine: str, spoken: dict[str, bytes]) -> None:
    async with sdk(engine) as client:
        answers = [
            await client.listen.v1.media.transcribe_file(
                request=spoken[SENTENCE], model="nova-3", encoding="linear16", keyterm=keyterms
            )
            for keyterms in ([NAME], None)
        ]

    heard = [answer.results.channels[0].alternatives[0].transcript for answer in answers]
    assert ["zelvorix" in text for text in heard] == [True, False]


async def test_a_flux_turn_is_heard_with_keyterms(
    engine: str, http: aiohttp.ClientSession, spoken: dict[str, bytes]
) -> None:
    async with bare(http, engine, f"tag=agent:rooms&keyterm={NAME}", version=2) as socket:
        await say(socket, spoken[SENTENCE])
        await socket.send_json({"type": "CloseStream"})
        messages = await messages_until_close(socket)

    assert messages[-1]["event"] == "EndOfTurn"
    assert "Zelvorix" in messages[-1]["transcript"].title()


async def test_keyterms_configured_in_band_replace_those_before(
    engine: str, http: aiohttp.ClientSession, spoken: dict[str, bytes]
) -> None:
    heard = []
    async with bare(http, engine, "tag=agent:rooms") as socket:
        for keyterms in ([NAME], []):
            await socket.send_json({"type": "Configure", "keyterms": keyterms})
            while (configured := await socket.receive_json())["type"] == "Results":
                pass
            assert (configured["type"], configured["keyterms"]) == ("ConfigureSuccess", keyterms)
            await say(socket, spoken[SENTENCE])
            await socket.send_json({"type": "Finalize"})
            heard.append(transcript(await next_final(socket)))

    assert ["zelvorix" in text for text in heard] == [True, False]


async def next_final(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    while not transcript(result := await socket.receive_json()) or not result["is_final"]:
        pass
    return dict(result)


@pytest.mark.parametrize("version", [1, 2])
async def test_more_than_500_tokens_are_refused_as_deepgram_does(
    engine: str, http: aiohttp.ClientSession, version: int
) -> None:
    query = [("keyterm", term) for term in [*MOST_TERMS, "more"]]
    async with http.get(f"{engine}/v{version}/listen", params=query, headers=KEY) as response:
        body = await response.json()

    assert response.status == 400
    assert body["err_msg"] == (
        "Keyterm limit exceeded. The maximum number of tokens across all keyterms is 500."
    )


async def test_the_sdk_tells_that_a_recording_has_too_many_keyterms(engine: str) -> None:
    async with sdk(engine) as client:
        with pytest.raises(ApiError) as caught:
            await client.listen.v1.media.transcribe_file(
                request=SILENCE, model="nova-3", encoding="linear16", keyterm=["x" * 2001]
            )

    assert caught.value.status_code == 400


async def test_as_many_keyterms_as_may_be_are_taken(
    engine: str, http: aiohttp.ClientSession, spoken: dict[str, bytes]
) -> None:
    query = [("tag", "agent:rooms"), ("encoding", "linear16")]
    query += [("keyterm", term) for term in [*MOST_TERMS[:-2], NAME]]
    body = io.BytesIO(spoken[SENTENCE])
    async with http.post(f"{engine}/v1/listen", params=query, data=body, headers=KEY) as response:
        answer = await response.json()

    assert response.status == 200
    assert "zelvorix" in answer["results"]["channels"][0]["alternatives"][0]["transcript"]


@pytest.mark.parametrize(
    "keyterm", ["", " ", "東京", "!?", "~", "_", "a_b~", "(2)", "<s>", "\x00", "word " * 490, "9" * 2000]
)
async def test_a_keyterm_that_nobody_can_say_does_no_harm(
    engine: str, http: aiohttp.ClientSession, spoken: dict[str, bytes], keyterm: str
) -> None:
    query = [("tag", "agent:rooms"), ("keyterm", keyterm), ("keyterm", NAME), ("encoding", "linear16")]
    if keyterm == "word " * 490:
        query = [*query[:2], *query[3:]]
    body = io.BytesIO(spoken[SENTENCE])
    async with http.post(f"{engine}/v1/listen", params=query, data=body, headers=KEY) as response:
        answer = await response.json()

    if keyterm == "9" * 2000:
        assert response.status == 400
    else:
        assert response.status == 200
        assert answer["results"]["channels"][0]["alternatives"][0]["transcript"].startswith("my name is")


async def test_sets_of_keyterms_that_are_in_use_at_once_are_bounded(
    engine: str, http: aiohttp.ClientSession
) -> None:
    """Four of the general language; the fifth is refused until a stream ends."""
    sockets = [await http.ws_connect(f"{engine}/v1/listen?keyterm=term{n}", headers=KEY) for n in range(4)]
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(f"{engine}/v1/listen?keyterm=term5", headers=KEY)
    shared = await http.ws_connect(f"{engine}/v1/listen?keyterm=TERM3", headers=KEY)
    for socket in [*sockets, shared]:
        await socket.send_json({"type": "CloseStream"})
        await messages_until_close(socket)

    assert caught.value.status == 429


async def test_too_many_keyterms_in_band_are_refused_and_those_before_stay(engine: str) -> None:
    async with sdk(engine) as client:
        async with client.listen.v1.connect(model="nova-3") as socket:
            await socket.send_configure(ListenV1Configure(keyterms=["x" * 2001]))
            first = await socket.recv()
        async with client.listen.v2.connect(model="flux-general-en") as flux:
            await flux.recv()
            await flux.send_configure(ListenV2Configure(keyterms=["x" * 2001]))
            second = await flux.recv()

    assert [first.type, second.type] == ["ConfigureFailure", "ConfigureFailure"]


async def test_an_agents_own_keyterms_need_no_decoder_of_their_own(
    engine: str, http: aiohttp.ClientSession, spoken: dict[str, bytes]
) -> None:
    """More streams than there is room for models: none of them takes any."""
    query = [("tag", "agent:rooms"), *(("keyterm", term.upper()) for term in ROOMS["keyterms"])]
    sockets = [
        await http.ws_connect(f"{engine}/v1/listen", params=[*query, ("tag", str(n))], headers=KEY)
        for n in range(20)
    ]
    await say(sockets[0], spoken[SENTENCE])
    for socket in sockets:
        await socket.send_json({"type": "CloseStream"})
    messages = await messages_until_close(sockets[0])

    assert transcript(finals(messages)[0]).startswith("my name is")
    for socket in sockets:
        await socket.close()
