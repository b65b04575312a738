"""Which voice answers to which name."""

from __future__ import annotations

import pytest

from local_stack.engines.tts.voices import CALLERS, ESPEAK_AGENTS, FLITE_AGENTS, VoiceTable, voice_table


@pytest.mark.parametrize("table", [voice_table("espeak"), voice_table("flite")])
def test_a_vendor_name_always_gets_the_same_agents_voice(table: VoiceTable) -> None:
    names = [f"aura-2-voice{number}-en" for number in range(60)]
    voices = [table.for_vendor_name(name) for name in names]
    assert voices == [table.for_vendor_name(name) for name in names]
    assert {voice.role for voice in voices} == {"agent"}
    assert {voice.name for voice in voices} == {"agent-1", "agent-2", "agent-3"}


@pytest.mark.parametrize("name", ["aura-2-andromeda-en", "hpp4J3VqNfWAUOO0d1Us", "en-US-JennyNeural"])
def test_the_plugins_default_voices_get_the_best_voice(name: str) -> None:
    assert voice_table("flite").for_vendor_name(name).engine_voice == "rms"


@pytest.mark.parametrize("engine", ["espeak", "flite"])
def test_callers_always_speak_with_espeak_and_never_with_an_agents_voice(engine: str) -> None:
    table = voice_table("flite" if engine == "flite" else "espeak")
    callers = [table.own(f"caller-{number}") for number in range(1, 5)]
    assert callers == list(CALLERS)
    assert {caller.engine for caller in CALLERS} == {"espeak"}
    agents = {(voice.engine, voice.engine_voice) for voice in (*ESPEAK_AGENTS, *FLITE_AGENTS)}
    assert agents.isdisjoint((caller.engine, caller.engine_voice) for caller in CALLERS)


def test_no_two_callers_sound_the_same() -> None:
    sounds = {(caller.engine_voice, caller.pitch, caller.words_per_minute) for caller in CALLERS}
    assert len(sounds) == len(CALLERS)


def test_a_name_that_is_not_ours_is_not_found_as_ours() -> None:
    assert voice_table("espeak").own("aura-2-andromeda-en") is None
