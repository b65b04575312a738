"""Names that more than one process must agree on: topics, headers, key prefixes, log fields, metrics.

Data only; imports nothing of ours (see docs/architecture/).
"""

from __future__ import annotations

from typing import Final

AGENT_NAME: Final = "parley"
"""LiveKit agent name; a non-empty name means explicit dispatch only."""


class Topic:
    """Kafka topics (design: one topic per kind of fact; the version is part of the name)."""

    CALLS: Final = "parley.calls.v1"
    TURNS: Final = "parley.turns.v1"
    USAGE: Final = "parley.usage.v1"
    AUDIT: Final = "parley.audit.v1"
    TENANTS: Final = "parley.tenants.v1"
    UTTERANCES: Final = "parley.utterances.v1"
    REPLIES: Final = "parley.replies.v1"
    DEAD_LETTERS: Final = "parley.dead-letters.v1"

    ALL: Final = (CALLS, TURNS, USAGE, AUDIT, TENANTS, UTTERANCES, REPLIES, DEAD_LETTERS)


class Header:
    """Kafka record headers: CloudEvents 1.0 binary mode, and our own beside them."""

    CE_ID: Final = "ce_id"
    CE_TYPE: Final = "ce_type"
    CE_SOURCE: Final = "ce_source"
    CE_TIME: Final = "ce_time"
    CE_SPECVERSION: Final = "ce_specversion"
    CONTENT_TYPE: Final = "content-type"
    TENANT_ID: Final = "tenant_id"
    CALL_ID: Final = "call_id"
    TRACEPARENT: Final = "traceparent"


class LogField:
    """Keys of structured log records. Personal data stands only under a key with a `pii` segment."""

    TENANT_ID: Final = "tenant_id"
    CALL_ID: Final = "call_id"
    TURN_ID: Final = "turn_id"
    PII: Final = "pii"


class Attribute:
    """Participant and dispatch attributes that our side signs; the tenant is taken from nowhere else."""

    TENANT_ID: Final = "parley.tenant_id"
    AGENT_ID: Final = "parley.agent_id"
    CALL_ID: Final = "parley.call_id"
    NUMBER_ID: Final = "parley.number_id"


class RedisPrefix:
    """Key prefixes; the braces pin a cell's admission state, or a tenant's data, to one cluster slot."""

    @staticmethod
    def cell(cell: str) -> str:
        """Admission state of one cell."""
        return f"c:{{{cell}}}:"

    @staticmethod
    def tenant(tenant_id: str) -> str:
        """Context and configuration of one tenant. Ids hold no braces or colons (see ids.py)."""
        return f"t:{{{tenant_id}}}:"


MAX_EVENT_BYTES: Final = 1_048_576
"""Largest Kafka value (design section 3); a larger one is refused by the producer and counted."""
