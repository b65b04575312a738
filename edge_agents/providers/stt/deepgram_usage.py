"""What Deepgram's plugins (1.8.9) leave out of their reports."""

from __future__ import annotations

from typing import Any

from livekit.agents import stt


def unreported_s(stream: stt.RecognizeStream) -> float:
    """Audio sent on a closed stream, in seconds, that the plugin has not reported.

    Both plugins report every 5 s. Nova's also reports the rest when it closes, unless that is cut short
    because the server is dead; Flux's never does.
    """
    plugin_stream: Any = stream
    return float(plugin_stream._audio_duration_collector._total or 0.0)  # noqa: SLF001 - no public way to ask
