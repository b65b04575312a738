"""The voices of this engine, and which of them answers to a vendor's voice name.

Agents speak with a few voices for any vendor name: the same name always gets the same voice. Synthetic callers
have voices of their own (`caller-1` .. `caller-4`), so that a recording of a call lets one tell who speaks, and so
that a recogniser never hears the agent's voice from the caller's side.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

EngineName = Literal["espeak", "flite"]

ESPEAK_LICENCE = "GPL-3.0-or-later"
FLITE_LICENCE = "CMU Flite licence (BSD-like); see the copyright file of the installed package"


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice that this process can speak with."""

    name: str
    """Our own name; may be given wherever a vendor's voice name is expected."""
    role: Literal["agent", "caller"]
    """Who speaks with it. Vendor names only ever map to agents' voices."""
    engine: EngineName
    """The synthesiser that has it."""
    engine_voice: str
    """The synthesiser's own name for it."""
    description: str
    """What a listener hears."""
    licence: str
    """Licence of the synthesiser and its voice data; the audio itself is not covered by it."""
    words_per_minute: int = 165
    """Speaking rate at speed 1.0 (espeak; a flite voice has its own)."""
    pitch: int = 45
    """Base pitch, 0..99 (espeak)."""

    def public(self) -> dict[str, Any]:
        """The row that `GET /local/voices` shows."""
        return asdict(self)


def _espeak_agent(number: int, engine_voice: str, pitch: int, description: str) -> Voice:
    return Voice(f"agent-{number}", "agent", "espeak", engine_voice, description, ESPEAK_LICENCE, 165, pitch)


def _flite_agent(number: int, engine_voice: str, description: str) -> Voice:
    return Voice(f"agent-{number}", "agent", "flite", engine_voice, description, FLITE_LICENCE)


def _caller(number: int, engine_voice: str, wpm: int, pitch: int, description: str) -> Voice:
    return Voice(
        f"caller-{number}", "caller", "espeak", engine_voice, description, ESPEAK_LICENCE, wpm, pitch
    )


ESPEAK_AGENTS = (
    _espeak_agent(1, "en-us", 45, "American, man"),
    _espeak_agent(2, "en-us+f2", 50, "American, woman"),
    _espeak_agent(3, "en", 45, "British, man"),
)

FLITE_AGENTS = (
    _flite_agent(1, "rms", "American, man"),
    _flite_agent(2, "slt", "American, woman"),
    _flite_agent(3, "awb", "Scottish, man"),
)
"""Best first: pocketsphinx's word error rate on ten receptionist sentences is .05 / .25 / .07, espeak's .55 (our
measurement, Nov 2026). The voice of a man is first because it is also the most intelligible to people."""

CALLERS = (
    _caller(1, "en-us+edward", 150, 30, "American, man, low"),
    _caller(2, "en-us+klatt5", 160, 45, "American, man"),
    _caller(3, "en-us+benjamin", 150, 45, "American, man, bright"),
    _caller(4, "en-us+edward", 150, 90, "American, high"),
)
"""The espeak voices that pocketsphinx's general language model understands best, of some 90 that were tried:
word error rate .14 / .21 / .22 / .18 on ten caller's sentences spoken three times (plain en-us: .37)."""

_FIRST_CHOICE = frozenset({"aura-2-andromeda-en", "hpp4J3VqNfWAUOO0d1Us", "en-US-JennyNeural"})
"""The default voices of the LiveKit plugins 1.8.9: whoever chose nothing gets the best voice we have."""


class VoiceTable:
    """Finds the voice for a name. The table never changes while the process runs."""

    def __init__(self, agents: Sequence[Voice], callers: Iterable[Voice] = CALLERS) -> None:
        """Build a table.

        Args:
            agents: at least one, best first.
            callers: voices of synthetic callers; reached by their own names only.
        """
        self._agents = tuple(agents)
        self._by_name = {voice.name: voice for voice in (*agents, *callers)}

    def __iter__(self) -> Iterator[Voice]:
        return iter(self._by_name.values())

    def own(self, name: str) -> Voice | None:
        """The voice with this name of ours, or None."""
        return self._by_name.get(name)

    def for_vendor_name(self, name: str) -> Voice:
        """The voice that answers to a vendor's name (or one of ours): always the same one for the same name."""
        if own := self._by_name.get(name):
            return own
        if name in _FIRST_CHOICE:
            return self._agents[0]
        return self._agents[zlib.crc32(name.encode()) % len(self._agents)]


def voice_table(agent_engine: EngineName) -> VoiceTable:
    """The table of a process whose agents speak with `agent_engine`; callers always speak with espeak."""
    return VoiceTable(FLITE_AGENTS if agent_engine == "flite" else ESPEAK_AGENTS)
