"""Nothing under edge_agents/session names a room, a job or a participant: it has the media port.

import-linter sees packages of others as a whole (`livekit`), and a session does use livekit's audio frames and voice
loop; so the names themselves are looked for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import edge_agents

SESSION = Path(next(iter(edge_agents.__path__))) / "session"
ALLOWED = {"livekit.rtc", "livekit.rtc.AudioFrame"}
"""All that a session may use of livekit.rtc."""
FORBIDDEN = {
    "livekit.rtc",
    "livekit.api",
    "livekit.protocol",
    "livekit.agents.job",
    "livekit.agents.worker",
    "livekit.agents.room_io",
    "livekit.agents.voice.room_io",
    "livekit.agents.JobContext",
    "livekit.agents.JobProcess",
    "livekit.agents.JobRequest",
    "livekit.agents.AgentServer",
    "livekit.agents.get_job_context",
}
"""Modules and classes that carry calls, with everything in them."""


def uses(source: str) -> list[str]:
    """What a module's text uses of livekit and should not, as full names."""
    tree = ast.parse(source)
    imported = {alias: full for node in ast.walk(tree) for alias, full in _imported(node)}
    reached = {_full_name(node, imported) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return sorted(name for name in {*imported.values(), *reached} if _carries_calls(name))


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """(name in the module, full name) of what an import binds."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name, alias.name
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _full_name(node: ast.Attribute, imported: dict[str, str]) -> str:
    text = ast.unparse(node)
    alias = max((name for name in imported if text.startswith(f"{name}.")), key=len, default="")
    return imported[alias] + text[len(alias) :] if alias else text


def _carries_calls(name: str) -> bool:
    inside = any(f"{name}.".startswith(f"{module}.") for module in FORBIDDEN)
    return name == "livekit" or (inside and name not in ALLOWED)


@pytest.mark.parametrize(
    "path", sorted(SESSION.rglob("*.py")), ids=lambda path: str(path.relative_to(SESSION))
)
def test_a_session_module_uses_no_room_and_no_job(path: Path) -> None:
    assert uses(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "from livekit import rtc\nroom = rtc.Room()",
        "from livekit import rtc as media\nasync def f(room: media.RemoteParticipant) -> None: ...",
        "from livekit.rtc import Room",
        "from livekit.rtc.room import Room",
        "import livekit.rtc\nlivekit.rtc.Room()",
        "import livekit.rtc as r\nr.Room()",
        "import livekit",
        "from livekit import api",
        "from livekit.agents import JobContext",
        "from livekit import agents\ndef f(job: agents.JobContext) -> None: ...",
        "from livekit.agents import get_job_context",
        "from livekit.agents.job import JobContext",
        "from livekit.agents.voice import room_io",
    ],
)
def test_whatever_way_a_room_is_reached_it_is_found(source: str) -> None:
    assert uses(source)


def test_a_frame_of_audio_may_be_used() -> None:
    assert uses("from livekit import rtc\nframe: rtc.AudioFrame\nfrom livekit.agents import llm") == []
