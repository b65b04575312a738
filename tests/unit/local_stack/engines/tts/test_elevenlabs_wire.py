"""ElevenLabs' parameters, keys and messages, without a server."""

from __future__ import annotations

import base64
import json

import pytest

from local_stack.engines.tts import elevenlabs_wire as wire
from local_stack.engines.tts.alignment import share_out
from local_stack.engines.tts.voices import voice_table

VOICES = voice_table("espeak")


def test_the_output_format_gives_the_rate() -> None:
    options = wire.audio_options("hpp4J3VqNfWAUOO0d1Us", {"output_format": "pcm_22050"}, VOICES)
    assert (options.sample_rate_hz, options.voice.name) == (22_050, "agent-1")


@pytest.mark.parametrize(
    ("voice", "query", "status"),
    [
        ("no voice!", {}, "voice_not_found"),
        ("abc", {"output_format": "mp3_22050_32"}, "invalid_output_format"),
        ("abc", {}, "invalid_output_format"),
        ("abc", {"output_format": "pcm_24000", "model_id": "eleven_v3"}, "model_not_found"),
        ("abc", {"output_format": "pcm_24000", "model_id": "gpt-4"}, "model_not_found"),
    ],
)
def test_what_cannot_be_had_is_refused(voice: str, query: dict[str, str], status: str) -> None:
    with pytest.raises(wire.ElevenLabsError) as refused:
        wire.audio_options(voice, query, VOICES)
    assert refused.value.refusal.status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, "needs_authorization"), ({"xi-api-key": "invalid-1"}, "invalid_api_key")],
)
def test_no_key_or_an_invalid_one_is_401(headers: dict[str, str], status: str) -> None:
    with pytest.raises(wire.ElevenLabsError) as refused:
        wire.check_key(headers)
    assert (refused.value.refusal.http_status, refused.value.refusal.status) == (401, status)


def test_a_first_message_carries_voice_settings() -> None:
    message = wire.parse_message(
        '{"text":" ","voice_settings":{"speed":1.1,"stability":0.5},"context_id":"a"}'
    )
    assert message.voice_settings is not None
    assert (message.text, message.voice_settings.speed) == (" ", 1.1)


@pytest.mark.parametrize(
    "data",
    ["", "[]", '{"text": 1}', '{"voice_settings": {"speed": 9}}', '{"context_id": "%s"}' % ("a" * 200)],
)
def test_what_is_no_message_is_an_error(data: str) -> None:
    with pytest.raises(wire.ElevenLabsError):
        wire.parse_message(data)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", "invalid_message"),
        (b'{"text": "  "}', "invalid_text"),
        (json.dumps({"text": "a" * 10_001}).encode(), "max_character_limit_exceeded"),
    ],
)
def test_a_bad_request_body_is_400(body: bytes, status: str) -> None:
    with pytest.raises(wire.ElevenLabsError) as refused:
        wire.parse_request(body)
    assert (refused.value.refusal.http_status, refused.value.refusal.status) == (400, status)


@pytest.mark.parametrize("value", ["0", "181", "soon", "nan"])
def test_an_inactivity_timeout_out_of_range_is_refused(value: str) -> None:
    with pytest.raises(wire.ElevenLabsError, match=r"1\.\.180"):
        wire.inactivity_timeout_s({"inactivity_timeout": value})


def test_an_audio_frame_names_its_context() -> None:
    frame = json.loads(wire.audio_frame("ctx", b"\x01\x02"))
    assert (base64.b64decode(frame["audio"]), frame["contextId"], frame["isFinal"]) == (
        b"\x01\x02",
        "ctx",
        False,
    )


def test_an_alignment_frame_has_three_lists_of_one_length() -> None:
    frame = json.loads(wire.alignment_frame("ctx", share_out("Hi.", start_s=1.0, duration_s=0.5)))
    alignment = frame["alignment"]
    assert alignment["chars"] == ["H", "i", "."]
    assert alignment["charStartTimesMs"][0] == 1000
    assert sum(alignment["charDurationsMs"]) == 500
    assert frame["normalizedAlignment"] == alignment
