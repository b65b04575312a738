"""What the modelled providers say and how long they take: one frozen description, replaceable at run time.

A latency is a pair `[p50, p95]`: the draw is lognormal through both (the same number twice means always
exactly that). The defaults are assumed, round figures of the size expected from hosted providers; none was
measured against one. Calibrate them before reading a bench as a prediction: what a bench on this engine does
measure is our own overhead on top of known draws.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_LATENCY_MS = 600_000.0


def _ordered(spread: tuple[float, float]) -> tuple[float, float]:
    p50, p95 = spread
    if p50 > p95:
        raise ValueError("the first number (p50) must not be above the second (p95)")
    if p50 == 0 and p95 > 0:
        raise ValueError("a p50 of zero is only possible for a fixed zero: [0, 0]")
    return spread


_Milliseconds = Annotated[float, Field(ge=0, le=MAX_LATENCY_MS, allow_inf_nan=False)]
_Rate = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]

SpreadMs = Annotated[tuple[_Milliseconds, _Milliseconds], AfterValidator(_ordered)]
"""`[p50, p95]` in milliseconds; equal numbers mean a fixed latency, `[0, 0]` none."""

SpreadPerS = Annotated[tuple[_Rate, _Rate], AfterValidator(_ordered)]
"""`[p50, p95]` of a rate per second; the p95 is its fast end."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SttProfile(_Section):
    """Speech to text: what is heard, and when it is said to have been heard."""

    final_ms: SpreadMs = (350.0, 450.0)
    """From the true end of speech to the final.

    It can't leave before `pause_ms` of silence was heard, so a draw below that and one frame (50 ms with the
    LiveKit plugin) has no effect.
    """

    eager_ms: SpreadMs = (120.0, 160.0)
    """Flux only: from the true end of speech to EagerEndOfTurn, when the client sets eager_eot_threshold."""

    interim_period_ms: float = Field(default=250.0, ge=0, le=60_000)
    """Audio time between interim results; 0 sends none."""

    pause_ms: float = Field(default=240.0, gt=0, le=10_000)
    """Silence that ends an utterance; a larger `endpointing` of the client's wins."""

    gate_amplitude: int = Field(default=600, ge=1, le=32_767)
    """A sample of this magnitude or more is speech (600 of 32,768 is -35 dBFS)."""

    transcripts: tuple[str, ...] = Field(
        default=("what's the weather like today", "yes please", "thank you goodbye"),
        min_length=1,
        max_length=1000,
    )
    """What the utterances of a stream are heard as, in order, from the start again after the last."""

    confidence: float = Field(default=0.98, ge=0, le=1)


class ToolCall(_Section):
    """A tool call that the language model makes when the request offers a tool of this name."""

    name: str = Field(min_length=1, max_length=64)
    arguments: dict[str, Any] = Field(default_factory=dict)
    turn: int | None = Field(default=None, ge=1)
    """The user message (1 = the first of the conversation) that is answered with the call; None: each."""


class LlmProfile(_Section):
    """Language model: time to first token, rate of the following ones, and the replies."""

    ttft_ms: SpreadMs = (380.0, 500.0)
    """From the request to its first token."""

    tokens_per_s: SpreadPerS = (80.0, 80.0)
    """Drawn once a request; a token is a word with the space after it."""

    replies: tuple[str, ...] = Field(
        default=(
            "Sure. It is sunny today, with a high of twenty one degrees. Anything else I can help with?",
            "Done. You will get a message with the details. Is there anything else?",
            "Thank you for calling. Goodbye.",
        ),
        min_length=1,
        max_length=1000,
    )
    """Reply k answers the k-th user message of the conversation; from the start again after the last."""

    tool_call: ToolCall | None = None


class TtsProfile(_Section):
    """Text to speech: time to first byte, then audio of a known length and shape, faster than real time."""

    ttfb_ms: SpreadMs = (120.0, 200.0)
    """From the moment there is text to speak (see `start_at`) to the first byte of audio."""

    start_at: Literal["sentence", "flush"] = "sentence"
    """`sentence`: as soon as a sentence is complete. `flush`: when the client flushes."""

    speedup: float = Field(default=8.0, ge=0.1, le=10_000)
    """Audio is sent this many times faster than it plays."""

    ms_per_char: float = Field(default=62.0, gt=0, le=10_000)
    """Length of the audio, lead silence not counted."""

    chunk_ms: float = Field(default=100.0, ge=10, le=1_000)
    """Audio in one message."""

    lead_silence_ms: float = Field(default=0.0, ge=0, le=60_000)
    """Exact zeros before the first audible sample of an utterance."""

    waveform: Literal["tone", "bursts"] = "tone"
    """`tone`: 220 Hz. `bursts`: the same as syllables of 180 ms with 60 ms of exact zeros between."""

    peak_dbfs: float = Field(default=-12.0, ge=-60, le=0)


class Profile(_Section):
    """Everything that the modelled providers do when nothing is wrong."""

    stt: SttProfile = SttProfile()
    llm: LlmProfile = LlmProfile()
    tts: TtsProfile = TtsProfile()
    seed: int | None = None
    """Seed of all draws; None keeps the one of the command line."""
