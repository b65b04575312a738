"""An agent as a tenant configures it, and the immutable version that a call runs."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, HttpUrl, field_validator, model_validator

from shared.domain.model import FrozenModel
from shared.domain.tool_schema import check_parameters

ShortText = Annotated[str, Field(min_length=1, max_length=500)]
LongText = Annotated[str, Field(min_length=1, max_length=16_000)]

_STT_MODELS = {"deepgram": "nova-3", "deepgram-flux": "flux-general-en"}
_ELEVENLABS_MODEL = "eleven_flash_v2_5"  # their fastest (time to first audio, Coval, May 2026)
MAX_KEYTERM_TOKENS = 500
"""Deepgram refuses a stream with more. Its tokeniser is not public: a token is taken as 4 letters of a word."""

BUILT_IN_TOOLS = frozenset({"end_call", "transfer_call"})


class TurnDetection(StrEnum):
    """What decides that the caller has finished."""

    STT = "stt"
    """The recogniser's own endpointing."""
    VAD = "vad"
    """Voice activity alone."""
    MODEL = "model"
    """LiveKit's local end-of-turn model; it waits up to `max_delay_s` on short, clipped phrases."""


class TurnSettings(FrozenModel):
    """How turns are taken."""

    detection: TurnDetection = TurnDetection.VAD
    """What decides that the caller has finished (docs/adr/ says why this default)."""
    min_delay_s: float = Field(default=0.25, ge=0, le=5)
    """Shortest wait after the caller's speech before the turn is taken, seconds."""
    max_delay_s: float = Field(default=2.5, ge=0, le=10)
    """Longest wait when the detector thinks that the caller goes on, seconds."""
    interruption_min_duration_s: float = Field(default=0.2, ge=0.05, le=0.25)
    """Speech of the caller that stops the agent, seconds."""
    preemptive_generation: bool = True
    """Start the reply before the turn is certain; discarded tokens are billed and counted."""

    @model_validator(mode="after")
    def _delays_are_in_order(self) -> Self:
        if self.min_delay_s > self.max_delay_s:
            raise ValueError("min_delay_s must not be above max_delay_s")
        return self


class SttChoice(FrozenModel):
    """A recogniser and its model."""

    provider: Literal["deepgram", "deepgram-flux"] = "deepgram"
    """Vendor (and protocol)."""
    model: str = Field(default="", max_length=80)
    """The vendor's model name; "" is `nova-3`, or `flux-general-en` for deepgram-flux."""
    endpoint: str = Field(default="", max_length=40)
    """Name of an endpoint in the host's settings; "" is the provider's default one."""

    @property
    def model_name(self) -> str:
        """The model that is asked for."""
        return self.model or _STT_MODELS[self.provider]


class LlmChoice(FrozenModel):
    """A language model."""

    provider: Literal["openai", "openai-compatible"] = "openai"
    """`openai-compatible` needs `base_url`."""
    model: str = Field(default="gpt-4.1-mini", min_length=1, max_length=120)
    """The vendor's model name."""
    base_url: HttpUrl | None = None
    """A tenant's own endpoint; reached only through the guarded client of shared/net.py."""
    endpoint: str = Field(default="", max_length=40)
    """Name of an endpoint in the host's settings; "" is the provider's default one."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """Sampling temperature; None leaves it to the vendor."""

    @model_validator(mode="after")
    def _compatible_needs_url(self) -> Self:
        if (self.provider == "openai-compatible") != (self.base_url is not None):
            raise ValueError("base_url goes with provider openai-compatible, and only with it")
        return self


class TtsChoice(FrozenModel):
    """A voice."""

    provider: Literal["deepgram", "elevenlabs", "azure"] = "deepgram"
    """Vendor."""
    voice: str = Field(default="aura-2-andromeda-en", min_length=1, max_length=120)
    """The vendor's voice name or id."""
    model: str = Field(default="", max_length=80)
    """The vendor's model where it is not part of the voice (ElevenLabs); "" is `eleven_flash_v2_5`."""
    endpoint: str = Field(default="", max_length=40)
    """Name of an endpoint in the host's settings; "" is the provider's default one."""

    @property
    def model_name(self) -> str:
        """What the vendor bills by: the model, or the voice where that has it in its name."""
        return self.model or _ELEVENLABS_MODEL if self.provider == "elevenlabs" else self.voice


class KnowledgeItem(FrozenModel):
    """A question callers ask, and the answer the tenant wants given."""

    question: ShortText
    """As a caller would ask it."""
    answer: Annotated[str, Field(min_length=1, max_length=2_000)]
    """As the agent should say it."""


class HttpTool(FrozenModel):
    """A tenant's HTTP endpoint that the model may call."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    """Function name the model sees."""
    description: ShortText
    """When to use it, for the model."""
    url: HttpUrl
    """Called with the arguments as a JSON body."""
    method: Literal["POST", "PUT"] = "POST"
    """HTTP method."""
    parameters: dict[str, Any]
    """JSON Schema (draft 2020-12, object, at most 16 KiB) of the arguments; they are validated against it."""
    timeout_s: float = Field(default=8.0, gt=0, le=30)
    """Total deadline of one call, seconds."""
    max_result_bytes: int = Field(default=16_384, ge=64, le=262_144)
    """A longer result is refused, not cut."""
    filler: str = Field(default="", max_length=200)
    """What the agent says while the tool runs; "" for nothing."""

    @field_validator("parameters")
    @classmethod
    def _is_object_schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        check_parameters(value)
        return value


class CallLimits(FrozenModel):
    """What one call may use before the agent wraps up."""

    minutes: float = Field(default=15, gt=0, le=240)
    """Length of the call, minutes."""
    turns: int = Field(default=100, ge=1, le=1000)
    """Turns of the caller."""
    tool_calls: int = Field(default=20, ge=0, le=200)
    """Tool calls, all tools together."""
    spend_usd: Decimal = Field(default=Decimal("2.00"), gt=0, le=1000)
    """Vendor cost, US dollars."""
    reply_tokens: int = Field(default=220, ge=16, le=4096)
    """Largest reply of the model."""
    context_tokens: int = Field(default=6_000, ge=500, le=200_000)
    """Budget of the conversation's history; older turns are summarised beyond it."""


