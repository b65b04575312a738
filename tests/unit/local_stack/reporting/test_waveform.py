"""The picture shows both sides, and turns where they were."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from local_stack.reporting.call_report import CallerTurn
from local_stack.reporting.waveform import Recording, clock, waveform
from tests.unit.local_stack.reporting.made_up_call import (
    MadeUpCall,
    Samples,
    booking,
    bookings_caller,
    tone,
    tracks,
    write_recording,
)
from tests.unit.local_stack.reporting.parsed_page import ParsedPage


def record(folder: Path, caller: Samples, agent: Samples) -> Recording:
    write_recording(folder / "recording.wav", caller, agent)
    return Recording.load(folder / "recording.wav")


def heights(picture: str, side: str) -> list[float]:
    """How far each column of a side reaches up and down."""
    found = re.search(rf"<polygon class='{side}' points='([^']*)'", picture)
    assert found
    ys = [float(point.partition(",")[2]) for point in found.group(1).split()]
    return [ys[-1 - column] - ys[column] for column in range(len(ys) // 2)]


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    caller, agent = tone(1.0), tone(0.5, amplitude=0.1)
    recording = record(tmp_path, caller, agent)
    assert recording.seconds == 1.0
    assert np.array_equal(recording.caller, caller)
    assert np.array_equal(recording.agent[: len(agent)], agent)
    assert recording.wav == (tmp_path / "recording.wav").read_bytes()


def test_each_side_is_loud_where_it_spoke(tmp_path: Path) -> None:
    recording = record(tmp_path, *tracks(bookings_caller(), 22.0))
    picture = waveform(booking().report(*bookings_caller()), recording)
    caller, agent = heights(picture, "caller"), heights(picture, "agent")
    column_s = 22.0 / len(caller)
    assert caller[round(3.7 / column_s)] > 70
    assert agent[round(3.7 / column_s)] == 1.0
    assert caller[round(5.8 / column_s)] == 1.0
    assert agent[round(5.8 / column_s)] > 70


def test_turns_and_waits_lie_where_they_were(tmp_path: Path) -> None:
    recording = record(tmp_path, *tracks(bookings_caller(), 20.0))
    page = ParsedPage(waveform(booking().report(*bookings_caller()), recording))
    turn, wait = page.all("rect", "turn")[0], page.all("rect", "wait")[0]
    assert (turn["x"], turn["width"]) == ("16.000%", "5.500%")  # 3.2 s to 4.3 s of 20 s
    assert (wait["x"], wait["width"]) == ("21.500%", "5.100%")  # 1020 ms from there
    assert [text for text in page.texts if ":" not in text] == ["1", "2", "3"]


def test_an_answer_before_the_caller_had_finished_leaves_no_wait(tmp_path: Path) -> None:
    call = MadeUpCall()
    call.starts()
    call.exchange("a", "b", 5.0)
    call.books()
    call.ends()
    early = CallerTurn(speak_to_hear_ms=-300.0, start_s=1.0, end_s=2.0)
    page = ParsedPage(waveform(call.report(early), record(tmp_path, tone(4), tone(4))))
    assert len(page.all("rect", "turn")) == 1
    assert not page.all("rect", "wait")


def test_marks_beyond_the_recording_stay_inside_the_picture(tmp_path: Path) -> None:
    page = ParsedPage(waveform(booking().report(*bookings_caller()), record(tmp_path, tone(4), tone(4))))
    for rect in page.all("rect", "turn") + page.all("rect", "wait"):
        left, width = (float((rect[name] or "").rstrip("%")) for name in ("x", "width"))
        assert 0 <= left <= left + width <= 100.001


@pytest.mark.parametrize("samples", [0, 1, 160])
def test_a_recording_of_next_to_nothing_has_a_picture(samples: int, tmp_path: Path) -> None:
    nothing = np.zeros(samples, np.int16)
    assert "<svg" in waveform(booking().report(), record(tmp_path, nothing, nothing))


def test_the_loudest_sample_fills_its_lane_and_noise_does_not(tmp_path: Path) -> None:
    loud = np.full(16000, -32768, np.int16)
    picture = waveform(booking().report(), record(tmp_path, loud, tone(1, amplitude=0.001)))
    assert max(heights(picture, "caller")) == pytest.approx(80)
    assert max(heights(picture, "agent")) <= 1.0


def test_the_picture_of_a_long_call_is_small_and_wide(tmp_path: Path) -> None:
    ten_minutes = np.zeros(600 * 16000, np.int16)
    recording = record(tmp_path, ten_minutes, ten_minutes)
    picture = waveform(booking().report(), recording)
    assert len(picture) < 400_000
    assert "width='7200'" in picture


def test_moments_are_written_as_players_do() -> None:
    assert [clock(at_s) for at_s in (0, 9.9, 60, 754)] == ["0:00", "0:09", "1:00", "12:34"]
