"""The tree of errors."""

from __future__ import annotations

import re

import pytest

import shared.errors
from shared.errors import ParleyError, RemoteTimeoutError, TokenError


def _classes() -> list[type[ParleyError]]:
    found, pending = [], [ParleyError]
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if cls.__module__ == shared.errors.__name__:
            found.append(cls)
    return found


def test_every_class_has_a_code_of_its_own() -> None:
    codes = [cls.__dict__.get("code") for cls in _classes()]
    assert None not in codes
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", str(code)) for code in codes)


@pytest.mark.parametrize("cls", _classes(), ids=lambda cls: str(cls.__name__))
def test_the_tree_in_the_docstring_shows_every_class_under_its_parent(cls: type[ParleyError]) -> None:
    lines = (shared.errors.__doc__ or "").splitlines()
    shown = {
        match[2]: len(match[1]) // 4
        for line in lines
        if (match := re.match(r"([│├└─ ]*)([A-Z]\w+Error)\b", line))
    }
    depth = len([base for base in cls.__mro__ if issubclass(base, ParleyError)]) - 1
    assert shown[cls.__name__] == depth


def test_an_error_carries_a_message_a_hint_and_typed_data() -> None:
    error = RemoteTimeoutError("no answer", hint="Try later.", deadline_s=8.0)
    assert (error.message, error.hint, error.data, str(error)) == (
        "no answer",
        "Try later.",
        {"deadline_s": 8.0},
        "no answer",
    )
    assert error.retryable


def test_what_the_caller_must_mend_is_not_retried() -> None:
    assert not TokenError("x").retryable
    assert isinstance(TokenError("x"), shared.errors.InvalidInputError)
