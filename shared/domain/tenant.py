"""Who a call belongs to, and how that tenant is sold to and separated."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from shared.domain.model import FrozenModel


class Tier(StrEnum):
    """What is sold. Never a statement about isolation."""

    STARTER = "starter"
    BUSINESS = "business"
    ENTERPRISE = "enterprise"


class Isolation(StrEnum):
    """How a tenant's data is separated."""

    POOL = "pool"
    BRIDGE = "bridge"
    SILO = "silo"


class Tenant(FrozenModel):
    """One customer of the platform."""

    tenant_id: str = Field(pattern=r"^ten_[0-9A-HJKMNP-TV-Z]{26}$")
    """`ten_` + ULID."""
    slug: str = Field(pattern=r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$")
    """Unique short name, 3 to 40 characters."""
    name: str = Field(min_length=1, max_length=120)
    """Display name."""
    tier: Tier = Tier.BUSINESS
    """What is sold."""
    isolation: Isolation = Isolation.BRIDGE
    """How it is separated."""
