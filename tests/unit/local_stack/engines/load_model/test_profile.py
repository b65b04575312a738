from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from local_stack.engines.load_model.profile import Profile


def test_what_is_left_out_takes_its_default() -> None:
    profile = Profile.model_validate({"stt": {"transcripts": ["hello"]}})

    assert profile.stt.transcripts == ("hello",)
    assert profile.stt.pause_ms == 240
    assert profile.llm == Profile().llm


def test_a_profile_survives_its_own_json() -> None:
    profile = Profile.model_validate(
        {"llm": {"tool_call": {"name": "book", "arguments": {"n": 1}}}, "seed": 3}
    )

    assert Profile.model_validate_json(profile.model_dump_json()) == profile


@pytest.mark.parametrize(
    "wrong",
    [
        {"stt": {"final_ms": [300, 200]}},
        {"stt": {"final_ms": [0, 200]}},
        {"stt": {"final_ms": [-1, 200]}},
        {"stt": {"final_ms": [200]}},
        {"stt": {"final_ms": ["NaN", 200]}},
        {"stt": {"transcripts": []}},
        {"llm": {"tokens_per_s": [0, 0]}},
        {"llm": {"replies": []}},
        {"tts": {"speedup": 0}},
        {"tts": {"waveform": "square"}},
        {"tts": {"peak_dbfs": 1}},
        {"sst": {}},
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Profile.model_validate(wrong)
