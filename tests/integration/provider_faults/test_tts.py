"""A call's voice, built as in production with the vendors' plugins, against servers that fail in every way."""

from __future__ import annotations

import asyncio
from array import array
from decimal import Decimal
from typing import Any

import pytest
from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError, tts

from edge_agents.providers.tts.metered import MeteredTTS
from tests.integration.provider_faults.bench import BOUND_S, ILL, OPTIONS, QUICK, WELL, Bench, metered, pcm_of

FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "status": 401},
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 500},
    {"kind": "refuse_handshake"},
    {"kind": "stall"},
    {"kind": "silent"},
    {"kind": "half_chunk"},
    {"kind": "close"},
    {"kind": "empty"},
    {"kind": "garbage"},  # a proxy's page with status 200 where the answer is REST
]
VOICES = {"deepgram": "aura-2-andromeda-en", "elevenlabs": "voice-1", "azure": "en-US-JennyNeural"}
ITEMS = {
    "deepgram": "deepgram/aura-2/character",
    "elevenlabs": "elevenlabs/flash/character",
    "azure": "azure/neural/character",
}
TEXT = "Hello there. It is sunny."
TEXT_SAMPLES = len(TEXT) * 20 * 24_000 // 1000
"""The quick profile's 20 ms a character."""
PEAK = 8231
"""-12 dBFS of 32,767: with what the engine's speech begins."""

pytestmark = pytest.mark.asyncio(loop_scope="module")
each_vendor = pytest.mark.parametrize("vendor", VOICES)
each_socket = pytest.mark.parametrize("vendor", ["deepgram", "elevenlabs"])
each_fault = pytest.mark.parametrize(
    "fault", FAULTS, ids=lambda rule: "-".join(str(part) for part in rule.values())
)


def voices(*choices: tuple[str, str]) -> list[dict[str, str]]:
    return [
        {"provider": vendor, "voice": VOICES[vendor], "endpoint": endpoint} for vendor, endpoint in choices
    ]


async def say(voice: tts.TTS[Any], text: str = TEXT) -> array[int]:
    """Speak as a session does: streamed, by sentences where the vendor takes no text in pieces."""
    speaker = voice if voice.capabilities.streaming else tts.StreamAdapter(tts=voice)
    async with asyncio.timeout(BOUND_S), speaker.stream(conn_options=OPTIONS.tts_conn_options) as stream:
        for word in text.split(" "):
            stream.push_text(f"{word} ")
        stream.end_input()
        return pcm_of([audio async for audio in stream])


async def fetch(voice: tts.TTS[Any], text: str = TEXT) -> array[int]:
    """Speak a whole sentence, as those are that are kept."""
    async with (
        asyncio.timeout(BOUND_S),
        voice.synthesize(text, conn_options=OPTIONS.tts_conn_options) as stream,
    ):
        return pcm_of([audio async for audio in stream])


@each_vendor
async def test_a_reply_is_spoken_and_its_characters_are_counted(desk: Bench, vendor: str) -> None:
    async with desk.providers(tts=voices((vendor, WELL))) as providers:
        pcm = await say(providers.tts)
        counted = metered(providers)[ITEMS[vendor]]

    assert pcm[0] == PEAK
    # the words' spaces are spoken too; Azure gets its sentences stripped of those at their ends
    assert TEXT_SAMPLES - 24_000 // 50 <= len(pcm) <= TEXT_SAMPLES + 24_000 // 50
    assert len(TEXT) - 1 <= counted <= len(TEXT) + 1


@each_vendor
async def test_a_whole_sentence_is_counted_to_the_character(desk: Bench, vendor: str) -> None:
    async with desk.providers(tts=voices((vendor, WELL))) as providers:
        assert len(await fetch(providers.tts)) == TEXT_SAMPLES
        assert metered(providers) == {ITEMS[vendor]: len(TEXT)}


async def test_what_would_be_markup_for_azure_is_spoken_and_billed_as_text(desk: Bench) -> None:
    text = 'Fish & chips <break time="9s"/> for 3 > 2.'

    async with desk.providers(tts=voices(("azure", WELL))) as providers:
        pcm = await fetch(providers.tts, text)

        assert len(pcm) == len(text) * 20 * 24
        assert metered(providers) == {ITEMS["azure"]: len(text)}


@pytest.mark.parametrize(
    ("vendor", "fault"),
    [
        pytest.param(vendor, fault, id=f"{vendor}-{'-'.join(map(str, fault.values()))}")
        for vendor in VOICES
        for fault in FAULTS
        # half a chunk of REST audio is audio, and heard: see the replies that break off
        if (vendor, fault["kind"]) != ("azure", "half_chunk")
    ],
)
async def test_a_failing_voice_is_covered_by_the_next_choice(
    desk: Bench, vendor: str, fault: dict[str, Any]
) -> None:
    await desk.engine.inject({"stage": "tts", "key": ILL, **fault})
    before = await desk.served("tts", WELL)

    async with desk.providers(tts=voices((vendor, ILL), ("elevenlabs", WELL))) as providers:
        pcm = await say(providers.tts)
        await desk.engine.heal()

    assert pcm[0] == PEAK
    assert TEXT_SAMPLES <= len(pcm) <= TEXT_SAMPLES + 24_000 // 50
    assert await desk.served("tts", WELL) == before + 1


