"""Points of a call at which its caller hangs up: how to get there, and the agent that can be caught there."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from shared.domain.call import EndReason
from shared.ports import AdmissionGate, Lease, Refusal
from tests.fakes.origin import Origin
from tests.fakes.waiting import until
from tests.integration.agent_process import GREETING, PROFILE, Parts
from tests.integration.caller_line import Line, speech

LONG = "One two three four five six seven eight nine ten. " * 4


def call_of(request: tuple[str, bytes]) -> str:
    """The call that a tool was called for."""
    head, _ = request
    headers = dict(line.split(": ", 1) for line in head.split("\r\n") if ": " in line)
    return headers["X-Parley-Call-Id"]


class SlowGate:
    """Admission that keeps calls of some tenants waiting until it is told to let them in."""

    def __init__(self, gate: AdmissionGate, tenant_ids: Collection[str]) -> None:
        self._gate = gate
        self._tenant_ids = tenant_ids
        self._asked: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._open: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def asked(self, call_id: str) -> None:
        """Wait until somebody asked for that call."""
        await self._asked[call_id].wait()

    def let_in(self, call_id: str) -> None:
        """Grant that call."""
        self._open[call_id].set()

    async def admit(self, *, tenant_id: str, call_id: str) -> Lease | Refusal:
        """Grant, sooner or later."""
        self._asked[call_id].set()
        if tenant_id in self._tenant_ids:
            await self._open[call_id].wait()
        return await self._gate.admit(tenant_id=tenant_id, call_id=call_id)

    async def renew(self, lease: Lease) -> bool:
        """Pass it on."""
        return await self._gate.renew(lease)

    async def release(self, lease: Lease) -> None:
        """Pass it on."""
        await self._gate.release(lease)


@dataclass(frozen=True)
class Scene:
    """What one call's script can look at."""

    name: str
    """Of its tenant, and of its model or voice."""
    parts: Parts
    origin: Origin
    gate: SlowGate

    async def fault_at_work(self) -> None:
        """Wait until a request to the call's own model or voice has met its fault."""

        async def struck() -> bool:
            return await asyncio.to_thread(self.parts.struck, self.name) > 0

        await until(struck)

    async def tool_at_work(self, call_id: str) -> None:
        """Wait until that call's request has reached the tools' server."""

        async def arrived() -> bool:
            return call_id in map(call_of, self.origin.requests)

        await until(arrived)


Script = Callable[[Line, Scene], Awaitable[None]]


async def before_the_greeting(line: Line, scene: Scene) -> None:
    del line
    await scene.fault_at_work()


async def during_the_greeting(line: Line, _scene: Scene) -> None:
    await line.hears()


async def while_speaking(line: Line, _scene: Scene) -> None:
    await line.hears_out()
    await line.say(speech(0.6))


async def before_the_transcript(line: Line, _scene: Scene) -> None:
    await line.hears_out()
    await line.say(speech())


async def while_the_model_thinks(line: Line, scene: Scene) -> None:
    await line.hears_out()
    await line.say(speech())
    await scene.fault_at_work()


async def during_the_reply(line: Line, _scene: Scene) -> None:
    await line.hears_out()
    await line.say(speech())
    await line.hears()


async def during_a_tool_call(line: Line, scene: Scene) -> None:
    await line.hears_out()
    await line.say(speech())
    await scene.tool_at_work(line.call_id)


async def during_the_apology(line: Line, _scene: Scene) -> None:
    await during_the_reply(line, _scene)


async def during_the_warning(line: Line, _scene: Scene) -> None:
    await after_the_reply(line)


async def during_the_goodbye(line: Line, _scene: Scene) -> None:
    await after_the_reply(line)


async def after_the_reply(line: Line) -> None:
    """Hear some of what the agent says by itself after it has answered."""
    await line.hears_out()
    await line.say(speech())
    await line.has_heard((len(GREETING) + len(LONG) + 20) * PROFILE["tts"]["ms_per_char"] / 1000)


SCRIPTS: dict[str, Script] = {
    script.__name__.replace("_", "-"): script
    for script in (
        before_the_greeting,
        during_the_greeting,
        while_speaking,
        before_the_transcript,
        while_the_model_thinks,
        during_the_reply,
        during_a_tool_call,
        during_the_apology,
        during_the_warning,
        during_the_goodbye,
    )
}
DURING_ADMISSION, BEFORE_READY = "during-admission", "before-ready"
POINTS = [DURING_ADMISSION, BEFORE_READY, *SCRIPTS]
UNHEARD = {DURING_ADMISSION, BEFORE_READY, "before-the-greeting"}
"""Nobody has said a word by then."""
WAYS = {"stop": EndReason.CALLER_HUNG_UP, "vanish": EndReason.MEDIA_LOST}
"""How a caller goes -> how that is booked."""
KEYS = [(point, way) for point in POINTS for way in WAYS]


def name(point: str, way: str) -> str:
    """Of a tenant, and of its model or voice."""
    return f"{point}-{way}"


def config(point: str, way: str, tool_url: str) -> dict[str, Any]:
    """An agent that can be caught at that point."""
    fields: dict[str, Any] = {"llm": [{"provider": "openai", "model": name(point, way)}]}
    match point:
        case "before-the-greeting":
            fields["tts"] = [{"provider": "deepgram", "voice": name(point, way)}]
        case "during-the-greeting":
            fields["greeting"] = LONG
        case "before-the-transcript":
            fields["stt"] = [{"provider": "deepgram", "model": f"nova-3-{name(point, way)}"}]
        case "during-a-tool-call":
            schema = {"type": "object", "properties": {}}
            tool = {"name": "book", "description": "Book a room.", "url": tool_url, "parameters": schema}
            fields["tools"] = [tool]
        case "during-the-apology":
            fields["phrases"] = {"apology": LONG}
        case "during-the-warning":
            fields["phrases"] = {"wrap_up": LONG}
            fields["limits"] = {"turns": 2}
        case "during-the-goodbye":
            fields["phrases"] = {"goodbye": LONG}
            fields["limits"] = {"turns": 1}
    return fields


FAULTS: dict[str, dict[str, Any]] = {
    "before-the-greeting": {"stage": "tts", "kind": "slow", "delay_ms": 2000},
    "before-the-transcript": {"stage": "stt", "kind": "slow", "delay_ms": 8000},
    "while-the-model-thinks": {"stage": "llm", "kind": "slow", "delay_ms": 4000},
    "during-the-apology": {"stage": "llm", "kind": "status", "status": 500},
}
"""Point -> what makes it last."""


def rules() -> Iterator[dict[str, Any]]:
    """The same for the engine."""
    for point, fault in FAULTS.items():
        prefix = "nova-3-" if fault["stage"] == "stt" else ""
        yield from ({"key": prefix + name(point, way), **fault} for way in WAYS)
