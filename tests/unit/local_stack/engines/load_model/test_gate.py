from __future__ import annotations

from array import array

import pytest

from local_stack.engines.load_model.gate import Edge, SpeechGate

RATE_HZ = 16_000
FRAME = RATE_HZ // 20


def gate(pause_s: float = 0.24) -> SpeechGate:
    return SpeechGate(sample_rate_hz=RATE_HZ, amplitude=600, pause_s=pause_s)


def frames(*parts: tuple[int, int]) -> list[bytes]:
    """50 ms frames of (samples, amplitude) parts on end; the last frame may be shorter."""
    pcm = array("h", (amplitude for count, amplitude in parts for _ in range(count)))
    return [pcm[start : start + FRAME].tobytes() for start in range(0, len(pcm), FRAME)]


def feed(speech: SpeechGate, audio: list[bytes]) -> list[tuple[int, Edge]]:
    """Edges by frame number, with frames arriving in real time from instant 100."""
    edges = []
    for number, frame in enumerate(audio):
        edge = speech.feed(frame, 100 + (number + 1) * 0.05)
        if edge:
            edges.append((number, edge))
    return edges


def test_silence_is_no_utterance() -> None:
    assert feed(gate(), frames((RATE_HZ, 0))) == []


@pytest.mark.parametrize("amplitude", [599, -599])
def test_sound_below_the_gate_is_no_utterance(amplitude: int) -> None:
    assert feed(gate(), frames((RATE_HZ, amplitude))) == []


@pytest.mark.parametrize("amplitude", [600, -600])
def test_an_utterance_starts_with_its_first_loud_frame_and_ends_after_240_ms_of_silence(
    amplitude: int,
) -> None:
    edges = feed(gate(), frames((2 * FRAME, 0), (10 * FRAME, amplitude), (10 * FRAME, 0)))

    assert edges == [(2, Edge.STARTED), (16, Edge.ENDED)]


def test_a_pause_shorter_than_that_is_part_of_the_utterance() -> None:
    edges = feed(gate(), frames((FRAME, 9_000), (4 * FRAME, 0), (FRAME, 9_000), (10 * FRAME, 0)))

    assert [edge for _, edge in edges] == [Edge.STARTED, Edge.ENDED]


def test_the_true_end_of_speech_is_found_inside_a_frame() -> None:
    speech = gate()
    feed(speech, frames((3 * FRAME + 200, 9_000), (8 * FRAME, 0)))

    true_end_s = 100 + (3 * FRAME + 200) / RATE_HZ
    assert speech.end_of_speech_at == pytest.approx(true_end_s, abs=8 / RATE_HZ)
    assert speech.last_loud_s == pytest.approx((3 * FRAME + 200) / RATE_HZ, abs=8 / RATE_HZ)


def test_positions_and_silence_are_told_in_audio_time() -> None:
    speech = gate()
    feed(speech, frames((FRAME, 0), (FRAME, 9_000), (FRAME, 0)))

    assert speech.started_s == 0.05
    assert speech.position_s == pytest.approx(0.15)
    assert speech.silence_s == pytest.approx(0.05, abs=8 / RATE_HZ)
    assert not speech.loud


def test_an_utterance_can_be_ended_from_outside_and_another_begins() -> None:
    speech = gate()
    feed(speech, frames((FRAME, 9_000)))
    speech.finish()

    assert feed(speech, frames((FRAME, 9_000))) == [(0, Edge.STARTED)]


def test_an_odd_byte_and_an_empty_frame_do_no_harm() -> None:
    speech = gate()
    speech.feed(b"\x00" * 7, 1.0)
    speech.feed(b"", 1.0)

    assert speech.position_s == 3 / RATE_HZ
