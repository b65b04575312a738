"""An agent's configuration."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from shared.domain.agent import AgentConfig, HttpTool, LlmChoice
from tests.fakes.configs import agent_config

TOOL: dict[str, Any] = {
    "name": "book_room",
    "description": "Books a meeting room.",
    "url": "https://business.example/bookings",
    "parameters": {
        "type": "object",
        "properties": {
            "room": {"type": "string", "description": "Which room", "enum": ["harbor_view", "atrium"]},
            "seats": {"type": "integer"},
        },
    },
}


def _refused(**changes: Any) -> list[str]:
    with pytest.raises(ValidationError) as raised:
        agent_config(**changes)
    return [".".join(str(part) for part in error["loc"]) for error in raised.value.errors()]


def test_name_greeting_and_instructions_are_enough() -> None:
    config = agent_config()
    assert config.limits.spend_usd == Decimal("2.00")
    assert [choice.provider for choice in config.stt + config.llm + config.tts] == [
        "deepgram",
        "openai",
        "deepgram",
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"greeting": ""}, "greeting"),
        ({"greeting": "x" * 501}, "greeting"),
        ({"keyterms": ["abcde fghij klmno pq"] * 72}, "keyterms"),
        ({"language": "english"}, "language"),
        ({"limits": {"minutes": 0}}, "limits.minutes"),
        ({"limits": {"minutes": float("nan")}}, "limits.minutes"),
        ({"limits": {"spend_usd": "-1"}}, "limits.spend_usd"),
        ({"limits": {"spend_usd": "NaN"}}, "limits.spend_usd"),
        ({"turn": {"min_delay_s": -0.1}}, "turn.min_delay_s"),
        ({"stt": []}, "stt"),
        ({"llm": [{"provider": "openai"}] * 5}, "llm"),
        ({"tools": [{**TOOL, "name": "Book Room"}]}, "tools.0.name"),
        ({"tools": [{**TOOL, "url": "ftp://business.example"}]}, "tools.0.url"),
        ({"tools": [{**TOOL, "parameters": {"type": "array"}}]}, "tools.0.parameters"),
        ({"tools": [{**TOOL, "parameters": {"type": "object", "properties": 3}}]}, "tools.0.parameters"),
        ({"keyterms": ["x" * 61]}, "keyterms.0"),
        ({"unknown": 1}, "unknown"),
    ],
    ids=str,
)
def test_a_bad_field_is_named(changes: dict[str, Any], field: str) -> None:
    assert _refused(**changes) == [field]


def test_two_tools_of_one_name_are_refused() -> None:
    assert _refused(tools=[TOOL, TOOL]) == [""]


def test_a_tool_may_not_take_the_name_of_a_built_in_one() -> None:
    assert _refused(tools=[{**TOOL, "name": "end_call"}]) == [""]


def test_transfer_needs_targets() -> None:
    assert _refused(built_in_tools=["transfer_call"]) == [""]
    agent_config(built_in_tools=["transfer_call"], transfer_targets={"reception": "+4930123456"})


def test_a_base_url_goes_with_a_compatible_provider_only() -> None:
    LlmChoice.model_validate({"provider": "openai-compatible", "base_url": "https://llm.example/v1"})
    for wrong in ({"provider": "openai-compatible"}, {"base_url": "https://llm.example/v1"}):
        with pytest.raises(ValidationError):
            LlmChoice.model_validate(wrong)


def test_published_texts_hold_everything_a_caller_may_hear_or_say() -> None:
    config = agent_config(
        keyterms=["Harbor View"],
        knowledge=[{"question": "When do you open?", "answer": "At nine."}],
        tools=[TOOL],
    )
    assert config.published_texts() == (
        "Hello, how can I help you?",
        "Harbor View",
        "When do you open?",
        "At nine.",
        "book room",
        "Books a meeting room.",
        "Which room",
        "harbor view",
        "atrium",
    )


def test_a_schema_whose_properties_are_odd_gives_no_texts() -> None:
    tool = HttpTool.model_validate({**TOOL, "parameters": {"type": "object", "properties": {"room": True}}})
    assert agent_config(tools=[tool]).published_texts()[1:] == ("book room", "Books a meeting room.")


def test_a_configuration_survives_json() -> None:
    config = agent_config(tools=[TOOL], limits={"spend_usd": "0.10"})
    assert AgentConfig.model_validate_json(config.model_dump_json()) == config
