"""Every event goes through JSON unchanged, fits the schema that others read, and holds no personal data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel

from shared.contracts.event import Event
from shared.contracts.registry import event_types, json_schema
from shared.contracts.sealed import Sealed
from tests.fakes.examples import CANARY, every_event

EXAMPLES = {event.TYPE: event for event in every_event()}


def test_there_is_an_example_of_every_event() -> None:
    assert set(EXAMPLES) == set(event_types())


@pytest.fixture(params=sorted(event_types()))
def event(request: pytest.FixtureRequest) -> Event:
    return EXAMPLES[request.param]


def test_an_event_comes_back_from_json_as_it_was(event: Event) -> None:
    assert type(event).model_validate_json(event.model_dump_json()) == event


def test_the_example_sets_every_field(event: Event) -> None:
    unset = [name for name, value in _values(event) if value is None]
    assert unset == []


def test_an_event_fits_its_exported_schema(event: Event) -> None:
    schema = json_schema(type(event))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    body = json.loads(event.model_dump_json())
    validator.validate(body)
    assert not validator.is_valid({**body, "surprise": 1})
    assert not validator.is_valid({name: value for name, value in body.items() if name != "event_id"})


def test_an_event_with_only_what_it_must_have_fits_its_schema(event: Event) -> None:
    cls = type(event)
    required = {name: getattr(event, name) for name, field in cls.model_fields.items() if field.is_required()}
    body = json.loads(cls(**required).model_dump_json())
    Draft202012Validator(json_schema(cls)).validate(body)


@pytest.mark.parametrize("event_type", event_types().values(), ids=lambda cls: str(cls.TYPE))
def test_under_a_pii_key_stand_envelopes_and_nothing_else(event_type: type[Event]) -> None:
    for path, kind in _pii_fields(event_type):
        assert _leaves(kind) <= {Sealed, type(None)}, path


def test_the_pii_walk_finds_what_is_there() -> None:
    turn = event_types()["parley.turn.completed.v1"]
    assert {path for path, _ in _pii_fields(turn)} == {"pii", "tools.pii"}


def test_an_envelope_stands_under_a_pii_key_only(event: Event) -> None:
    for path, value in _paths(json.loads(event.model_dump_json()), ()):
        if path[-1] == "ct":
            assert "pii" in path, path
            assert value


def test_what_was_said_stands_in_no_event(event: Event) -> None:
    assert CANARY not in event.model_dump_json()
    assert CANARY not in repr(event)


def _values(model: BaseModel) -> Iterator[tuple[str, object]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        yield name, value
        for inner in value if isinstance(value, tuple) else [value]:
            if isinstance(inner, BaseModel):
                yield from _values(inner)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _pii_fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        if name == "pii":
            yield path, field.annotation
        else:
            for inner in _models(field.annotation):
                yield from _pii_fields(inner, f"{path}.")


def _leaves(annotation: Any) -> set[Any]:
    """Types of the values below, down to envelopes."""
    if annotation is Sealed:
        return {Sealed}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        inner = [field.annotation for field in annotation.model_fields.values()]
        return set().union(*(_leaves(kind) for kind in inner))
    if get_args(annotation):
        return set().union(*(_leaves(kind) for kind in get_args(annotation)))
    return {annotation}


def _paths(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths(inner, (*path, name))
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, path)
    else:
        yield path, value
