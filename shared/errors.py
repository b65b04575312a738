"""Every error of Parley, one tree.

ParleyError
├── InvalidInputError            something from outside is wrong; the caller can mend it
│   ├── InvalidIdError
│   ├── AgentConfigError         an agent's configuration, with the names of the bad fields
│   ├── InvalidSettingsError     a process's settings are missing or malformed
│   ├── UsageError               a process's arguments are wrong
│   ├── AudioFormatError         audio that can't be read or is empty
│   ├── EventTooLargeError
│   └── TokenError               a media token is forged, broken or over its time
├── NotFoundError
│   └── UnknownTenantError
├── AddressBlockedError          a tenant's URL leads where it must not
├── RemoteError                  a tenant's or a vendor's server answered badly
│   ├── RemoteTimeoutError
│   ├── RemoteStatusError
│   └── ResponseTooLargeError
├── CallRefusedError             admission said no
├── ProviderError                STT, LLM or TTS failed on every choice
├── MediaError                   the audio path of a call failed
│   └── TrackNotPublishedError
├── ToolError
│   ├── ToolNotAllowedError
│   └── ToolArgumentsError
├── ListenError                  a process can't listen on its address
├── SealError                    a sealed value can't be opened
├── PriceNotFoundError
└── StackError                   the local stack can't do what was asked (port in use, part missing)

Each class has a stable `code` that users may depend on, and says whether trying again can help.
"""

from __future__ import annotations

from typing import ClassVar


class ParleyError(Exception):
    """Root of all our errors; never raised itself.

    Args:
        message: for people; holds no secret and no personal data.
        hint: what to do about it, one sentence, or "" when the message says it.
        data: typed details for programs.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "", **data: str | int | float | tuple[str, ...]) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data


class InvalidInputError(ParleyError):
    """Input from outside breaks a rule that the message names."""

    code = "invalid_input"


class InvalidIdError(InvalidInputError):
    """A value is not an id of the kind asked for."""

    code = "invalid_id"


class AgentConfigError(InvalidInputError):
    """An agent's configuration is malformed; `data["fields"]` names each bad field."""

    code = "invalid_agent_config"


class InvalidSettingsError(InvalidInputError):
    """A process's settings are missing or malformed; it ends with status 2."""

    code = "invalid_settings"


class UsageError(InvalidInputError):
    """A process's arguments are wrong; it ends with status 2."""

    code = "invalid_usage"


class AudioFormatError(InvalidInputError):
    """Audio is empty, unreadable or of a kind that can't be converted."""

    code = "invalid_audio"


class EventTooLargeError(InvalidInputError):
    """An event's value is over the 1 MiB that a topic takes."""

    code = "event_too_large"


class TokenError(InvalidInputError):
    """A media token is not one of ours, was changed, or is over its time."""

    code = "invalid_token"


class NotFoundError(ParleyError):
    """What was named does not exist."""

    code = "not_found"


class UnknownTenantError(NotFoundError):
    """No tenant of that name or id."""

    code = "unknown_tenant"


class AddressBlockedError(ParleyError):
    """A URL given by a tenant resolves to an address that is not on the public internet."""

    code = "address_blocked"


class RemoteError(ParleyError):
    """A server outside Parley failed."""

    code = "remote_failed"
    retryable = True


class RemoteTimeoutError(RemoteError):
    """A server outside Parley did not finish within the deadline."""

    code = "remote_timeout"


class RemoteStatusError(RemoteError):
    """A server outside Parley answered with an error status; `data["status"]` is the HTTP status."""

    code = "remote_status"


class ResponseTooLargeError(RemoteError):
    """A response was longer than the limit; it was not read further."""

    code = "response_too_large"
    retryable = False


class CallRefusedError(ParleyError):
    """Admission refused the call; `data["reason"]` says why. No provider was touched."""

    code = "call_refused"
    retryable = True


class ProviderError(ParleyError):
    """A speech or language provider failed on every configured choice; calls end with this code."""

    code = "provider_failed"
    retryable = True


class MediaError(ParleyError):
    """The audio path of a call failed."""

    code = "media_failed"


class TrackNotPublishedError(MediaError):
    """The agent's audio could not be published in time; the call fails instead of staying silent."""

    code = "agent_track_not_published"
    retryable = True


class ToolError(ParleyError):
    """A tool call failed."""

    code = "tool_failed"


class ToolNotAllowedError(ToolError):
    """The model asked for a tool that the agent's version does not list."""

    code = "tool_not_allowed"


class ToolArgumentsError(ToolError):
    """The model's arguments do not fit the tool's JSON Schema."""

    code = "tool_arguments_invalid"


class ListenError(ParleyError):
    """A process can't listen on the address of its settings: it is taken, or not of this machine."""

    code = "listen_failed"


class SealError(ParleyError):
    """A sealed (`pii`) value can't be opened: wrong key, destroyed key or changed bytes."""

    code = "seal_broken"


class PriceNotFoundError(ParleyError):
    """The catalogue has no price for that provider, item, unit and time."""

    code = "price_not_found"


class StackError(ParleyError):
    """The local stack can't do what was asked."""

    code = "stack_failed"
