"""A caller and an AgentSession over the real WebSocket transport, each measuring at its own end."""

from __future__ import annotations

import asyncio
import statistics
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit.agents import Agent, AgentSession, ConversationItemAddedEvent

from edge_agents.audio.latency import LatencyProbe, ReplyReading
from edge_agents.audio.taps import TappedInput, TappedOutput
from edge_agents.transport.port import DisconnectReason
from edge_agents.transport.websocket import MediaEndpoint, WebSocketTransport
from local_stack.callers.caller import SyntheticCaller
from local_stack.callers.script import Utterance
from local_stack.callers.websocket_media import WebSocketMedia
from shared.domain.call import EndReason
from shared.errors import CallRefusedError
from shared.ids import IdKind, new_id
from shared.media_token import MediaClaims, issue_media_token
from tests.integration.media_stubs import GateSTT, ScriptedLLM, ToneTTS
from tests.unit.edge_agents.audio.sounds import silence, voice

SECRET = "a secret of at least thirty-two bytes"
Dial = Callable[..., WebSocketMedia]

AGREEMENT_MS = 50.0
"""The bound between the two ends of one machine: a frame each way, an edge each, and the scheduler."""


class Host:
    """Carries calls with stub providers and keeps what the probe read."""

    def __init__(self, replies: list[str], greeting: str | None = "0.6") -> None:
        self.replies = replies
        self.greeting = greeting
        self.readings: list[ReplyReading] = []
        self.reasons: list[DisconnectReason] = []

    async def carry(self, transport: WebSocketTransport) -> None:
        session: AgentSession[None] = AgentSession(
            stt=GateSTT(),
            llm=ScriptedLLM(self.replies),
            tts=ToneTTS(),
            vad=None,
            turn_handling={
                "turn_detection": "stt",
                "endpointing": {"min_delay": 0.1, "max_delay": 0.5},
                "preemptive_generation": {"enabled": False},
            },
            aec_warmup_duration=None,
        )
        probe = LatencyProbe()
        await transport.attach(session)
        assert session.input.audio is not None
        assert session.output.audio is not None
        session.input.audio = TappedInput(session.input.audio, probe=probe, clock=time.monotonic)
        session.output.audio = TappedOutput(session.output.audio, probe=probe, clock=time.monotonic)

        def on_item(event: ConversationItemAddedEvent) -> None:
            if getattr(event.item, "role", "") == "assistant":
                self.readings.append(probe.take_reading(time.monotonic()))

        session.on("conversation_item_added", on_item)
        await session.start(Agent(instructions="Say how long you want to speak."))
        if self.greeting:
            session.say(self.greeting)
        self.reasons.append(await transport.wait_disconnected())
        await session.aclose()
        await transport.aclose(EndReason.CALLER_HUNG_UP)


@asynccontextmanager
async def serving(
    on_call: Callable[[WebSocketTransport], Awaitable[None]],
) -> AsyncIterator[Dial]:
    """Makes caller's ends of new calls; at the end no task may be left."""
    before = asyncio.all_tasks()
    app = web.Application()
    app.router.add_get("/v1/media", MediaEndpoint(on_call=on_call, secret=SECRET).handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:

        def dial(secret: str = SECRET) -> WebSocketMedia:
            now = datetime.now(UTC)
            claims = MediaClaims(
                tenant_id=new_id(IdKind.TENANT),
                agent_id=new_id(IdKind.AGENT),
                call_id=new_id(IdKind.CALL),
                exp=now + timedelta(minutes=5),
            )
            token = issue_media_token(claims, secret, now)
            return WebSocketMedia(str(server.make_url("/v1/media").with_query(token=token)), http=http)

        yield dial
    async with asyncio.timeout(10):
        while left := asyncio.all_tasks() - before:
            await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)


def words(seconds: float, *, barge_in_at_s: float | None = None) -> Utterance:
    return Utterance(np.concatenate([voice(seconds), silence(0.2)]), barge_in_at_s)


