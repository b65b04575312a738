"""Tenants."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.domain.tenant import Isolation, Tenant, Tier
from shared.ids import IdKind, new_id


def test_tier_and_isolation_are_two_fields() -> None:
    tenant = Tenant(
        tenant_id=new_id(IdKind.TENANT), slug="acme", name="Acme", tier=Tier.STARTER, isolation=Isolation.SILO
    )
    assert (tenant.tier, tenant.isolation) == ("starter", "silo")


@pytest.mark.parametrize("slug", ["a1b", "acme", "a" * 40, "a-1-b"])
def test_a_slug_of_3_to_40_characters_is_taken(slug: str) -> None:
    assert Tenant(tenant_id=new_id(IdKind.TENANT), slug=slug, name="x").slug == slug


@pytest.mark.parametrize(
    "slug", ["ab", "Acme", "1acme", "acme-", "ac_me", "a" * 41, "../etc", "acme\n", "a{b}c", ""]
)
def test_any_other_slug_is_refused(slug: str) -> None:
    with pytest.raises(ValidationError):
        Tenant(tenant_id=new_id(IdKind.TENANT), slug=slug, name="x")
