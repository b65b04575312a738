"""What the core needs of the outside world. Adapters stand in shared/adapters/, fakes in tests/fakes/."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from shared.contracts.event import Event
from shared.contracts.sealed import Sealed, SealedPlace
from shared.domain.agent import AgentVersion
from shared.domain.call import RefusalReason
from shared.domain.model import FrozenModel
from shared.domain.tenant import Tenant


class Clock(Protocol):
    """Time, injected so that tests own it."""

    def now(self) -> datetime:
        """Wall clock, timezone-aware UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""
        ...


class EventPublisher(Protocol):
    """Where events go. Never blocks the caller: a full buffer spills, and what can't spill is counted."""

    def publish(self, event: Event, *, traceparent: str | None = None) -> None:
        """Hand an event over; returns at once.

        Raises:
            EventTooLargeError: the value is over 1 MiB.
        """
        ...

    async def flush(self, timeout_s: float) -> bool:
        """Wait until all events handed over are acknowledged or spilled.

        Returns:
            False when `timeout_s` ran out first; the rest stays buffered.
        """
        ...


class Sealer(Protocol):
    """Encrypts personal data before it leaves the process."""

    def seal(self, text: str, place: SealedPlace) -> Sealed:
        """Encrypt `text` under the tenant's current key, bound to its place."""
        ...

    def unseal(self, sealed: Sealed, place: SealedPlace) -> str:
        """Decrypt what stands at `place`.

        Raises:
            SealError: unknown or destroyed key, changed bytes, or another place than it was sealed for.
        """
        ...


class AgentRecord(FrozenModel):
    """What a call needs to know about whom it serves."""

    tenant: Tenant
    """The tenant."""
    version: AgentVersion
    """The version to run."""


class ConfigStore(Protocol):
    """Published agents. Part of a call's start: must answer fast, from a cache if need be."""

    async def agent_for_call(self, *, tenant_id: str, agent_id: str, caller: str = "") -> AgentRecord:
        """The published version that a call runs.

        Args:
            tenant_id: taken from what our side signed, never from a participant.
            agent_id: the agent asked for.
            caller: stable key of the caller for sticky percentage splits; "" for none.

        Raises:
            UnknownTenantError: no such tenant, or the agent is not that tenant's.
            AgentConfigError: what is stored can't be read.
        """
        ...


class Lease(FrozenModel):
    """Permission to run one call. Returns by itself when it is not renewed."""

    call_id: str
    """The call."""
    segment: int
    """Fencing token; grows each time that a call is granted."""


class Refusal(FrozenModel):
    """Admission's no."""

    reason: RefusalReason
    """Why."""


class AdmissionGate(Protocol):
    """Grants or refuses calls, atomically."""

    async def admit(self, *, tenant_id: str, call_id: str) -> Lease | Refusal:
        """Ask for a lease."""
        ...

    async def renew(self, lease: Lease) -> bool:
        """Heartbeat; False when the lease was lost to another holder."""
        ...

    async def release(self, lease: Lease) -> None:
        """Give the lease back; releasing twice does nothing."""
        ...


class ContextStore(Protocol):
    """Checkpoints of a call's conversation, so that another worker can take it over."""

    async def save(self, *, tenant_id: str, call_id: str, checkpoint: bytes) -> None:
        """Keep the newest checkpoint (replaces the one before; expires by itself)."""
        ...

    async def load(self, *, tenant_id: str, call_id: str) -> bytes | None:
        """The newest checkpoint, or None."""
        ...


class CallTransfer(Protocol):
    """Hands a caller to another phone or address. The telephone brings the real one."""

    async def transfer(self, *, call_id: str, target: str, address: str) -> None:
        """Transfer.

        Args:
            call_id: the call.
            target: name of the target in the agent's configuration.
            address: E.164 number or SIP URI that the configuration gives for it.

        Raises:
            ToolError: it can't be done.
        """
        ...
