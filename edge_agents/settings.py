"""Settings of the agent process."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from shared.domain.model import FrozenModel
from shared.settings import ProcessSettings


class Endpoint(FrozenModel):
    """Where a vendor is reached, and with which key. The clouds and the local engines differ only here."""

    url: str
    """Base URL as the vendor's plugin takes it (docs/api/providers.md)."""
    key: SecretStr
    """The vendor's key."""


class AgentSettings(ProcessSettings):
    """One agent process: which providers it reaches, where its events go, how it hosts calls."""

    log_json: bool = True
    """JSON log lines; False for people at a terminal."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least level that is logged."""

    region: str = "local"
    """Name of the cell's region, written into events."""
    host: str = "127.0.0.1"
    """Address that the health and media server listens on."""
    port: int = Field(default=8080, ge=0, le=65535)
    """Its port; 0 picks a free one and prints it."""
    media_secret: SecretStr
    """Signs the tokens that let a caller's socket in (at least 32 bytes)."""
    max_calls: int = Field(default=20, ge=1, le=500)
    """Calls this process carries at once; further ones are refused."""
    drain_timeout_s: float = Field(default=3600, gt=0)
    """How long calls may go on after SIGTERM, seconds."""

    endpoints: dict[str, Endpoint]
    """Provider, or `provider/name` for a named endpoint -> where it is reached. Providers: deepgram-stt,
    deepgram-flux, deepgram-tts, openai, elevenlabs, azure."""

    kafka_bootstrap: str
    """host:port of the brokers, comma separated."""
    spill_dir: Path
    """Folder for events that could not be sent; survives the process."""
    sealing_key_file: Path
    """32 random bytes, base64: the local key under which personal data is sealed."""
    agents_dir: Path
    """Folder of published agents (until the configuration cache of the control plane replaces it)."""
    tool_placeholders: dict[str, str] = Field(default_factory=dict)
    """Values for `${NAME}` in the URLs of agent files (until secrets and endpoints come from the control plane)."""
    phrase_dir: Path
    """Folder for kept phrase audio."""
    allow_loopback: bool = False
    """Lets the guarded client reach loopback. Only the local stack sets it."""

    @model_validator(mode="after")
    def _loopback_is_local(self) -> Self:
        if self.allow_loopback and self.region != "local":
            raise ValueError("allow_loopback is for the local stack only")
        return self

    livekit_url: str = ""
    """LiveKit server (ws:// or wss://); "" hosts no rooms."""
    livekit_api_key: str = ""
    """LiveKit API key."""
    livekit_api_secret: SecretStr = SecretStr("")
    """LiveKit API secret."""
