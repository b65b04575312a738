"""When the caller hears an apology."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit import rtc
from livekit.agents import llm

from edge_agents.session.failures import Stage
from edge_agents.session.recovery import Recovery
from tests.fakes.virtual_time import run_virtual

APOLOGY = "Sorry, one moment please."


class PaperSession(rtc.EventEmitter[str]):
    """As much of a voice loop as an apology needs."""

    def __init__(self) -> None:
        super().__init__()
        self.user_state = "listening"
        self.history = llm.ChatContext.empty()
        self.replies = 0

    def caller_is(self, state: str) -> None:
        self.user_state = state
        self.emit("user_state_changed", SimpleNamespace(new_state=state))

    def generate_reply(self, **_options: Any) -> None:
        self.replies += 1


class Scene:
    """A recovery, and the moments at which it apologised."""

    def __init__(self) -> None:
        self.session = PaperSession()
        self.over = False
        self.apologised_at_s: list[float] = []
        self.recovery = Recovery(
            cast("Any", self.session),
            speaker=cast("Any", self),
            listener=cast("Any", self),
            apology=APOLOGY,
            say=lambda _text: None,
            over=lambda: self.over,
        )

    def say_without_provider(self, text: str) -> tuple[Any, str]:
        self.apologised_at_s.append(asyncio.get_running_loop().time() - self.began_s)
        return SimpleNamespace(interrupted=False), text

    async def outside_history(self, _handle: object, text: str) -> None:
        assert text == APOLOGY

    async def fails(self, stage: Stage, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self.began_s = asyncio.get_running_loop().time()
        await asyncio.gather(self.recovery.apologise_and_retry(stage), meanwhile())


async def nothing() -> None:
    """Nobody does anything."""


@pytest.mark.parametrize("stage", Stage)
def test_a_caller_who_is_silent_hears_it_at_once(stage: Stage) -> None:
    async def scenario() -> Scene:
        scene = Scene()
        await scene.fails(stage, nothing)
        return scene

    scene = run_virtual(scenario())
    assert scene.apologised_at_s == [0.0]
    # a recogniser connects anew by itself
    assert scene.session.replies == (0 if stage is Stage.STT else 1)


def test_it_waits_for_a_caller_whose_recogniser_failed_while_they_spoke() -> None:
    async def scenario() -> Scene:
        scene = Scene()
        scene.session.caller_is("speaking")

        async def caller_stops() -> None:
            await asyncio.sleep(1.5)
            assert scene.recovery.busy
            scene.session.caller_is("listening")

        await scene.fails(Stage.STT, caller_stops)
        return scene

    assert run_virtual(scenario()).apologised_at_s == [1.5]


def test_it_does_not_wait_for_ever() -> None:
    async def scenario() -> Scene:
        scene = Scene()
        scene.session.caller_is("speaking")
        await scene.fails(Stage.STT, nothing)
        return scene

    assert run_virtual(scenario()).apologised_at_s == [5.0]


def test_a_call_that_is_about_to_end_needs_none() -> None:
    async def scenario() -> Scene:
        scene = Scene()
        scene.session.caller_is("speaking")

        async def call_ends() -> None:
            scene.over = True
            scene.session.caller_is("listening")

        await scene.fails(Stage.STT, call_ends)
        return scene

    assert run_virtual(scenario()).apologised_at_s == []
