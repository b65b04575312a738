"""What a synthetic caller needs of whatever carries its call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge_agents.audio.speech_edges import Pcm


@dataclass(frozen=True, slots=True)
class CallOver:
    """How the carrier saw the call end."""

    ended_by_agent: bool
    """The other side ended it, with or without a word; False when the caller hung up."""
    reason: str
    """An EndReason or an error's code as the agent gave it; "lost" when the connection broke; "" when the caller
    hung up."""


class CallerMedia(Protocol):
    """The caller's end of one call: 16-bit mono PCM at 16 kHz both ways.

    Made for one call; `aclose` frees everything and may be called at any time, twice too.
    """

    async def connect(
        self, *, on_audio: Callable[[Pcm, float], None], on_clear: Callable[[float], None]
    ) -> float:
        """Call the agent.

        Args:
            on_audio: called with agent audio (int16, shape (n,)) and when its last sample arrived, monotonic seconds.
            on_clear: called when the agent was interrupted: what was not played is void. Carriers whose agent side
                keeps no unplayed audio under way never call it.

        Returns:
            When the agent answered, monotonic seconds.

        Raises:
            CallRefusedError: the call was refused; `data["reason"]` says why.
            MediaError: the agent can't be reached or did not answer.
        """
        ...

    async def send(self, pcm: Pcm) -> None:
        """Send 20 ms (320 samples) that the microphone has just taken. Does nothing once the call is over."""
        ...

    async def send_dtmf(self, digit: str) -> None:
        """Press a key: one of `0-9 * # A-D`."""
        ...

    async def hang_up(self) -> None:
        """End the call in order."""
        ...

    @property
    def over(self) -> CallOver | None:
        """How the call ended, or None while it goes on."""
        ...

    async def aclose(self) -> None:
        """Free the connection; a call still going on is hung up."""
        ...
