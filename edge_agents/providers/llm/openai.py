"""OpenAI and every server that speaks its Chat Completions protocol."""

from __future__ import annotations

from livekit.agents.types import NOT_GIVEN
from livekit.plugins import openai as openai_plugin

from edge_agents.providers.clients import ProviderClients
from edge_agents.providers.llm.metered import MeteredLLM
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.timeouts import Deadlines
from shared.domain.agent import LlmChoice
from shared.pricing.agent_items import llm_sku


def openai_llm(
    choice: LlmChoice,
    *,
    clients: ProviderClients,
    meter: UsageMeter,
    max_tokens: int,
    cache_key: str,
    deadlines: Deadlines,
) -> MeteredLLM:
    """One call's model object over the process's shared client.

    Args:
        choice: model and where it is.
        clients: shared connections.
        meter: counts this call's tokens.
        max_tokens: largest reply, unless a request names its own limit.
        cache_key: stable per agent version, so that requests with the same prefix meet the same prompt cache.
        deadlines: of each reply.
    """
    give_back = None
    if choice.base_url is None:
        client = clients.openai(choice.endpoint)
    else:
        # tenants' own keys come with the secrets of the control plane; until then such servers take none
        client, give_back = clients.tenant_openai(str(choice.base_url).rstrip("/"), api_key="none")
    plugin = openai_plugin.LLM(
        model=choice.model,
        client=client,
        prompt_cache_key=cache_key,
        temperature=NOT_GIVEN if choice.temperature is None else choice.temperature,
    )
    return MeteredLLM(
        plugin,
        meter=meter,
        provider=choice.provider,
        sku=llm_sku(choice),
        # not the plugin's own setting: that would stand above a request's
        request={"max_completion_tokens": max_tokens},
        deadlines=deadlines,
        give_back=give_back,
    )
