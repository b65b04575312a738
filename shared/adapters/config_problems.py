"""What is wrong with a configuration file, field by field, in words for the person who wrote it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.errors import AgentConfigError

_MAX_PROBLEMS: Final = 20
"""More are counted, not listed."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One field and what is wrong with it."""

    field: str
    """Dotted name, list positions as numbers: `tools.0.url`."""
    reason: str
    """Continues a sentence that begins with the field's name: `must be a whole number`."""


def config_error(file: str, problems: Iterable[Problem]) -> AgentConfigError:
    """Build the error that names every problem of a file.

    Args:
        file: which file, `<slug>/agent.toml`.
        problems: at least one.
    """
    found = list(problems)
    shown = "; ".join(f"{problem.field} {problem.reason}" for problem in found[:_MAX_PROBLEMS])
    more = f"; and {len(found) - _MAX_PROBLEMS} more" if len(found) > _MAX_PROBLEMS else ""
    fields = tuple(dict.fromkeys(problem.field for problem in found))
    return AgentConfigError(f"{file}: {shown}{more}", fields=fields, file=file)


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Translate a validation error. Values from the file are not repeated: a URL may hold a secret.

    Args:
        error: of validating `model`.
        model: whose field names are known, for "did you mean" and for rules over several fields.
    """
    found = error.errors(include_url=False)
    return [
        problem
        for details in found
        if not _follows_from_another(details, found)
        for problem in _translate(details, model)
    ]


def _follows_from_another(details: ErrorDetails, found: list[ErrorDetails]) -> bool:
    """A list counts as too short when its entries are bad: the entries are what must be mended."""
    where = details["loc"]
    return details["type"] == "too_short" and any(
        other["loc"][: len(where)] == where and len(other["loc"]) > len(where) for other in found
    )


def _translate(details: ErrorDetails, model: type[BaseModel]) -> list[Problem]:
    reason = _reason(details, model)
    field = ".".join(str(part) for part in details["loc"])
    if field:
        return [Problem(field, reason)]
    # a rule over the whole model: the fields are those that its message names
    named = [word for word in dict.fromkeys(re.findall(r"[a-z_]+", reason)) if word in model.model_fields]
    return [Problem(name, f"breaks a rule: {reason}") for name in named[:1] or ["file"]]


def _reason(details: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field(str(details["loc"][-1]), model)
    if kind == "value_error":
        return str(context.get("error", "is wrong"))
    if kind.startswith("url_"):
        return "must be a URL, such as https://example.com/path"
    words = _WORDS.get(kind)
    if words is None:
        text = details["msg"]
        return text[:1].lower() + text[1:]
    return words(context)


def _unknown_field(name: str, model: type[BaseModel]) -> str:
    close = difflib.get_close_matches(name, sorted(_field_names(model)), n=1)
    return "is not a field that exists" + (f"; did you mean {close[0]}?" if close else "")


def _field_names(model: type[BaseModel]) -> set[str]:
    """Names of all fields of a model and of the models inside it."""
    names: set[str] = set()
    pending: list[Any] = [model]
    seen: set[Any] = set()
    while pending:
        kind = pending.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if kind not in seen:
                seen.add(kind)
                names |= set(kind.model_fields)
                pending += [field.annotation for field in kind.model_fields.values()]
        else:
            pending += get_args(kind)
    return names


def _always(text: str) -> Callable[[dict[str, Any]], str]:
    return lambda _: text


def _at_least_chars(context: dict[str, Any]) -> str:
    count = context["min_length"]
    return "must not be empty" if count == 1 else f"must have at least {count} characters"


_WORDS: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "missing": _always("is missing"),
    "string_type": _always("must be text"),
    "int_type": _always("must be a whole number"),
    "int_parsing": _always("must be a whole number"),
    "int_from_float": _always("must be a whole number"),
    "float_type": _always("must be a number"),
    "float_parsing": _always("must be a number"),
    "decimal_type": _always('must be an amount, such as "2.00"'),
    "decimal_parsing": _always('must be an amount, such as "2.00"'),
    "finite_number": _always("must be a finite number"),
    "bool_type": _always("must be true or false"),
    "bool_parsing": _always("must be true or false"),
    "tuple_type": _always("must be a list"),
    "list_type": _always("must be a list"),
    "dict_type": _always("must be a table"),
    "model_type": _always("must be a table"),
    "string_too_short": _at_least_chars,
    "string_too_long": lambda context: f"must have at most {context['max_length']} characters",
    "too_short": lambda context: f"must have at least {context['min_length']} entries",
    "too_long": lambda context: f"must have at most {context['max_length']} entries",
    "greater_than": lambda context: f"must be greater than {context['gt']:g}",
    "greater_than_equal": lambda context: f"must be at least {context['ge']:g}",
    "less_than": lambda context: f"must be less than {context['lt']:g}",
    "less_than_equal": lambda context: f"must be at most {context['le']:g}",
    "literal_error": lambda context: f"must be {context['expected']}",
    "enum": lambda context: f"must be {context['expected']}",
    "string_pattern_mismatch": lambda context: f"must match the pattern {context['pattern']}",
}
