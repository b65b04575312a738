"""A call's language model: the tenant's choices in order, each with its deadlines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from livekit.agents import APIConnectOptions, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr

from edge_agents.providers.clients import ProviderClients
from edge_agents.providers.llm.metered import MeteredLLM
from edge_agents.providers.llm.openai import openai_llm
from edge_agents.providers.meter import UsageMeter
from edge_agents.providers.timeouts import Deadlines
from shared.domain.agent import LlmChoice


class OnePassModels(llm.FallbackAdapter):
    """Models in order, each tried once for a reply; then the failure is known, and the call apologises.

    The session's own retry would go through all of them again, deadline by deadline, in silence.
    """

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        """Start a reply."""
        return super().chat(
            chat_ctx=chat_ctx,
            tools=tools,
            conn_options=replace(conn_options, max_retry=0),
            parallel_tool_calls=parallel_tool_calls,
            tool_choice=tool_choice,
            extra_kwargs=extra_kwargs,
        )


def build_llm(
    choices: tuple[LlmChoice, ...],
    *,
    clients: ProviderClients,
    meter: UsageMeter,
    max_tokens: int,
    cache_key: str,
    deadlines: Deadlines,
) -> tuple[llm.LLM[Any], list[MeteredLLM]]:
    """Build the model that a session uses, and the list of objects to close with it."""
    owned = [
        openai_llm(
            choice,
            clients=clients,
            meter=meter,
            max_tokens=max_tokens,
            cache_key=cache_key,
            deadlines=deadlines,
        )
        for choice in choices
    ]
    if len(owned) == 1:
        return owned[0], owned
    adapter = OnePassModels(list(owned), attempt_timeout=deadlines.llm_first_chunk_s, max_retry_per_llm=0)
    return adapter, owned