@each_vendor
@each_fault
async def test_a_failing_voice_without_another_choice_is_an_error_in_time_and_heals(
    desk: Bench, vendor: str, fault: dict[str, Any]
) -> None:
    await desk.engine.inject({"stage": "tts", "key": ILL, **fault})

    async with desk.providers(tts=voices((vendor, ILL))) as providers:
        with pytest.raises(APIError) as caught:
            await say(providers.tts)
        counted = metered(providers)
        await desk.engine.heal()
        healed = await say(providers.tts)

    assert healed[0] == PEAK
    assert TEXT not in str(caught.value)
    match fault["kind"]:
        case "status":
            assert isinstance(caught.value, APIStatusError)
            assert caught.value.status_code == fault["status"]
            assert counted == {}
        case "refuse_handshake":
            assert isinstance(caught.value, APIConnectionError)
            assert counted == {}
        case "stall" | "silent":
            assert isinstance(caught.value, APITimeoutError)
            assert counted[ITEMS[vendor]] >= len("Hello there.")
        case _:
            assert isinstance(caught.value, (APIConnectionError, APIStatusError))


async def test_when_all_choices_fail_each_was_tried_once(desk: Bench) -> None:
    await desk.engine.inject({"stage": "tts", "kind": "silent"})

    async with desk.providers(tts=voices(("deepgram", ILL), ("elevenlabs", WELL))) as providers:
        errors: list[tts.TTSError] = []
        providers.tts.on("error", errors.append)
        with pytest.raises(APIConnectionError, match="all TTSs failed"):
            await say(providers.tts)

    assert [error.recoverable for error in errors] == [False]


@each_vendor
@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 500}, {"kind": "refuse_handshake"}],
    ids=["500", "refused"],
)
async def test_another_try_does_not_count_again_what_was_not_sent(
    desk: Bench, vendor: str, fault: dict[str, Any]
) -> None:
    await desk.engine.inject({"stage": "tts", "key": ILL, "times": 1, **fault})

    async with desk.providers(tts=voices((vendor, ILL))) as providers:
        assert len(await fetch(providers.tts)) == TEXT_SAMPLES
        fetched = metered(providers)[ITEMS[vendor]]
        await desk.engine.inject({"stage": "tts", "key": ILL, "times": 1, **fault})
        await say(providers.tts)
        said = metered(providers)[ITEMS[vendor]] - fetched

    assert fetched == len(TEXT)
    assert len(TEXT) - 1 <= said <= len(TEXT) + 1


@each_socket
async def test_an_interrupted_reply_is_billed_for_all_its_text_and_the_next_one_is_heard(
    desk: Bench, vendor: str
) -> None:
    await desk.engine.use_profile(tts={"speedup": 1})
    text = "A long reply. " * 20

    async with desk.providers(tts=voices((vendor, WELL))) as providers:
        async with providers.tts.stream(conn_options=OPTIONS.tts_conn_options) as stream:
            stream.push_text(text)
            stream.end_input()
            await anext(stream)
        assert metered(providers) == {ITEMS[vendor]: Decimal(len(text))}
        await desk.engine.use_profile()
        assert len(await fetch(providers.tts)) == TEXT_SAMPLES
        assert (await say(providers.tts))[0] == PEAK


@each_vendor
@pytest.mark.parametrize("others", [(), (("elevenlabs", WELL),)], ids=["alone", "with another choice"])
@pytest.mark.parametrize(
    ("speak", "kind"), [(say, "close"), (say, "half_chunk"), (say, "stall"), (fetch, "close")]
)
async def test_a_reply_that_breaks_off_is_an_error_and_is_not_begun_again(
    desk: Bench, vendor: str, kind: str, others: tuple[tuple[str, str], ...], speak: Any
) -> None:
    await desk.engine.use_profile(tts={"ms_per_char": 200})
    await desk.engine.inject({"stage": "tts", "key": ILL, "kind": kind, "after_chunks": 10, "times": 1})
    before = await desk.served("tts", WELL)

    async with desk.providers(tts=voices((vendor, ILL), *others)) as providers:
        errors: list[tts.TTSError] = []
        providers.tts.on("error", errors.append)
        with pytest.raises(APIError):
            await speak(providers.tts, "Hello there and welcome.")
        await desk.engine.heal()

    assert [error.recoverable for error in errors] == [False]
    assert await desk.served("tts", WELL) == before


@each_vendor
async def test_a_page_with_status_200_is_never_kept_as_a_sentence(desk: Bench, vendor: str) -> None:
    await desk.engine.inject({"stage": "tts", "key": ILL, "kind": "garbage"})

    async with desk.providers(tts=voices((vendor, ILL))) as providers:
        with pytest.raises(APIError):
            await fetch(providers.tts)


@each_socket
async def test_a_server_that_never_says_goodbye_does_not_hold_up_the_end_of_a_call(
    desk: Bench, vendor: str
) -> None:
    await desk.engine.inject({"stage": "tts", "key": ILL, "kind": "stall"})

    async with desk.providers(tts=voices((vendor, ILL))) as providers:
        with pytest.raises(APITimeoutError):
            await say(providers.tts)
        async with asyncio.timeout(2 * QUICK.close_s + 1):  # the plugin would wait for 10 s
            await providers.aclose()


async def test_the_first_choice_s_voice_can_be_had_alone(desk: Bench) -> None:
    await desk.engine.inject({"stage": "tts", "key": ILL, "kind": "status", "status": 500})

    async with desk.providers(tts=voices(("deepgram", ILL), ("elevenlabs", WELL))) as providers:
        assert isinstance(providers.first_voice, MeteredTTS)
        with pytest.raises(APIStatusError):
            await fetch(providers.first_voice)
