"""What a tool's parameters may be: a JSON Schema that is checked when it is published, not in a call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

MAX_SCHEMA_BYTES: Final = 16_384
"""Every request to the model carries it: more would be most of the prompt."""


def check_parameters(schema: dict[str, Any]) -> None:
    """Accept a JSON Schema (draft 2020-12) of an object that stands for itself.

    Raises:
        ValueError: not of type object, no such schema, no JSON, over 16 KiB, or with a `$ref` to elsewhere. Says
            where; repeats no value.
    """
    if schema.get("type") != "object":
        raise ValueError("must be a JSON Schema of type object")
    try:
        size_bytes = len(json.dumps(schema, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise ValueError("holds a value that JSON does not have (a date, nan or inf)") from None
    if size_bytes > MAX_SCHEMA_BYTES:
        raise ValueError(f"is longer than {MAX_SCHEMA_BYTES} bytes as JSON")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = ".".join(str(part) for part in error.absolute_path)
        raise ValueError(f"is not valid JSON Schema (draft 2020-12){where and f', see {where}'}") from None
    for target in _references(schema):
        if not _leads_somewhere(schema, target):
            raise ValueError("has a $ref that is not to a part of itself (#/$defs/name)")


def _references(part: object) -> Iterator[object]:
    if isinstance(part, dict):
        for name, value in part.items():
            if name in {"$ref", "$dynamicRef"} and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _leads_somewhere(schema: dict[str, Any], target: object) -> bool:
    if not isinstance(target, str) or not target.startswith("#/"):
        return False
    found: Any = schema
    for step in target[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    return True
