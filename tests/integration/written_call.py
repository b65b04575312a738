"""A call whose caller writes: the words go into the voice loop, nothing is spoken or recognised."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from livekit.agents import llm

from edge_agents.session.call import Call
from edge_agents.session.context import items_to_summarise
from shared.domain.call import EndReason
from shared.ids import IdKind, new_id
from shared.names import Attribute
from tests.fakes.text_transport import TextTransport
from tests.fakes.waiting import until
from tests.integration.agent_process import AgentHere, Publication

ENDS_WITHIN_S = 15.0
"""From hanging up to the end of the call."""


@dataclass(frozen=True)
class WrittenCall:
    """A call that has been answered."""

    transport: TextTransport
    running: Call
    over: asyncio.Task[EndReason]

    @property
    def call_id(self) -> str:
        return self.transport.attributes[Attribute.CALL_ID]

    async def says(self, words: str) -> None:
        """Say something, and let the agent answer."""
        await self.running.session.generate_reply(user_input=words)

    async def settled(self) -> None:
        """Wait until the history needs no summary."""
        session, budget_tokens = self.running.session, self.running._config.limits.context_tokens

        async def fits() -> bool:
            older = items_to_summarise(session.current_agent.chat_ctx, budget_tokens)
            return not older and not self.running._history.busy

        await until(fits)

    async def hang_up(self) -> EndReason:
        """Leave, and see how the call ended."""
        self.transport.hang_up()
        async with asyncio.timeout(ENDS_WITHIN_S):
            return await self.over


async def place(agent: AgentHere, tenant: Publication) -> WrittenCall:
    """Call, and let the agent greet."""
    attributes = {
        Attribute.TENANT_ID: tenant.tenant_id,
        Attribute.AGENT_ID: tenant.agent_id,
        Attribute.CALL_ID: new_id(IdKind.CALL),
    }
    transport = TextTransport(attributes)
    over = asyncio.create_task(agent.runtime.desk.take(transport))
    await transport.attached.wait()
    (running,) = agent.runtime.desk._active
    session = running.session

    async def greeted() -> bool:
        return any(
            isinstance(item, llm.ChatMessage) and item.role == "assistant" for item in session.history.items
        )

    await until(greeted)
    return WrittenCall(transport, running, over)