async def test_both_ends_agree_on_what_the_caller_waited_for(tmp_path: Path) -> None:
    host = Host(["1.0", "4.0", "0.7"])
    async with serving(host.carry) as dial:
        caller = SyntheticCaller(dial(), [words(0.6), words(0.5), words(0.8, barge_in_at_s=0.9)])
        report = await caller.call()
    caller.timeline.write_recording(tmp_path / "call.wav")

    greeting, *replies = host.readings
    assert greeting.speak_to_hear_ms is None
    assert report.greeting_ms is not None
    assert len(replies) == len(report.turns) == 3
    assert report.unanswered == report.early == 0

    differences = []
    for reading, turn in zip(replies, report.turns, strict=True):
        assert reading.speak_to_hear_ms is not None
        assert turn.speak_to_hear_ms is not None
        # 150 ms to the final, 100 ms endpointing, 100 ms model, 50 ms synthesizer, 60 ms of silence in its audio
        assert reading.speak_to_hear_ms > 450
        differences.append(abs(reading.speak_to_hear_ms - turn.speak_to_hear_ms))
    assert statistics.median(differences) <= AGREEMENT_MS

    cut, interrupting = replies[1], report.turns[2]
    assert cut.cut
    assert cut.sent_s < 2.5  # of 4 s
    assert cut.barge_in_stop_ms is not None
    assert interrupting.barge_in_stop_ms is not None
    assert abs(cut.barge_in_stop_ms - interrupting.barge_in_stop_ms) <= AGREEMENT_MS
    assert not replies[2].cut
    assert replies[2].sent_s == pytest.approx(0.76, abs=0.05)

    with wave.open(str(tmp_path / "call.wav")) as wav:
        assert wav.getnchannels() == 2
        assert wav.getnframes() / 16000 == pytest.approx(report.duration_s, abs=0.1)


async def test_a_caller_may_hang_up_at_any_moment_and_leaves_nothing_behind() -> None:
    host = Host(["3.0"], greeting="1.0")

    async def hang_up_after(seconds: float, media: WebSocketMedia) -> None:
        caller = SyntheticCaller(media, [words(0.7)])
        task = asyncio.create_task(caller.call())
        await asyncio.wait([task], timeout=seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async with serving(host.carry) as dial:
        # nothing said yet, in the greeting, while speaking, while the agent thinks, in its reply
        moments = (0.05, 0.5, 2.2, 2.85, 4.0)
        await asyncio.gather(*(hang_up_after(moment, dial()) for moment in moments))

    assert host.reasons == [DisconnectReason.HUNG_UP] * len(moments)


async def test_a_refused_caller_is_told_why() -> None:
    async def refuse(transport: WebSocketTransport) -> None:
        await transport.refuse(CallRefusedError("the call was refused", reason="at_capacity"))

    async with serving(refuse) as dial:
        with pytest.raises(CallRefusedError) as caught:
            await SyntheticCaller(dial(), []).call()
    assert caught.value.data["reason"] == "at_capacity"


async def test_a_wrong_token_is_a_refusal_too() -> None:
    async with serving(lambda transport: transport.aclose(EndReason.INTERNAL_ERROR)) as dial:
        with pytest.raises(CallRefusedError) as caught:
            await SyntheticCaller(dial("another secret of at least 32 bytes."), []).call()
    assert caught.value.data["reason"] == "unauthorised"


async def test_an_agent_that_ends_the_call_gives_the_caller_its_reason() -> None:
    async def carry(transport: WebSocketTransport) -> None:
        session: AgentSession[None] = AgentSession(tts=ToneTTS(), vad=None)
        await transport.attach(session)
        await session.start(Agent(instructions=""))
        await session.say("0.3", allow_interruptions=False)
        await session.aclose()
        await transport.aclose(EndReason.AGENT_ENDED)

    async with serving(carry) as dial:
        report = await SyntheticCaller(dial(), [words(0.5)]).call()
    assert report.over.ended_by_agent
    assert report.over.reason == "agent_ended"
    assert report.greeting_ms is not None
