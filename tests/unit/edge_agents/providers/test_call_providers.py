"""The provider objects of one call: what is made of a configuration, and how it is closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import llm, stt, tts
from pydantic import SecretStr

from edge_agents.providers.call_providers import CallProviders, build_call_providers, connect_options
from edge_agents.providers.clients import EndpointMissingError, ProviderClients
from edge_agents.providers.llm.metered import MeteredLLM
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.stt.metered import MeteredSTT, UnansweredAudio
from edge_agents.providers.timeouts import DEADLINES, Deadlines
from edge_agents.providers.tts.metered import MeteredTTS
from edge_agents.settings import AgentSettings, Endpoint
from tests.fakes.configs import agent_config, agent_record
from tests.fakes.virtual_time import elapsed_s, run_virtual
from tests.unit.edge_agents.providers.fake_plugins import FakeEar, FakeEarStream, FakeModel, FakeVoice

PROVIDERS = ("deepgram-stt", "deepgram-flux", "deepgram-tts", "elevenlabs", "azure", "openai")
NOWHERE = "http://127.0.0.1:1"


def settings(*endpoints: str) -> AgentSettings:
    return AgentSettings(
        media_secret=SecretStr("x" * 32),
        endpoints={name: Endpoint(url=NOWHERE, key=SecretStr("k")) for name in endpoints},
        kafka_bootstrap="127.0.0.1:1",
        spill_dir=Path("unused"),
        sealing_key_file=Path("unused"),
        agents_dir=Path("unused"),
        phrase_dir=Path("unused"),
        allow_loopback=True,
    )


@pytest.fixture
async def clients() -> AsyncIterator[ProviderClients]:
    async with ProviderClients(settings(*PROVIDERS, "openai/eu")) as clients:
        yield clients


def build(clients: ProviderClients, **config: Any) -> CallProviders:
    version = agent_record(config=agent_config(**config)).version
    return build_call_providers(version, ("agent:a",), clients=clients)


async def test_a_single_choice_is_used_as_it_is(clients: ProviderClients) -> None:
    providers = build(clients)

    assert providers.owned == [providers.stt, providers.llm, providers.tts]
    assert isinstance(providers.stt, MeteredSTT)
    assert isinstance(providers.llm, MeteredLLM)
    assert isinstance(providers.tts, MeteredTTS)
    assert providers.first_voice is providers.tts
    await providers.aclose()


async def test_several_choices_are_tried_in_their_order(clients: ProviderClients) -> None:
    providers = build(
        clients,
        stt=[{"provider": "deepgram"}, {"provider": "deepgram-flux", "model": "flux-general-en"}],
        llm=[{"model": "gpt-4.1-mini"}, {"model": "gpt-4.1", "endpoint": "eu"}],
        tts=[{"provider": name, "voice": "v"} for name in ("azure", "elevenlabs", "deepgram")],
    )

    assert isinstance(providers.stt, stt.FallbackAdapter)
    assert isinstance(providers.llm, llm.FallbackAdapter)
    assert isinstance(providers.tts, tts.FallbackAdapter)
    assert [provider.provider for provider in providers.owned] == [
        "deepgram",
        "deepgram",
        "openai",
        "openai",
        "azure",
        "elevenlabs",
        "deepgram",
    ]
    assert providers.first_voice.provider == "azure"
    assert providers.tts.sample_rate == 24_000
    await providers.aclose()


async def test_no_object_is_shared_between_calls(clients: ProviderClients) -> None:
    first, second = build(clients), build(clients)

    for one, other in zip(first.owned, second.owned, strict=True):
        assert one is not other
        assert one.inner is not other.inner
    assert first.meter is not second.meter
    await first.aclose()
    await second.aclose()


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        ({}, "deepgram-stt"),
        ({"stt": [{"provider": "deepgram-flux"}]}, "deepgram-flux"),
        ({"stt": [{"endpoint": "eu"}]}, "deepgram-stt/eu"),
    ],
)
async def test_an_endpoint_that_the_process_lacks_is_named(config: dict[str, Any], missing: str) -> None:
    async with ProviderClients(settings("openai")) as clients:
        with pytest.raises(EndpointMissingError) as caught:
            build(clients, **config)

    assert caught.value.code == "provider_not_configured"
    assert caught.value.data == {"provider": missing}


async def test_clients_that_are_not_open_make_nothing() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        build(ProviderClients(settings(*PROVIDERS)))


async def test_one_client_serves_all_calls_of_an_endpoint(clients: ProviderClients) -> None:
    assert clients.openai() is clients.openai()
    assert clients.openai() is not clients.openai("eu")
    assert clients.tenant_openai(NOWHERE, "a")[0] is clients.tenant_openai(NOWHERE, "a")[0]
    assert clients.tenant_openai(NOWHERE, "a")[0] is not clients.tenant_openai(NOWHERE, "b")[0]


async def test_keys_do_not_show_in_settings() -> None:
    shown = repr(settings("openai").model_copy())

    assert "SecretStr('**********')" in shown
    assert "'k'" not in shown


def test_a_session_tries_long_enough_to_meet_every_choice_and_never_closes_by_itself() -> None:
    options = connect_options()

    # a failure that comes later than this starts a new count of tries: a dead server must not reach it
    assert options.stt_conn_options.timeout > 4 * DEADLINES.connect_s
    assert options.stt_conn_options.max_retry == 3
    assert options.llm_conn_options.timeout == DEADLINES.llm_first_chunk_s
    assert options.max_unrecoverable_errors > 100


def test_deadlines_can_be_shortened_in_one_place() -> None:
    options = connect_options(Deadlines(connect_s=0.1, llm_first_chunk_s=0.2, tts_first_audio_s=0.3))

    assert options.stt_conn_options.timeout == pytest.approx(0.5)
    assert options.llm_conn_options.timeout == 0.2
    assert options.tts_conn_options.timeout == 0.6


class _Stubborn(FakeModel):
    """A model object that fails to close."""

    async def aclose(self) -> None:
        raise OSError("the key is k")


async def _nothing(_: object) -> None:
    return


def of_fakes(model: FakeModel, voice: FakeVoice, ear: FakeEar, *, close_s: float) -> CallProviders:
    meter = UsageMeter()
    hears = MeteredSTT(
        ear,
        meter=meter,
        provider="deepgram",
        skus=("nova-3",),
        unreported_s=lambda _: 0.0,
        unanswered=UnansweredAudio(),
    )
    thinks = MeteredLLM(model, meter=meter, provider="openai", sku="m")
    speaks = MeteredTTS(lambda: voice, meter=meter, provider="deepgram", sku="aura-2")
    return CallProviders(
        stt=hears, llm=thinks, tts=speaks, meter=meter, owned=[hears, thinks, speaks], close_s=close_s
    )


def test_a_provider_that_never_says_goodbye_holds_nobody_up() -> None:
    async def close() -> tuple[float, FakeEar, FakeModel]:
        ear, model = FakeEar(_nothing), FakeModel(_nothing)
        providers = of_fakes(model, FakeVoice(_nothing, close_s=10), ear, close_s=3.0)
        await providers.aclose()
        return elapsed_s(), ear, model

    closed_at_s, ear, model = run_virtual(close())
    assert closed_at_s == pytest.approx(3.0)
    assert (ear.closed, model.closed) == (1, 1)


def test_a_provider_that_fails_to_close_leaves_no_other_open_and_shows_no_key(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async def close() -> tuple[FakeEar, FakeVoice]:
        ear, voice = FakeEar(_nothing), FakeVoice(_nothing)
        await of_fakes(_Stubborn(_nothing), voice, ear, close_s=3.0).aclose()
        return ear, voice

    with caplog.at_level(logging.DEBUG):
        ear, voice = run_virtual(close())
    assert (ear.closed, voice.closed) == (1, 1)
    logged = caplog.text + capsys.readouterr().out
    assert "provider_close_failed" in logged
    assert "the key is" not in logged


def test_what_a_stream_reports_while_it_is_closed_is_in_the_count() -> None:
    async def report_at_the_end(stream: FakeEarStream) -> None:
        try:
            await stream.until_end_of_input()
        finally:
            assert isinstance(stream._stt, FakeEar)
            stream._stt.report(1.25)

    async def close() -> float:
        ear = FakeEar(report_at_the_end)
        providers = of_fakes(FakeModel(_nothing), FakeVoice(_nothing), ear, close_s=3.0)
        async with providers.stt.stream():
            await asyncio.sleep(1)
        await providers.aclose()
        return float(sum(item.quantity for item in providers.meter.items()))

    assert run_virtual(close()) == 1.25
