"""Deepgram's parameters, keys and messages, without a server."""

from __future__ import annotations

import json

import pytest

from local_stack.engines.tts import deepgram_wire as wire
from local_stack.engines.tts.voices import voice_table

VOICES = voice_table("espeak")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Token some-key"},
        {"Authorization": "Bearer some-key"},
        {"Authorization": "token some-key"},
        {"Sec-WebSocket-Protocol": "token, some-key"},
    ],
)
def test_any_key_is_accepted_in_each_of_the_vendors_ways(headers: dict[str, str]) -> None:
    wire.check_key(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Token "},
        {"Authorization": "Token invalid-key"},
        {"Authorization": "Basic abc"},
        {"Sec-WebSocket-Protocol": "token, invalid"},
        {"Sec-WebSocket-Protocol": "chat"},
    ],
)
def test_no_key_or_an_invalid_one_is_401(headers: dict[str, str]) -> None:
    with pytest.raises(wire.DeepgramError) as refused:
        wire.check_key(headers)
    assert (refused.value.refusal.status, refused.value.refusal.err_code) == (401, "INVALID_AUTH")


def test_a_query_becomes_audio_options() -> None:
    query = {"model": "aura-2-thalia-en", "sample_rate": "8000", "speed": "1.2", "mip_opt_out": "true"}
    options = wire.audio_options(query, VOICES, encoding="linear16")
    assert (options.sample_rate_hz, options.speed) == (8000, 1.2)
    assert options.voice.role == "agent"


def test_a_voice_of_ours_can_be_asked_for_by_name() -> None:
    query = {"model": "caller-2", "encoding": "linear16"}
    assert wire.audio_options(query, VOICES, encoding=None).voice.name == "caller-2"


@pytest.mark.parametrize(
    ("query", "err_code", "about"),
    [
        ({"model": "nova-3"}, "Bad Request", "No such model"),
        ({"encoding": "mp3"}, "INVALID_QUERY_PARAMETER", "linear16 only"),
        ({"encoding": "x\r\nSet-Cookie: y"}, "INVALID_QUERY_PARAMETER", "linear16 only"),
        ({"sample_rate": "12345"}, "INVALID_QUERY_PARAMETER", "sample_rate must be"),
        ({"sample_rate": "many"}, "INVALID_QUERY_PARAMETER", "sample_rate"),
        ({"sample_rate": "nan"}, "INVALID_QUERY_PARAMETER", "sample_rate must be"),
        ({"speed": "9"}, "INVALID_QUERY_PARAMETER", "speed"),
        ({"speed": "nan"}, "INVALID_QUERY_PARAMETER", "speed"),
    ],
)
def test_bad_parameters_are_400_with_the_vendors_code(
    query: dict[str, str], err_code: str, about: str
) -> None:
    with pytest.raises(wire.DeepgramError, match=about) as refused:
        wire.audio_options({"encoding": "linear16", **query}, VOICES, encoding=None)
    assert (refused.value.refusal.status, refused.value.refusal.err_code) == (400, err_code)


def test_an_unnamed_encoding_of_a_request_is_the_vendors_mp3_which_is_refused() -> None:
    with pytest.raises(wire.DeepgramError, match="linear16 only"):
        wire.audio_options({}, VOICES, encoding=None)


@pytest.mark.parametrize(
    "data", ["", "no json", "[]", '"Speak"', "{}", '{"type": 1}', '{"type":"Speak","text":1}']
)
def test_what_is_no_message_is_none(data: str) -> None:
    assert wire.parse_message(data) is None


def test_an_error_answers_with_its_json_body_and_headers() -> None:
    response = wire.TEXT_TOO_LONG.response("r-1")
    assert response.status == 413
    assert isinstance(response.text, str)
    assert json.loads(response.text) == {
        "err_code": "Payload Too Large",
        "err_msg": "Input text exceeds maximum character limit of 2000.",
        "request_id": "r-1",
    }
    assert response.headers["dg-request-id"] == "r-1"
