"""What can be said of a call without knowing how it is carried."""

from __future__ import annotations

from enum import StrEnum


class Media(StrEnum):
    """How the caller's audio reaches us."""

    WEBSOCKET = "ws"
    LIVEKIT = "livekit"
    SIP = "sip"


class EndReason(StrEnum):
    """Why a call ended. Users and invoices see these words."""

    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_ENDED = "agent_ended"
    TRANSFERRED = "transferred"
    LIMIT_REACHED = "limit_reached"
    BUDGET_EXHAUSTED = "budget_exhausted"
    CALLER_AWAY = "caller_away"
    PROVIDER_FAILED = "provider_failed"
    MEDIA_FAILED = "media_failed"
    MEDIA_LOST = "media_lost"
    WORKER_LOST = "worker_lost"
    REFUSED = "refused"
    INTERNAL_ERROR = "internal_error"


class RefusalReason(StrEnum):
    """Why admission said no."""

    AT_CAPACITY = "at_capacity"
    DRAINING = "draining"
    UNKNOWN_TENANT = "unknown_tenant"
    INVALID_CONFIG = "invalid_config"
