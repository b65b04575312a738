"""What to do when a provider fails for good: deciding only.

A first failure is covered by an apology and another try; the caller is never left in silence. When it fails
again before anything worked, the call ends with a sentence, not with a click.
"""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Where a provider failed."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"


class FailureAction(StrEnum):
    """What to do."""

    NONE = "none"
    APOLOGISE_AND_RETRY = "apologise_and_retry"
    GIVE_UP = "give_up"


class FailureWatch:
    """Counts failures in a row per stage; a success of the stage clears its count."""

    _GIVE_UP_AT = 2
    _DEAF_AT = 4
    """Failures of the recogniser in a row that each led to another try: the framework counts its tries anew for
    each connection that lasted a while, so that a recogniser which connects and stays silent is tried for ever."""

    def __init__(self) -> None:
        self._in_a_row: dict[Stage, int] = dict.fromkeys(Stage, 0)
        self._tries_in_vain = 0
        self._given_up = False

    def failed(self, stage: Stage, *, recoverable: bool) -> FailureAction:
        """A provider reported a failure.

        Args:
            stage: where.
            recoverable: True when a retry or a fallback is already under way.
        """
        if self._given_up or (recoverable and stage is not Stage.STT):
            return FailureAction.NONE
        if recoverable:
            self._tries_in_vain += 1
        else:
            # a recogniser too: the voice loop connects to it anew (livekit-agents 1.8.9)
            self._in_a_row[stage] += 1
        if self._in_a_row[stage] >= self._GIVE_UP_AT or self._tries_in_vain >= self._DEAF_AT:
            self._given_up = True
            return FailureAction.GIVE_UP
        return FailureAction.NONE if recoverable else FailureAction.APOLOGISE_AND_RETRY

    def worked(self, *stages: Stage) -> None:
        """These stages did their work."""
        for stage in stages:
            self._in_a_row[stage] = 0
            if stage is Stage.STT:
                self._tries_in_vain = 0
