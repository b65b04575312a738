"""The query of a request says what is asked, or is refused with a reason."""

from __future__ import annotations

import pytest
from multidict import MultiDict

from local_stack.engines.listen.errors import Refused, check_key
from local_stack.engines.listen.query import (
    FluxOptions,
    ListenOptions,
    Thresholds,
    confidence_of_pause,
    keyterm_tokens,
    pause_of_confidence,
)


def listen(**query: str) -> ListenOptions:
    return ListenOptions.parse(MultiDict(query))


@pytest.mark.parametrize(
    ("endpointing", "pause_s", "is_on"),
    [("25", 0.24, True), ("300", 0.3, True), ("true", 0.24, True), ("false", 0.5, False), ("0", 0.5, False)],
)
def test_endpointing_is_floored_at_240_ms_and_may_be_off(
    endpointing: str, pause_s: float, *, is_on: bool
) -> None:
    options = listen(endpointing=endpointing)

    assert (options.pause_s, options.endpointing) == (pause_s, is_on)


def test_what_is_not_asked_for_has_deepgrams_defaults() -> None:
    options = listen()

    assert options.audio.encoding == "linear16"
    assert options.audio.sample_rate_hz == 16_000
    assert options.audio.agent_id is None
    assert options.pause_s == 0.24
    assert not any((options.interims, options.vad_events, options.punctuate, options.multilingual))
    assert options.utterance_end_s is None


def test_mulaw_is_taken_for_8_khz_unless_said_otherwise() -> None:
    assert listen(encoding="mulaw").audio.sample_rate_hz == 8_000


def test_the_first_tag_of_an_agent_chooses_its_language() -> None:
    query = MultiDict([("tag", "parley"), ("tag", "agent:ag_1"), ("tag", "agent:ag_2")])

    assert ListenOptions.parse(query).audio.agent_id == "ag_1"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"encoding": "opus"}, "encoding"),
        ({"encoding": ""}, "encoding"),
        ({"sample_rate": "7999"}, "sample_rate"),
        ({"sample_rate": "48001"}, "sample_rate"),
        ({"sample_rate": "-16000"}, "sample_rate"),
        ({"sample_rate": "١٦٠٠٠"}, "sample_rate"),
        ({"sample_rate": "1" * 5000}, "sample_rate"),
        ({"channels": "2"}, "channels"),
        ({"multichannel": "true"}, "channels"),
        ({"endpointing": "soon"}, "endpointing"),
        ({"utterance_end_ms": "1.5"}, "utterance_end_ms"),
        ({"callback": "http://127.0.0.1"}, "callback"),
        ({"model": "nova-2-general", "keyterm": "parley"}, "keyterm"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_by_name(query: dict[str, str], named: str) -> None:
    with pytest.raises(Refused, match=named) as caught:
        listen(**query)

    assert caught.value.status == 400


def test_a_flux_turn_ends_after_the_silence_of_its_threshold() -> None:
    assert Thresholds().pause_s == pytest.approx(0.4)
    assert Thresholds(eot_threshold=0.5).pause_s == pytest.approx(0.24)
    assert Thresholds(eot_threshold=0.9).pause_s == pytest.approx(0.56)
    assert Thresholds(eot_threshold=0.9, eot_timeout_ms=500).pause_s == pytest.approx(0.5)
    assert Thresholds().eager_pause_s is None


@pytest.mark.parametrize("confidence", [0.3, 0.5, 0.7, 0.9])
def test_the_silence_of_a_confidence_makes_that_confidence(confidence: float) -> None:
    assert confidence_of_pause(pause_of_confidence(confidence)) == pytest.approx(confidence, abs=0.0126)


@pytest.mark.parametrize(
    "query",
    [
        {"eot_threshold": "0.95"},
        {"eot_threshold": "sure"},
        {"eot_timeout_ms": "100"},
        {"eager_eot_threshold": "0.8", "eot_threshold": "0.6"},
        {"eager_eot_threshold": "nan"},
    ],
)
def test_flux_thresholds_out_of_range_are_refused(query: dict[str, str]) -> None:
    with pytest.raises(Refused, match="eot"):
        FluxOptions.parse(MultiDict(query))


def test_configure_changes_what_it_names_and_leaves_the_rest() -> None:
    options = FluxOptions.parse(MultiDict(eot_threshold="0.8", keyterm="parley"))
    changed = options.configured({"thresholds": {"eager_eot_threshold": 0.4, "eot_timeout_ms": None}})

    assert changed.thresholds == Thresholds(eager_eot_threshold=0.4, eot_threshold=0.8)
    assert changed.keyterms == ("parley",)
    assert changed.configured({"thresholds": {"eager_eot_threshold": None}}).thresholds.eager_pause_s is None
    assert changed.configured({"keyterms": ["one", "two"]}).keyterms == ("one", "two")
    assert changed.configured({"keyterms": "one"}).keyterms == ("one",)


@pytest.mark.parametrize(
    "message",
    [
        {"thresholds": {"eot_threshold": 2}},
        {"thresholds": {"eot_threshold": "x"}},
        {"thresholds": {"patience": 0.5}},
        {"thresholds": [0.5]},
        {"thresholds": {"eager_eot_threshold": 0.9}},
        {"keyterms": {"a": 1}},
        {"keyterms": [1]},
        {"language_hints": 5},
    ],
)
def test_a_configure_that_makes_no_sense_is_a_value_error(message: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"eot|thresholds|patience|keyterms|language_hints"):
        FluxOptions.parse(MultiDict()).configured(message)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Token "},
        {"Authorization": "Basic abc"},
        {"Authorization": "Token invalid-key"},
        {"Sec-WebSocket-Protocol": "token"},
        {"Sec-WebSocket-Protocol": "chat, key"},
    ],
)
def test_a_request_without_a_good_key_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Refused) as caught:
        check_key(headers)

    assert caught.value.status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Token key"},
        {"Authorization": "Bearer key"},
        {"Sec-WebSocket-Protocol": "token, key"},
    ],
)
def test_any_other_key_will_do(headers: dict[str, str]) -> None:
    check_key(headers)


@pytest.mark.parametrize(
    ("keyterms", "tokens"),
    [([], 0), ([""], 1), (["a"], 1), (["parley"], 2), (["book a room"], 3), (["one", "two"], 2)],
)
def test_a_keyterm_takes_a_token_for_every_four_characters_of_a_word(
    keyterms: list[str], tokens: int
) -> None:
    assert keyterm_tokens(keyterms) == tokens


@pytest.mark.parametrize("options", [ListenOptions, FluxOptions])
def test_500_tokens_of_keyterms_are_taken_and_501_refused(options: type[ListenOptions | FluxOptions]) -> None:
    most = MultiDict([("keyterm", "word")] * 500)
    assert len(options.parse(most).audio.keyterms) == 500
    most.add("keyterm", "word")
    with pytest.raises(Refused, match="maximum number of tokens across all keyterms is 500") as caught:
        options.parse(most)

    assert caught.value.status == 400
