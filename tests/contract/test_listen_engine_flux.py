"""The engine's `/v2/listen`: Flux, through the official SDK and bare sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from deepgram.listen.v2.types import ListenV2CloseStream, ListenV2Configure, ListenV2TurnInfo

from tests.contract.listen_engine_process import (
    RATE_HZ,
    SILENCE,
    bare,
    messages_until_close,
    recording,
    running_engine,
    say,
    sdk,
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
async def test_the_sdk_hears_a_flux_turn_from_start_to_end(engine: str) -> None:
    async with (
        sdk(engine) as client,
        client.listen.v2.connect(
            model="flux-general-en", encoding="linear16", sample_rate=RATE_HZ, eager_eot_threshold=0.4
        ) as socket,
    ):
        await socket.send_media(recording("weather") + SILENCE)
        await socket.send_close_stream(ListenV2CloseStream(type="CloseStream"))
        connected, *turns = [message async for message in socket]

    assert (connected.type, connected.sequence_id) == ("Connected", 0)
    assert all(isinstance(turn, ListenV2TurnInfo) for turn in turns)
    events = [turn.event for turn in turns]
    assert events[0] == "StartOfTurn"
    assert set(events[1:-1]) <= {"Update", "EagerEndOfTurn", "TurnResumed"}
    assert events[-1] == "EndOfTurn"
    assert turns[-1].transcript == "What's the weather like?"
    assert turns[-1].trigger == "model"
    assert turns[-1].end_of_turn_confidence >= 0.7
    assert {turn.turn_index for turn in turns} == {0}
    assert [turn.sequence_id for turn in turns] == list(range(1, len(turns) + 1))
    assert {turn.request_id for turn in turns} == {connected.request_id}


@pytest.mark.needs("recordings")
async def test_closing_ends_the_turn_by_the_clients_wish(engine: str, http: aiohttp.ClientSession) -> None:
    async with bare(http, engine, version=2) as socket:
        await say(socket, recording("brooklyn_bridge"))
        await socket.send_json({"type": "CloseStream"})
        messages = await messages_until_close(socket)

    assert (messages[-1]["event"], messages[-1]["trigger"]) == ("EndOfTurn", "manual")
    assert socket.close_code == 1000


async def test_flux_takes_new_thresholds_in_band_or_says_why_not(engine: str) -> None:
    async with sdk(engine) as client, client.listen.v2.connect(model="flux-general-en") as socket:
        await socket.recv()
        await socket.send_configure(ListenV2Configure(thresholds={"eot_threshold": 0.8}, keyterms=["parley"]))
        done = await socket.recv()
        await socket.send_configure(ListenV2Configure(thresholds={"eot_threshold": 8}))
        refused = await socket.recv()

    assert (done.type, done.thresholds.eot_threshold, done.keyterms) == ("ConfigureSuccess", 0.8, ["parley"])
    assert refused.type == "ConfigureFailure"
    assert "eot_threshold" in refused.description
