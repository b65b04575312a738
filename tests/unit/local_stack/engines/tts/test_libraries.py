"""The real speech libraries of this machine: they speak, at the speed and rate they claim, and stop when told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from local_stack.engines.tts.espeak import load_espeak
from local_stack.engines.tts.flite import ascii_text, load_flite
from local_stack.engines.tts.synthesizer import SynthesisError, Synthesizer
from local_stack.engines.tts.voices import CALLERS, ESPEAK_AGENTS, FLITE_AGENTS, Voice

SENTENCE = "Your appointment is confirmed for Tuesday at two thirty."
ESPEAK_VOICES = [*ESPEAK_AGENTS, *CALLERS]


def spoken(
    synthesizer: Synthesizer, voice: Voice, text: str = SENTENCE, speed: float = 1.0
) -> NDArray[np.int16]:
    chunks: list[bytes] = []

    def sink(pcm: bytes) -> bool:
        chunks.append(pcm)
        return True

    synthesizer.render(text, voice, speed=speed, sink=sink)
    return np.frombuffer(b"".join(chunks), np.int16)


def duration_s(samples: NDArray[np.int16], synthesizer: Synthesizer) -> float:
    return samples.size / synthesizer.sample_rate_hz


voices = pytest.mark.parametrize(
    ("load", "voice"),
    [
        *(pytest.param(load_espeak, voice, id=f"espeak-{voice.name}") for voice in ESPEAK_VOICES),
        *(
            pytest.param(load_flite, voice, id=f"flite-{voice.name}", marks=pytest.mark.needs("flite"))
            for voice in FLITE_AGENTS
        ),
    ],
)
libraries = pytest.mark.parametrize(
    ("load", "voice"),
    [
        pytest.param(load_espeak, ESPEAK_AGENTS[0], id="espeak"),
        pytest.param(load_flite, FLITE_AGENTS[0], id="flite", marks=pytest.mark.needs("flite")),
    ],
)


@voices
def test_a_voice_speaks_the_sentence_audibly_in_two_to_five_seconds(
    load: Callable[[], Synthesizer], voice: Voice
) -> None:
    synthesizer = load()
    samples = spoken(synthesizer, voice)
    assert 2.0 < duration_s(samples, synthesizer) < 5.0
    rms = float(np.sqrt(np.mean(samples.astype(float) ** 2)))
    assert 1000 < rms < 12_000


@libraries
def test_speed_scales_the_duration(load: Callable[[], Synthesizer], voice: Voice) -> None:
    synthesizer = load()
    normal, fast, slow = (spoken(synthesizer, voice, speed=speed).size for speed in (1.0, 1.5, 0.7))
    assert fast / normal == pytest.approx(1 / 1.5, rel=0.15)
    assert slow / normal == pytest.approx(1 / 0.7, rel=0.15)
    assert spoken(synthesizer, voice).size == pytest.approx(normal, rel=0.02)


@libraries
def test_a_sink_that_says_stop_gets_nothing_more(load: Callable[[], Synthesizer], voice: Voice) -> None:
    calls = 0

    def sink(pcm: bytes) -> bool:
        nonlocal calls
        calls += 1
        return calls < 3

    load().render(SENTENCE * 3, voice, speed=1.0, sink=sink)
    assert calls == 3


@libraries
def test_an_exception_of_the_sink_comes_back_through_the_library(
    load: Callable[[], Synthesizer], voice: Voice
) -> None:
    def sink(pcm: bytes) -> bool:
        raise ZeroDivisionError

    synthesizer = load()
    with pytest.raises(ZeroDivisionError):
        synthesizer.render(SENTENCE, voice, speed=1.0, sink=sink)
    assert spoken(synthesizer, voice).size > 0


@libraries
def test_a_voice_that_the_library_lacks_is_an_error(load: Callable[[], Synthesizer], voice: Voice) -> None:
    with pytest.raises(SynthesisError) as caught:
        spoken(load(), replace(voice, engine_voice="nobody"))
    assert caught.value.code == "voice_missing"


@libraries
@pytest.mark.parametrize("text", ["Café “naïve” – €5…", "日本語 and more", "½ past 3 😀", "a" * 400])
def test_any_text_can_be_spoken(load: Callable[[], Synthesizer], voice: Voice, text: str) -> None:
    assert spoken(load(), voice, text).size > 0


def test_a_library_chunk_is_at_most_100_ms() -> None:
    sizes: list[int] = []

    def sink(pcm: bytes) -> bool:
        sizes.append(len(pcm))
        return True

    espeak = load_espeak()
    espeak.render(SENTENCE, ESPEAK_AGENTS[0], speed=1.0, sink=sink)
    assert max(sizes) / 2 / espeak.sample_rate_hz <= 0.1


def test_flite_gets_ascii_with_the_words_kept() -> None:
    assert ascii_text("“Café” – it’s €5, ½ off…") == '"Cafe" ,  it\'s  euros 5, 1/2 off...'
