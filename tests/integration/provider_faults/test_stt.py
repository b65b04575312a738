"""A call's recogniser, built as in production with Deepgram's plugins, against servers that fail in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from livekit.agents import APIConnectionError, APIError, APIStatusError, stt

from edge_agents.providers.call_providers import CallProviders
from tests.contract.load_model_process import SILENCE, SPEECH
from tests.integration.provider_faults.bench import BOUND_S, ILL, OPTIONS, WELL, Bench, frames_of, metered

REFUSALS: list[dict[str, Any]] = [
    {"kind": "status", "status": 401},
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 500},
    {"kind": "refuse_handshake"},
    {"kind": "stall", "at": "handshake"},
]
SILENCES: list[dict[str, Any]] = [{"kind": "stall"}, {"kind": "silent"}, {"kind": "garbage"}]
BREAKS: list[dict[str, Any]] = [{"kind": "half_chunk"}, {"kind": "close"}]
OPEN_S = 0.5
"""How long a connection is kept without a word: what is counted is its life."""
MODELS = {"deepgram": "nova-3", "deepgram-flux": "flux-general-en"}
ITEMS = {"deepgram": "deepgram/nova-3/second", "deepgram-flux": "deepgram/flux-en/second"}
PAUSE = SILENCE[: len(SILENCE) * 2 // 5]
"""200 ms: the utterance ends with its last sample."""
FINAL, END = stt.SpeechEventType.FINAL_TRANSCRIPT, stt.SpeechEventType.END_OF_SPEECH

pytestmark = pytest.mark.asyncio(loop_scope="module")
each_protocol = pytest.mark.parametrize("protocol", MODELS)


def faults(*rules: dict[str, Any]) -> pytest.MarkDecorator:
    ids = ["-".join(str(part) for part in rule.values()) for rule in rules]
    return pytest.mark.parametrize("fault", rules, ids=ids)


def ears(protocol: str, *endpoints: str) -> list[dict[str, str]]:
    return [{"provider": protocol, "model": MODELS[protocol], "endpoint": endpoint} for endpoint in endpoints]


@asynccontextmanager
async def hearing(providers: CallProviders) -> AsyncIterator[stt.RecognizeStream]:
    """A stream with a session's options; the whole block is bounded."""
    async with (
        asyncio.timeout(BOUND_S),
        providers.stt.stream(conn_options=OPTIONS.stt_conn_options) as stream,
    ):
        yield stream


async def talk(stream: stt.RecognizeStream, *sounds: bytes) -> None:
    """Push audio ten times faster than life."""
    for pcm in sounds:
        for frame in frames_of(pcm):
            stream.push_frame(frame)
            await asyncio.sleep(frame.duration / 10)


async def until_heard(stream: stt.RecognizeStream) -> stt.SpeechData:
    """What the next utterance was heard as."""
    heard: list[stt.SpeechData] = []
    async for event in stream:
        if event.type is FINAL:
            heard += event.alternatives
        if event.type is END and heard:
            break
    [data] = heard
    return data


async def speak_and_listen(stream: stt.RecognizeStream, *sounds: bytes) -> stt.SpeechData:
    """Say something; what it was heard as, or how listening failed."""
    talking = asyncio.create_task(talk(stream, *sounds))
    try:
        return await until_heard(stream)
    finally:
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)


@each_protocol
async def test_an_utterance_is_heard_and_exactly_its_audio_is_counted(desk: Bench, protocol: str) -> None:
    async with desk.providers(stt=ears(protocol, WELL)) as providers:
        async with hearing(providers) as stream:
            # pushed at once, so that the connection lives shorter than the audio is long
            for frame in frames_of(SPEECH + SILENCE + SPEECH + PAUSE):
                stream.push_frame(frame)
            heard = [(await until_heard(stream)).text for _ in range(2)]
        await providers.aclose()

        assert heard == ["book a room", "yes please"]
        assert metered(providers) == {ITEMS[protocol]: Decimal("2.7")}


async def test_a_connection_is_counted_for_as_long_as_it_lives(desk: Bench) -> None:
    async with desk.providers(stt=ears("deepgram", WELL)) as providers:
        async with hearing(providers) as stream:
            await talk(stream, PAUSE)
            await asyncio.sleep(OPEN_S)
        await providers.aclose()

        assert OPEN_S < metered(providers)[ITEMS["deepgram"]] < BOUND_S


@each_protocol
async def test_key_terms_are_an_item_of_their_own(desk: Bench, protocol: str) -> None:
    async with desk.providers(stt=ears(protocol, WELL), keyterms=["Parley"]) as providers:
        async with hearing(providers) as stream:
            await speak_and_listen(stream, SPEECH, PAUSE)
        await providers.aclose()

        counted = metered(providers)
        assert counted[ITEMS[protocol]] == counted["deepgram/keyterm/second"] > 0


