"""The base of every process's settings: one frozen model, validated at start, read nowhere else."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class ProcessSettings(BaseSettings):
    """Frozen settings from environment variables named `PARLEY_…` (nested fields with `__`).

    Secrets are `SecretStr` and print masked; there are no default credentials.
    """

    model_config = SettingsConfigDict(
        env_prefix="PARLEY_",
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )
