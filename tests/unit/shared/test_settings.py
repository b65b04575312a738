"""The base of settings."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from shared.domain.model import FrozenModel
from shared.settings import ProcessSettings


class _Inner(FrozenModel):
    url: str


class _Settings(ProcessSettings):
    key: SecretStr
    inner: _Inner
    count: int = 3


def test_settings_come_from_prefixed_variables_and_are_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_KEY", "s3cret")
    monkeypatch.setenv("PARLEY_INNER__URL", "http://127.0.0.1:1")
    settings = _Settings()
    assert settings.inner.url == "http://127.0.0.1:1"
    assert settings.count == 3
    with pytest.raises(ValidationError):
        settings.count = 4  # type: ignore[misc]


def test_a_secret_prints_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_KEY", "s3cret")
    monkeypatch.setenv("PARLEY_INNER__URL", "x")
    settings = _Settings()
    assert "s3cret" not in f"{settings} {settings!r} {settings.model_dump_json()}"
    assert settings.key.get_secret_value() == "s3cret"


def test_there_is_no_default_for_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARLEY_KEY", raising=False)
    with pytest.raises(ValidationError) as raised:
        _Settings(inner=_Inner(url="x"))
    assert [error["loc"] for error in raised.value.errors()] == [("key",)]
