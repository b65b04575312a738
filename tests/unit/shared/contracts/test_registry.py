"""The registry of events."""

from __future__ import annotations

import json
import re
from pathlib import Path

from shared.contracts.event import CallEvent, Event
from shared.contracts.registry import event_types, export_schemas, json_schema
from shared.names import Topic


def test_every_event_has_a_type_in_the_past_tense_with_a_version_and_a_topic() -> None:
    for name, event_type in event_types().items():
        assert re.fullmatch(r"parley(\.[a-z]+)+\.v[0-9]+", name)
        assert name == event_type.TYPE
        assert event_type.TOPIC in Topic.ALL


def test_the_bases_are_not_events_themselves() -> None:
    assert not {Event, CallEvent} & set(event_types().values())


def test_one_schema_file_per_event_is_written_and_written_the_same_again(tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    first = {path: path.read_bytes() for path in export_schemas(folder)}
    assert {path.stem for path in first} == set(event_types())
    assert {path: path.read_bytes() for path in export_schemas(folder)} == first
    for path, text in first.items():
        assert json.loads(text) == json_schema(event_types()[path.stem])


def test_every_field_of_every_event_is_described() -> None:
    for name, event_type in event_types().items():
        schema = json_schema(event_type)
        definitions = schema.get("$defs", {})
        for part in [schema, *definitions.values()]:
            for field, details in part.get("properties", {}).items():
                # pydantic leaves out a description that is the same as that of the type referred to
                referred = definitions.get(details.get("$ref", "").rpartition("/")[2], {})
                described = details.get("description") or referred.get("description")
                assert described, f"{name}: {part.get('title')}.{field}"
