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

    def __init__(self) -> None:
        self._in_a_row: dict[Stage, int] = dict.fromkeys(Stage, 0)
        self._given_up = False

    def failed(self, stage: Stage, *, recoverable: bool) -> FailureAction:
        """A provider reported a failure.

        Args:
            stage: where.
            recoverable: True when a retry or a fallback is already under way.
        """
        if recoverable or self._given_up:
            return FailureAction.NONE
        self._in_a_row[stage] += 1
        # a recogniser that failed for good is not started again within the session: the call is deaf
        if stage is Stage.STT or self._in_a_row[stage] >= self._GIVE_UP_AT:
            self._given_up = True
            return FailureAction.GIVE_UP
        return FailureAction.APOLOGISE_AND_RETRY

    def worked(self, *stages: Stage) -> None:
        """These stages did their work."""
        for stage in stages:
            self._in_a_row[stage] = 0
