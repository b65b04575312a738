"""The media port: how a call's audio, attributes and keys reach a session, whatever carries them.

Nothing in session/ knows rooms, sockets or jobs; a new way in (carrier streams, a media gateway) is a new
implementation of MediaTransport.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

from livekit.agents import AgentSession

from shared.domain.call import EndReason, Media


class DisconnectReason(StrEnum):
    """Why the caller's side of the media went away."""

    HUNG_UP = "hung_up"
    """The caller ended the call, or closed the connection in order."""
    LOST = "lost"
    """The connection broke."""
    REPLACED = "replaced"
    """Another agent took the call over."""
    CLOSED = "closed"
    """Our side ended it."""


class MediaTransport(Protocol):
    """One caller's media. Made by a host, used by exactly one session, closed by the host.

    Audio is 16-bit mono PCM; the rate is the transport's own and stands in each frame.
    """

    @property
    def media(self) -> Media:
        """Kind of carrier."""
        ...

    @property
    def attributes(self) -> Mapping[str, str]:
        """Participant attributes. Only those that our side signed are here (shared.names.Attribute)."""
        ...

    async def attach(self, session: AgentSession[Any]) -> None:
        """Publish the agent's audio and set `session.input.audio` and `session.output.audio`.

        Raises:
            TrackNotPublishedError: the caller would hear nothing: not published within 2 s.
        """
        ...

    def on_dtmf(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with each key the caller presses: one of `0-9 * # A-D`."""
        ...

    async def wait_disconnected(self) -> DisconnectReason:
        """Wait for the caller's side to go away. May be awaited more than once."""
        ...

    async def aclose(self, reason: EndReason) -> None:
        """End the media: tell the caller's side why, then close. Closing twice does nothing."""
        ...