class Phrases(FrozenModel):
    """Sentences the agent says word for word; kept as audio so that they need no provider."""

    apology: ShortText = "I am sorry, I am having a technical problem. Please give me a moment."
    """Said when a provider failed on every choice."""
    goodbye: ShortText = "Thank you for calling. Goodbye."
    """Said when a limit ends the call."""
    reprompt: ShortText = "I am sorry, I did not catch that. Could you say it again?"
    """Said when speech was heard but not understood."""
    still_there: ShortText = "Are you still there?"
    """Said after a long silence."""
    wrap_up: ShortText = "We are nearly out of time, so let us finish up."
    """Said once when the limit of minutes, turns or spend is near."""
    tools_near_limit: ShortText = (
        "I can do only little more for you on this call, so please tell me what matters most."
    )
    """Said once when the tool calls are nearly used up."""
    failure: ShortText = "I am sorry, I can't continue this call right now. Please call again later. Goodbye."
    """Said before hanging up when providers stay away."""


class AgentConfig(FrozenModel):
    """What a tenant writes to describe an agent."""

    name: str = Field(min_length=1, max_length=80)
    """Name of the agent, shown in lists."""
    language: str = Field(default="en-US", pattern=r"^[a-z]{2}(-[A-Z]{2})?$")
    """BCP 47 tag."""
    greeting: ShortText
    """First sentence of every call."""
    instructions: LongText
    """How the agent behaves (the stable start of the prompt)."""
    knowledge: tuple[KnowledgeItem, ...] = Field(default=(), max_length=500)
    """What it knows."""
    keyterms: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] = Field(
        default=(), max_length=100
    )
    """Words the recogniser should expect."""
    tools: tuple[HttpTool, ...] = Field(default=(), max_length=32)
    """HTTP tools."""
    built_in_tools: tuple[Literal["end_call", "transfer_call"], ...] = ("end_call",)
    """Tools of Parley itself that the agent may use."""
    transfer_targets: dict[str, str] = Field(default_factory=dict, max_length=20)
    """Name the model may say -> E.164 number or SIP URI it stands for; nothing else can be reached."""
    stt: tuple[SttChoice, ...] = Field(default=(SttChoice(),), min_length=1, max_length=4)
    """Recognisers in order of preference."""
    llm: tuple[LlmChoice, ...] = Field(default=(LlmChoice(),), min_length=1, max_length=4)
    """Models in order of preference."""
    tts: tuple[TtsChoice, ...] = Field(default=(TtsChoice(),), min_length=1, max_length=4)
    """Voices in order of preference."""
    turn: TurnSettings = TurnSettings()
    """Turn taking."""
    limits: CallLimits = CallLimits()
    """Limits per call."""
    phrases: Phrases = Phrases()
    """Sentences said word for word."""

    @model_validator(mode="after")
    def _tools_are_consistent(self) -> Self:
        names = [tool.name for tool in self.tools]
        if len(set(names)) != len(names):
            raise ValueError("tools must have different names")
        if BUILT_IN_TOOLS & set(names):
            raise ValueError("end_call and transfer_call are names of built-in tools")
        if "transfer_call" in self.built_in_tools and not self.transfer_targets:
            raise ValueError("transfer_call needs transfer_targets")
        return self

    @field_validator("keyterms")
    @classmethod
    def _fits_vendors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if sum(-(-len(word) // 4) for term in value for word in term.split()) > MAX_KEYTERM_TOKENS:
            raise ValueError(
                f"keyterms must not be more than {MAX_KEYTERM_TOKENS} tokens (about 4 letters each)"
            )
        return value

    def published_texts(self) -> tuple[str, ...]:
        """Everything the tenant publishes in words: what a recogniser may learn the agent's language from."""
        texts = [self.greeting, *self.keyterms]
        for item in self.knowledge:
            texts += [item.question, item.answer]
        for tool in self.tools:
            texts += [re.sub(r"_", " ", tool.name), tool.description, *_schema_texts(tool.parameters)]
        return tuple(texts)


class AgentVersion(FrozenModel):
    """A published configuration: never changed again, so that a call can name what it ran."""

    agent_id: str = Field(pattern=r"^agt_[0-9A-HJKMNP-TV-Z]{26}$")
    """The agent it is a version of."""
    version_id: str = Field(pattern=r"^ver_[0-9A-HJKMNP-TV-Z]{26}$")
    """Its own id."""
    number: int = Field(ge=1)
    """1, 2, 3 … in order of publication."""
    config: AgentConfig
    """What was published."""


def _schema_texts(schema: dict[str, Any]) -> list[str]:
    """Descriptions and enum values of a JSON Schema, in order."""
    texts: list[str] = []
    for prop in schema.get("properties", {}).values():
        if not isinstance(prop, dict):
            continue
        if isinstance(prop.get("description"), str):
            texts.append(prop["description"])
        texts += [str(value).replace("_", " ") for value in prop.get("enum", [])]
    return texts
