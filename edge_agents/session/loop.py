"""Configures LiveKit's AgentSession, which is the voice loop; Parley has none of its own."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any, Literal

from livekit.agents import Agent, AgentSession, FlushSentinel, ModelSettings, inference, llm, vad
from livekit.agents.voice.turn import TurnHandlingOptions

from edge_agents.providers.call_providers import CallProviders, connect_options
from edge_agents.session.budget import within_budget
from edge_agents.session.plan import CallPlan
from edge_agents.session.prompt import system_prompt
from shared.domain.agent import SttChoice, TurnDetection, TurnSettings

_TRANSCRIPTION_TIMEOUT_S = 4.0
"""Speech heard, no transcript: after this the caller is asked to say it again."""
_LAST_TRANSCRIPT_S = 1.0
"""Wait for the words during which the caller hung up; a final takes 0.3 s (Nova-3 p99)."""


def build_session(
    plan: CallPlan, providers: CallProviders, voice_activity: vad.VAD, *, away_after_s: float
) -> AgentSession[None]:
    """The voice loop of one call, not started.

    Args:
        plan: the call.
        providers: its own provider objects.
        voice_activity: detector shared by all calls of the process (its streams keep their own state).
        away_after_s: silence of both sides after which the caller counts as away, seconds.
    """
    return AgentSession(
        stt=providers.stt,
        llm=providers.llm,
        tts=providers.tts,
        vad=voice_activity,
        turn_handling=turn_handling(plan.version.config.turn, plan.version.config.stt[0]),
        conn_options=connect_options(),
        max_tool_steps=4,
        # telephones and our tests have no echo to learn; a caller may interrupt the first sentence
        aec_warmup_duration=None,
        user_away_timeout=away_after_s,
        transcription_timeout=_TRANSCRIPTION_TIMEOUT_S,
        session_close_transcript_timeout=_LAST_TRANSCRIPT_S,
    )


def turn_handling(turn: TurnSettings, first_stt: SttChoice) -> TurnHandlingOptions:
    """Turn options of livekit-agents 1.8 for a tenant's settings."""
    detection: Literal["stt", "vad"] | inference.TurnDetector
    min_delay_s = turn.min_delay_s
    match turn.detection:
        case TurnDetection.STT:
            detection = "stt"
            if first_stt.provider == "deepgram-flux":
                # Flux has decided already; waiting again would only add to the latency
                min_delay_s = min(min_delay_s, 0.05)
        case TurnDetection.VAD:
            detection = "vad"
        case TurnDetection.MODEL:
            # "v1" is LiveKit's cloud gateway: pin the local one
            detection = inference.TurnDetector(version="v1-mini")
    return {
        "turn_detection": detection,
        "endpointing": {"mode": "fixed", "min_delay": min_delay_s, "max_delay": turn.max_delay_s},
        "interruption": {
            "enabled": True,
            "mode": "vad",
            "min_duration": turn.interruption_min_duration_s,
            "min_words": 0,
            "resume_false_interruption": False,
            "discard_audio_if_uninterruptible": False,
        },
        "preemptive_generation": {"enabled": turn.preemptive_generation, "preemptive_tts": False},
    }


def build_agent(plan: CallPlan, tools: list[llm.Tool | llm.Toolset]) -> Agent:
    """The agent: stable prompt first, then what belongs to this call, then the history."""
    chat_ctx = llm.ChatContext.empty()
    started = plan.started_at
    chat_ctx.add_message(
        role="system",
        content=f"This call began on {started:%A}, {started.day} {started:%B %Y}, at {started:%H:%M} UTC.",
    )
    config = plan.version.config
    return _BoundedAgent(
        instructions=system_prompt(config),
        chat_ctx=chat_ctx,
        tools=tools,
        budget_tokens=config.limits.context_tokens,
    )


class _BoundedAgent(Agent):
    """An agent whose requests to its model hold no more history than the budget, whatever the history holds."""

    def __init__(self, *, budget_tokens: int, **fields: Any) -> None:
        super().__init__(**fields)
        self._budget_tokens = budget_tokens

    def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncIterable[llm.ChatChunk | str | FlushSentinel]:
        """Ask the model, with what fits."""
        return Agent.default.llm_node(
            self, within_budget(chat_ctx, self._budget_tokens), tools, model_settings
        )


def voice_key(plan: CallPlan) -> str:
    """Names the call's voice in the phrase store."""
    choice = plan.version.config.tts[0]
    # the tenant too: no tenant's sentence is ever another's, even in the same voice
    return ":".join(
        (plan.tenant.tenant_id, plan.version.config.language, choice.provider, choice.voice, choice.model)
    )


SessionT = AgentSession[Any]
"""The voice loop, whatever user data it carries."""
