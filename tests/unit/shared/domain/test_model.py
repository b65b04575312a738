"""The base of models: frozen, closed, finite."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.domain.model import FrozenModel


class _Point(FrozenModel):
    x: float
    """Across."""


def test_a_model_can_not_be_changed() -> None:
    point = _Point(x=1)
    with pytest.raises(ValidationError):
        point.x = 2  # type: ignore[misc]


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        _Point.model_validate({"x": 1, "y": 2})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "nan", "Infinity"])
def test_only_finite_numbers_are_taken(value: object) -> None:
    with pytest.raises(ValidationError):
        _Point.model_validate({"x": value})


def test_the_line_beneath_a_field_describes_it_in_the_schema() -> None:
    assert _Point.model_json_schema()["properties"]["x"]["description"] == "Across."
