"""Takes calls: admission, plan, the call itself; counts them, and drains.

token / signed attributes ─► requested ─► admission, plan ─┬► refused
                                                           └► admitted ─► Call.run ─► lease returned
"""

from __future__ import annotations

import asyncio

import structlog

from edge_agents.session.call import Call
from edge_agents.session.events import ArrivalEvents
from edge_agents.session.host import CallHost
from edge_agents.session.plan import CallPlan
from edge_agents.transport.port import MediaTransport
from shared.domain.call import EndReason, Media, RefusalReason
from shared.errors import AgentConfigError, CallRefusedError, ParleyError, UnknownTenantError
from shared.names import Attribute
from shared.ports import AdmissionGate, AgentRecord, ConfigStore, Lease
from shared.telemetry import bind_call

log = structlog.get_logger(__name__)


class CallDesk:
    """One per process.

    Args:
        host: shared adapters of the calls.
        gate: admission.
        configs: published agents.
        region: written into events.
        heartbeat_s: how often a running call renews its lease.
    """

    def __init__(
        self,
        host: CallHost,
        *,
        gate: AdmissionGate,
        configs: ConfigStore,
        region: str,
        heartbeat_s: float = 5.0,
    ) -> None:
        self._host = host
        self._gate = gate
        self._configs = configs
        self._region = region
        self._heartbeat_s = heartbeat_s
        self._active: set[Call] = set()
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def active_calls(self) -> int:
        """Calls in progress."""
        return len(self._active)

    @property
    def draining(self) -> bool:
        """Whether new calls are refused because the process is about to end."""
        return self._draining

    def turn_away(
        self, *, tenant_id: str, agent_id: str, call_id: str, media: Media, full: bool
    ) -> RefusalReason | None:
        """Whether a caller who is still at the door can't be taken; published as a refused call then.

        Args:
            tenant_id: from what our side signed, like the other ids.
            agent_id: the agent asked for.
            call_id: the call.
            media: how the audio would come.
            full: this process carries no further call.
        """
        if not (self._draining or full):
            return None
        reason = RefusalReason.DRAINING if self._draining else RefusalReason.AT_CAPACITY
        with bind_call(tenant_id=tenant_id, call_id=call_id):
            arrival = self._arrival(tenant_id, call_id)
            arrival.requested(agent_id=agent_id, media=media, region=self._region)
            _refuse(arrival, reason)
        return reason

    async def take(self, transport: MediaTransport) -> EndReason:
        """Answer a caller.

        Args:
            transport: the caller's media, with attributes that our side signed.

        Returns:
            Why the call ended; REFUSED when it never began.

        Raises:
            CallRefusedError: refused; the transport is still open, so that its host can say why.
        """
        attributes = transport.attributes
        tenant_id = attributes[Attribute.TENANT_ID]
        agent_id = attributes[Attribute.AGENT_ID]
        call_id = attributes[Attribute.CALL_ID]
        arrival = self._arrival(tenant_id, call_id)
        with bind_call(tenant_id=tenant_id, call_id=call_id):
            arrival.requested(agent_id=agent_id, media=transport.media, region=self._region)
            lease, record = await self._admit(
                arrival, tenant_id=tenant_id, agent_id=agent_id, call_id=call_id
            )
            try:
                self._check_draining(arrival)  # it may have begun while the gate was asked
                call = self._prepare(arrival, transport, lease, record)
                arrival.admitted(lease.segment)
                return await self._run(call, transport, lease)
            finally:
                await self._release(lease)

    async def drain(self, timeout_s: float) -> bool:
        """Take no new calls and wait for those in progress.

        Returns:
            False when `timeout_s` ran out with calls still going on.
        """
        self._draining = True
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def hang_up_all(self, reason: EndReason) -> None:
        """End every call now."""
        for call in list(self._active):
            call.hang_up(reason)

    def _arrival(self, tenant_id: str, call_id: str) -> ArrivalEvents:
        return ArrivalEvents(
            publisher=self._host.publisher, clock=self._host.clock, tenant_id=tenant_id, call_id=call_id
        )

    async def _admit(
        self, arrival: ArrivalEvents, *, tenant_id: str, agent_id: str, call_id: str
    ) -> tuple[Lease, AgentRecord]:
        self._check_draining(arrival)
        try:
            record = await self._configs.agent_for_call(tenant_id=tenant_id, agent_id=agent_id)
        except UnknownTenantError:
            raise _refuse(arrival, RefusalReason.UNKNOWN_TENANT) from None
        except AgentConfigError as error:
            log.error("agent_config_invalid", fields=error.data.get("fields"))
            raise _refuse(arrival, RefusalReason.INVALID_CONFIG) from None
        granted = await self._gate.admit(tenant_id=tenant_id, call_id=call_id)
        if not isinstance(granted, Lease):
            raise _refuse(arrival, granted.reason)
        return granted, record

    def _check_draining(self, arrival: ArrivalEvents) -> None:
        if self._draining:
            raise _refuse(arrival, RefusalReason.DRAINING)

    def _prepare(
        self, arrival: ArrivalEvents, transport: MediaTransport, lease: Lease, record: AgentRecord
    ) -> Call:
        """Make the call. What a vendor's plugin does not accept shows only here, and is a refusal still."""
        plan = CallPlan(
            call_id=lease.call_id,
            tenant=record.tenant,
            version=record.version,
            media=transport.media,
            region=self._region,
            segment=lease.segment,
            price_catalogue=self._host.catalogue.version,
            started_at=self._host.clock.now(),
        )
        try:
            return Call(plan, transport, self._host)
        except ParleyError as error:
            log.error("call_not_prepared", code=error.code, message=error.message)
        except Exception:
            log.exception("call_not_prepared")
        raise _refuse(arrival, RefusalReason.INVALID_CONFIG)

    async def _run(self, call: Call, transport: MediaTransport, lease: Lease) -> EndReason:
        self._active.add(call)
        self._idle.clear()
        heartbeat = asyncio.create_task(self._renew(lease, call), name="call.heartbeat")
        try:
            log.info("call_started", media=transport.media.value)
            reason = await call.run()
            log.info("call_ended", reason=reason.value)
            return reason
        finally:
            heartbeat.cancel()
            await asyncio.gather(heartbeat, return_exceptions=True)
            self._active.discard(call)
            if not self._active:
                self._idle.set()

    async def _renew(self, lease: Lease, call: Call) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            try:
                held = await self._gate.renew(lease)
            except Exception as error:  # noqa: BLE001 - calls go on while admission is away
                log.warning("lease_not_renewed", error=type(error).__name__)
                continue
            if not held:
                # another worker holds the call now: two agents must never talk to one caller
                log.warning("lease_lost")
                call.hang_up(EndReason.WORKER_LOST)
                return

    async def _release(self, lease: Lease) -> None:
        try:
            await self._gate.release(lease)
        except Exception as error:  # noqa: BLE001 - it returns by itself when it is not renewed
            log.warning("lease_not_released", error=type(error).__name__)


def _refuse(arrival: ArrivalEvents, reason: RefusalReason) -> CallRefusedError:
    arrival.refused(reason)
    log.info("call_refused", reason=reason.value)
    return CallRefusedError("the call was refused", reason=reason.value)
