"""Find a command's work when the command runs: `parley --help` imports none of it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from shared.errors import StackError


def work_of(module: str, function: str) -> Callable[..., Any]:
    """Import `function` of `module`.

    Raises:
        StackError: it is not there.
    """
    try:
        found: Callable[..., Any] | None = getattr(import_module(module), function, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        found = None
    if found is None:
        raise StackError("not built yet", hint=f"{module}.{function} is missing from this checkout.")
    return found