@each_protocol
@faults(*REFUSALS, *SILENCES, *BREAKS)
async def test_the_next_recogniser_hears_the_whole_utterance_that_the_failed_one_left_unanswered(
    desk: Bench, protocol: str, fault: dict[str, Any]
) -> None:
    await desk.engine.inject({"stage": "stt", "key": ILL, **fault})
    before = await desk.served("stt", WELL)

    async with desk.providers(stt=ears(protocol, ILL, WELL)) as providers:
        async with hearing(providers) as stream:
            heard = await speak_and_listen(stream, SPEECH, PAUSE)
        await desk.engine.heal()

    assert heard.text == "book a room"
    assert heard.words
    # all of the utterance's second, and not a sample of it twice
    assert heard.words[-1].end_time - heard.words[0].start_time == pytest.approx(1.0, abs=0.06)  # type: ignore[operator]
    assert await desk.served("stt", WELL) == before + 1


@each_protocol
async def test_after_a_failover_the_call_goes_on_with_the_next_recogniser(desk: Bench, protocol: str) -> None:
    await desk.engine.inject({"stage": "stt", "key": ILL, "kind": "close"})

    async with desk.providers(stt=ears(protocol, ILL, WELL)) as providers, hearing(providers) as stream:
        heard = [(await speak_and_listen(stream, SPEECH, SILENCE)).text for _ in range(3)]

    assert heard == ["book a room", "yes please", "book a room"]


@each_protocol
@faults(SILENCES[0], *BREAKS)
async def test_a_single_recogniser_that_fails_once_is_connected_again_and_hears_it_all(
    desk: Bench, protocol: str, fault: dict[str, Any]
) -> None:
    await desk.engine.inject({"stage": "stt", "key": ILL, "times": 1, **fault})

    async with desk.providers(stt=ears(protocol, ILL)) as providers:
        errors: list[stt.STTError] = []
        providers.stt.on("error", errors.append)
        async with hearing(providers) as stream:
            heard = await speak_and_listen(stream, SPEECH, PAUSE)
        await desk.engine.heal()

    assert heard.text == "book a room"
    assert heard.words
    assert heard.words[-1].end_time - heard.words[0].start_time == pytest.approx(1.0, abs=0.06)  # type: ignore[operator]
    assert [error.recoverable for error in errors] == [True]


@pytest.mark.parametrize(
    ("protocol", "fault"),
    [
        *(("deepgram", rule) for rule in REFUSALS),
        ("deepgram-flux", REFUSALS[0]),
        ("deepgram-flux", REFUSALS[3]),
    ],
    ids=str,
)
async def test_a_recogniser_that_is_never_there_is_given_up_and_costs_nothing(
    desk: Bench, protocol: str, fault: dict[str, Any]
) -> None:
    await desk.engine.inject({"stage": "stt", "key": ILL, **fault})

    async with desk.providers(stt=ears(protocol, ILL)) as providers:
        errors: list[stt.STTError] = []
        providers.stt.on("error", errors.append)
        async with hearing(providers) as stream:
            with pytest.raises(APIError) as caught:
                await speak_and_listen(stream, SPEECH, SILENCE)
        await providers.aclose()

        assert metered(providers) == {}
    if fault.get("status") == 401:
        assert isinstance(caught.value, APIStatusError)
        assert [error.recoverable for error in errors] == [False]
    else:
        assert isinstance(caught.value, APIConnectionError)
        assert [error.recoverable for error in errors] == [True, True, True, False]


async def test_when_no_recogniser_is_there_all_are_tried_again_and_then_given_up(desk: Bench) -> None:
    await desk.engine.inject({"stage": "stt", "kind": "refuse_handshake"})

    async with desk.providers(stt=ears("deepgram", ILL, WELL)) as providers:
        errors: list[stt.STTError] = []
        providers.stt.on("error", errors.append)
        async with hearing(providers) as stream:
            with pytest.raises(APIConnectionError):
                await speak_and_listen(stream, SPEECH, SILENCE)

    assert [error.recoverable for error in errors] == [True, True, True, False]


async def test_a_recogniser_that_stays_silent_again_and_again_is_told_of_each_time(desk: Bench) -> None:
    """The framework never gives such a one up (each attempt lasted); session/failures.py counts these."""
    await desk.engine.inject({"stage": "stt", "kind": "silent"})

    async with desk.providers(stt=ears("deepgram", ILL)) as providers:
        failed: asyncio.Queue[stt.STTError] = asyncio.Queue()
        providers.stt.on("error", failed.put_nowait)
        async with hearing(providers) as stream:
            for _ in range(3):
                # longer than the pause between two tries: what is said in between is only heard again
                await talk(stream, *[SILENCE] * 6, SPEECH)
                assert (await failed.get()).recoverable
        await desk.engine.heal()


@each_protocol
async def test_a_dead_server_does_not_hold_up_the_end_of_a_call(desk: Bench, protocol: str) -> None:
    await desk.engine.inject({"stage": "stt", "key": ILL, "kind": "stall"})

    async with desk.providers(stt=ears(protocol, ILL)) as providers:
        async with hearing(providers) as stream:
            await talk(stream, SPEECH)
            await stream.aclose()
            await providers.aclose()

        assert metered(providers)[ITEMS[protocol]] >= Decimal("0.9")
    await desk.engine.heal()
