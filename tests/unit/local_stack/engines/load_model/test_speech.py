from __future__ import annotations

from array import array
from typing import Any

import pytest

from local_stack.engines.load_model.draws import Draw
from local_stack.engines.load_model.profile import Profile, TtsProfile
from local_stack.engines.load_model.speech import MAX_SEGMENT_CHARS, SegmentText, VoicePcm, speak
from local_stack.engines.load_model.state import LoadModel

RATE_HZ = 24_000


def pcm(profile: TtsProfile, *takes: int) -> array[int]:
    voice = VoicePcm(profile, RATE_HZ)
    return array("h", b"".join(voice.take(samples) for samples in takes))


def test_text_is_ready_up_to_its_last_whole_sentence() -> None:
    text = SegmentText("sentence")
    ready = []
    for piece in ("Hello ", "there. ", "It costs 3.50 ", 'now!" ', "And"):
        text.add(piece, 1.0)
        ready.append(text.ready_chars)

    assert ready == [0, 12, 12, 32, 32]


def test_text_for_flush_is_ready_only_then_and_without_the_last_space() -> None:
    text = SegmentText("flush")
    text.add("Hello there. ", 1.0)
    assert text.ready_chars == 0

    text.finish(2.0)
    assert (text.ready_chars, text.ready_at, text.finished) == (12, 2.0, True)


def test_the_instant_of_readiness_is_the_first_one() -> None:
    text = SegmentText("sentence")
    text.add("One. ", 1.0)
    text.add("Two. ", 2.0)

    assert text.ready_at == 1.0


def test_a_segment_s_text_is_bounded() -> None:
    text = SegmentText("flush")

    assert text.add("x" * MAX_SEGMENT_CHARS, 1.0)
    assert not text.add("x", 1.0)
    assert text.chars == MAX_SEGMENT_CHARS


@pytest.mark.parametrize("waveform", ["tone", "bursts"])
def test_the_first_sample_is_the_peak_and_pieces_fit_together(waveform: Any) -> None:
    profile = TtsProfile(waveform=waveform)

    whole = pcm(profile, 2 * RATE_HZ)

    assert whole[0] == max(whole) == 8231
    assert pcm(profile, 1, 2_399, 30_000, 15_600) == whole


def test_the_lead_silence_is_exact_whatever_the_pieces() -> None:
    whole = pcm(TtsProfile(lead_silence_ms=100), 1_000, 1_000, 1_000)

    assert not any(whole[:2_400])
    assert whole[2_400:] == pcm(TtsProfile(), 600)


def test_bursts_have_exact_silence_between_syllables() -> None:
    whole = pcm(TtsProfile(waveform="bursts"), RATE_HZ)

    assert any(whole[: RATE_HZ * 18 // 100])
    assert not any(whole[RATE_HZ * 18 // 100 : RATE_HZ * 24 // 100])
    assert whole[RATE_HZ * 24 // 100] == 8231


async def spoken(text: SegmentText, speed: float = 1.0, **tts: Any) -> tuple[int, Draw]:
    """Samples of `text`, and its draw."""
    tts = {"ttfb_ms": (0, 0), "speedup": 10_000, "ms_per_char": 10} | tts
    model = LoadModel(Profile(tts=TtsProfile(**tts)), seed=7)
    draw = Draw("tts", "deepgram", "k", "m", "r", draw_ms=0.0, received_at=0.0)
    audio = speak(text, model=model, draw=draw, sample_rate_hz=RATE_HZ, speed=speed)
    return sum(len(chunk) // 2 for chunk in [chunk async for chunk in audio]), draw


def finished(content: str) -> SegmentText:
    text = SegmentText("sentence")
    text.add(content, 1.0)
    text.finish(1.0)
    return text


async def test_audio_is_as_long_as_its_text_and_its_lead_silence() -> None:
    samples, draw = await spoken(finished("Hello. How are you?"), lead_silence_ms=50)

    assert samples == RATE_HZ * (19 * 10 + 50) // 1000
    assert (draw.chars, draw.audio_ms) == (19, 240)


async def test_a_faster_voice_takes_less_time() -> None:
    samples, _ = await spoken(finished("0123456789"), speed=1.25)

    assert samples == RATE_HZ * 80 // 1000


async def test_an_empty_text_is_spoken_as_nothing() -> None:
    samples, draw = await spoken(finished(" "))

    assert samples == 0
    assert draw.text_ready_at is None
