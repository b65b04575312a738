"""Everything that is fixed for a call before its first word."""

from __future__ import annotations

from pydantic import Field

from shared.contracts.event import UtcDatetime
from shared.domain.agent import AgentVersion
from shared.domain.call import Media
from shared.domain.model import FrozenModel
from shared.domain.tenant import Tenant


class CallPlan(FrozenModel):
    """One call, frozen: a change that is published meanwhile is for the next call."""

    call_id: str
    """The call."""
    tenant: Tenant
    """Whom it serves; from what our side signed."""
    version: AgentVersion
    """The agent version: prompt, knowledge, tools, providers with fallbacks, limits."""
    media: Media
    """How the audio comes."""
    region: str
    """Where it runs."""
    segment: int = Field(ge=1)
    """Fencing token of the lease."""
    price_catalogue: str
    """Version of the price catalogue that rates it."""
    started_at: UtcDatetime
    """When it started: the day it is billed to."""
