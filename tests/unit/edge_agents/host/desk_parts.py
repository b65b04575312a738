"""A call desk over fakes: real calls with stub voices, on a transport without sound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from livekit.agents import inference

from edge_agents.audio.phrases import PhraseStore
from edge_agents.host.desk import CallDesk
from edge_agents.providers.call_providers import CallProviders
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.tts.metered import MeteredTTS
from edge_agents.session.host import CallHost
from shared.adapters.clock import SystemClock
from shared.domain.agent import AgentVersion
from shared.domain.call import EndReason
from shared.ids import IdKind, new_id
from shared.names import Attribute
from shared.net import GuardedClient
from shared.ports import AgentRecord
from shared.pricing.catalogue import packaged_catalogue
from tests.fakes.configs import FakeConfigStore, agent_config, agent_record
from tests.fakes.events import RecordingPublisher
from tests.fakes.gate import FakeGate
from tests.fakes.sealer import FakeSealer
from tests.fakes.text_transport import TextTransport
from tests.fakes.transfer import FakeTransfer
from tests.integration.media_stubs import GateSTT, ScriptedLLM, ToneTTS

TENTH_S = "0.1"
"""What ToneTTS speaks as a tenth of a second."""


def providers(_version: AgentVersion, _tags: tuple[str, ...]) -> CallProviders:
    """A ProviderFactory of stubs."""
    meter = UsageMeter()
    voice = MeteredTTS(ToneTTS, meter=meter, provider="stub", sku="tone")
    return CallProviders(stt=GateSTT(), llm=ScriptedLLM([TENTH_S]), tts=voice, meter=meter, owned=[voice])


@dataclass
class Office:
    """A desk and everything it works with."""

    desk: CallDesk
    gate: FakeGate
    configs: FakeConfigStore
    publisher: RecordingPublisher
    record: AgentRecord
    calls: list[asyncio.Task[EndReason]] = field(default_factory=list)

    def transport(self, *, tenant_id: str = "", agent_id: str = "") -> TextTransport:
        """A caller's media, of the known tenant if nothing else is said."""
        return TextTransport(
            {
                Attribute.TENANT_ID: tenant_id or self.record.tenant.tenant_id,
                Attribute.AGENT_ID: agent_id or self.record.version.agent_id,
                Attribute.CALL_ID: new_id(IdKind.CALL),
            }
        )

    async def answered(self) -> tuple[TextTransport, asyncio.Task[EndReason]]:
        """A call that the agent has answered."""
        transport = self.transport()
        call = asyncio.create_task(self.desk.take(transport))
        self.calls.append(call)
        await transport.attached.wait()
        return transport, call


@asynccontextmanager
async def office(
    folder: Path,
    *,
    gate: FakeGate | None = None,
    make_providers: Callable[[AgentVersion, tuple[str, ...]], CallProviders] = providers,
    heartbeat_s: float = 60.0,
) -> AsyncIterator[Office]:
    """A desk; calls still going on at the end are hung up."""
    phrases = dict.fromkeys(("apology", "failure", "goodbye", "wrap_up"), TENTH_S)
    record = agent_record(config=agent_config(greeting=TENTH_S, phrases=phrases))
    publisher, configs, gate = RecordingPublisher(), FakeConfigStore(record), gate or FakeGate()
    async with GuardedClient() as http:
        host = CallHost(
            providers=make_providers,
            publisher=publisher,
            sealer=FakeSealer(),
            clock=SystemClock(),
            catalogue=packaged_catalogue(),
            phrases=PhraseStore(folder),
            tool_http=http,
            transfer=FakeTransfer(),
            voice_activity=inference.VAD(model="silero"),
        )
        desk = CallDesk(host, gate=gate, configs=configs, region="here", heartbeat_s=heartbeat_s)
        place = Office(desk, gate, configs, publisher, record)
        yield place
        desk.hang_up_all(EndReason.WORKER_LOST)
        await asyncio.gather(*place.calls, return_exceptions=True)
