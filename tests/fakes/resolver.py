"""A resolver that answers from a script and never asks the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class ScriptedResolver:
    """Answers each look-up of a host with its next scripted answer; the last one repeats.

    Args:
        answers: host -> answers, each a list of addresses. An unlisted host does not resolve.
    """

    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._answers = {host: list(script) for host, script in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        script = self._answers.get(host)
        if script is None:
            raise OSError("no such host")
        return script.pop(0) if len(script) > 1 else script[0]
