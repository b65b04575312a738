"""Published agents in memory, and builders of sample ones."""

from __future__ import annotations

from typing import Any

from shared.domain.agent import AgentConfig, AgentVersion
from shared.domain.tenant import Tenant
from shared.errors import ParleyError, UnknownTenantError
from shared.ids import IdKind, new_id
from shared.ports import AgentRecord


def agent_config(**changes: Any) -> AgentConfig:
    """A small valid configuration; `changes` replace fields."""
    fields: dict[str, Any] = {
        "name": "Ada",
        "greeting": "Hello, how can I help you?",
        "instructions": "You are Ada. Be brief.",
    }
    return AgentConfig.model_validate({**fields, **changes})


def agent_record(*, slug: str = "sample", config: AgentConfig | None = None) -> AgentRecord:
    """A tenant with new ids and one published version."""
    return AgentRecord(
        tenant=Tenant(tenant_id=new_id(IdKind.TENANT), slug=slug, name=slug.title()),
        version=AgentVersion(
            agent_id=new_id(IdKind.AGENT),
            version_id=new_id(IdKind.AGENT_VERSION),
            number=1,
            config=config or agent_config(),
        ),
    )


class FakeConfigStore:
    """ConfigStore over a list of records.

    Args:
        records: what is published.
    """

    def __init__(self, *records: AgentRecord) -> None:
        self.records = list(records)
        self.error: ParleyError | None = None
        """Raised instead of an answer, when set."""
        self.callers: list[str] = []
        """`caller` of each question."""

    async def agent_for_call(self, *, tenant_id: str, agent_id: str, caller: str = "") -> AgentRecord:
        """Find the record."""
        self.callers.append(caller)
        if self.error:
            raise self.error
        for record in self.records:
            if record.tenant.tenant_id == tenant_id and record.version.agent_id == agent_id:
                return record
        raise UnknownTenantError("no such tenant or agent")
