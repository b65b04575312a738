"""Which calls a worker has answered: whoever keeps a room's token can open the room, and with it the call, again.

livekit-server extends the token of whoever is in a room, dispatch included: it opens the room for 10 minutes after
the call at least (livekit-server 1.13.5, RoomManager.refreshToken), whatever life it was issued with.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

KEPT_S: Final = 3600.0
"""Longer than a token lives on after the call that it opened (media tokens: shared/media_token.py, MAX_LIFETIME)."""
_MOST: Final = 100_000
"""Calls remembered; the oldest go first. 500 calls at once of 20 s each are 90,000 in an hour."""


@dataclass(slots=True)
class _Answer:
    job_id: str
    kept_until_s: float


class AnsweredCalls:
    """Memory of one worker. Other workers have their own: between them the shared admission gate decides."""

    def __init__(self) -> None:
        self._answers: dict[str, _Answer] = {}

    def had(self, call_id: str, job_id: str, *, running: Collection[str], now_s: float) -> bool:
        """Whether another job than this one has the call, or had it within `KEPT_S`.

        Args:
            call_id: the call.
            job_id: the job that would answer it; the server may offer the same one twice.
            running: ids of the jobs that run; their calls are kept from their end on.
            now_s: monotonic seconds.
        """
        for answer in self._answers.values():
            if answer.job_id in running:
                answer.kept_until_s = now_s + KEPT_S
        self._answers = {call: one for call, one in self._answers.items() if one.kept_until_s > now_s}
        known = self._answers.get(call_id)
        return known is not None and known.job_id != job_id

    def add(self, call_id: str, job_id: str, *, now_s: float) -> None:
        """The job answers the call."""
        self._answers.pop(call_id, None)
        self._answers[call_id] = _Answer(job_id, now_s + KEPT_S)
        if len(self._answers) > _MOST:
            del self._answers[next(iter(self._answers))]

    def forget(self, call_id: str) -> None:
        """The job was given to somebody else."""
        self._answers.pop(call_id, None)
