"""Which JSON Schemas a tool may have."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from shared.domain.tool_schema import MAX_SCHEMA_BYTES, check_parameters


def test_a_schema_with_parts_that_it_refers_to_is_taken() -> None:
    check_parameters(
        {
            "type": "object",
            "properties": {"day": {"$ref": "#/$defs/day"}, "$ref": {"type": "string"}},
            "$defs": {"day": {"type": "string", "enum": ["monday"]}},
        }
    )


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({}, "of type object"),
        ({"type": "array"}, "of type object"),
        ({"type": "object", "required": "day"}, "see required"),
        ({"type": "object", "properties": {"day": {"type": "day"}}}, "see properties.day.type"),
        ({"type": "object", "properties": {"day": {"pattern": "("}}}, "see properties.day.pattern"),
        ({"type": "object", "properties": {"day": {"default": date(2026, 3, 14)}}}, "JSON does not have"),
        ({"type": "object", "properties": {"day": {"maximum": float("nan")}}}, "JSON does not have"),
        ({"type": "object", "description": "x" * MAX_SCHEMA_BYTES}, "is longer than 16384 bytes"),
        ({"type": "object", "properties": {"day": {"$ref": "https://example.com/day"}}}, "part of itself"),
        ({"type": "object", "properties": {"day": {"$ref": "#/$defs/day"}}}, "part of itself"),
        ({"type": "object", "allOf": [{"$ref": "other.json"}]}, "part of itself"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_fail_in_a_call_is_refused_before(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_parameters(schema)
