from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.transport import media_protocol as protocol
from edge_agents.transport.media_protocol import MediaProtocolError
from shared.domain.call import EndReason


def test_the_three_messages_of_a_client_are_read() -> None:
    assert protocol.parse_text('{"type":"start","sample_rate":16000}') == protocol.Start()
    assert protocol.parse_text('{"type":"dtmf","digit":"#"}') == protocol.Dtmf("#")
    assert protocol.parse_text('{"type":"stop"}') == protocol.Stop()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed_message"),
        ("start", "malformed_message"),
        ("[1, 2]", "malformed_message"),
        ("null", "malformed_message"),
        ("[" * 4000, "malformed_message"),
        ('{"type":"start","sample_rate":' + "9" * 4090 + "}", "message_too_large"),
        ('{"type":"start","sample_rate":8000}', "unsupported_sample_rate"),
        ('{"type":"start"}', "unsupported_sample_rate"),
        ('{"type":"start","sample_rate":"16000"}', "unsupported_sample_rate"),
        ('{"type":"dtmf"}', "invalid_dtmf"),
        ('{"type":"dtmf","digit":"55"}', "invalid_dtmf"),
        ('{"type":"dtmf","digit":5}', "invalid_dtmf"),
        ('{"type":["stop"]}', "unknown_message"),
        ('{"type":"shout"}', "unknown_message"),
        ("{}", "unknown_message"),
    ],
)
def test_a_wrong_message_has_a_code(text: str, code: str) -> None:
    with pytest.raises(MediaProtocolError) as caught:
        protocol.parse_text(text)
    assert caught.value.wire_code == code


@given(st.text(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_nothing_a_client_sends_raises_another_error(text: str) -> None:
    with contextlib.suppress(MediaProtocolError):
        protocol.parse_text(text)


@pytest.mark.parametrize(("length", "code"), [(641, "invalid_audio"), (65_538, "message_too_large")])
def test_audio_of_a_wrong_length_has_a_code(length: int, code: str) -> None:
    with pytest.raises(MediaProtocolError) as caught:
        protocol.check_audio(bytes(length))
    assert caught.value.wire_code == code


@pytest.mark.parametrize("length", [0, 2, 640, 65_536])
def test_any_even_length_up_to_64_kib_is_audio(length: int) -> None:
    protocol.check_audio(bytes(length))


def test_messages_of_the_server_are_json_objects_with_a_type() -> None:
    assert json.loads(protocol.ready("call_1")) == {"type": "ready", "call_id": "call_1"}
    assert json.loads(protocol.clear()) == {"type": "clear"}
    assert json.loads(protocol.ended(EndReason.AGENT_ENDED)) == {"type": "ended", "reason": "agent_ended"}
    problem = MediaProtocolError("invalid_audio", "odd")
    assert json.loads(protocol.error(problem)) == {
        "type": "error",
        "code": "invalid_audio",
        "message": "odd",
    }
