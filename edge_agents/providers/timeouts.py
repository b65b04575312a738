"""How long a provider may take before it counts as failed.

Derived from published latencies (p95, Aug-Nov 2026): language models' first token 1.2-2.3 s, Aura-2 and
ElevenLabs first audio 0.3-0.6 s, Nova-3 final 0.3 s; each limit leaves roughly twice the p95.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Deadlines:
    """Limits of one call's providers, seconds."""

    connect_s: float = 2.0
    """TCP, TLS and handshake of a connection."""
    llm_first_chunk_s: float = 4.0
    """Request -> first chunk with text or a tool call. Empty chunks do not count."""
    llm_gap_s: float = 3.0
    """Between two chunks of a reply."""
    tts_first_audio_s: float = 2.5
    """Text complete (flushed) -> first audio; also the longest gap between two pieces of audio."""
    stt_after_speech_s: float = 3.0
    """End of audible speech -> any result. A recogniser that stays silent after speech has failed."""
    close_s: float = 3.0
    """Wait for a vendor's goodbye when a call ends. A dead server never says it, and the plugins would wait 10 s."""


DEADLINES: Final = Deadlines()
"""What every call uses; tests take shorter ones."""
