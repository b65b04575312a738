"""Turns put together from reports in every order."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.audio.latency import ReplyReading
from edge_agents.session.turns import FinishedTurn, ToolCall, TurnAssembler, heard_part
from shared.contracts.turns import Stages, TurnKind

TOOL = ToolCall(name="book", arguments={"day": "friday"}, result="ok", error_code=None, duration_ms=12.0)


class Desk:
    """An assembler and the turns that it finished."""

    def __init__(self) -> None:
        self.finished: list[FinishedTurn] = []
        ids = (f"turn_{n}" for n in itertools.count(1))
        self.turns = TurnAssembler(finish=self.finished.append, new_turn_id=lambda: next(ids))

    def hears(
        self, text: str, *, stt_final_s: float | None = None, endpointing_s: float | None = None
    ) -> None:
        self.turns.caller_said(text, stt_final_s=stt_final_s, endpointing_s=endpointing_s)

    def says(self, text: str, **report: Any) -> None:
        fields: dict[str, Any] = {
            "interrupted": False,
            "llm_first_token_s": None,
            "tts_first_byte_s": None,
            "reading": None,
        }
        self.turns.agent_said(text, **fields | report)

    @property
    def spoken(self) -> list[tuple[TurnKind, str, str]]:
        return [(turn.kind, turn.caller_text, turn.agent_text) for turn in self.finished]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def reading(
    *, waited_ms: float | None = 500.0, stop_ms: float | None = None, sent_s: float = 1.0, at_s: float = 10.0
) -> ReplyReading:
    return ReplyReading(
        speak_to_hear_ms=waited_ms,
        first_audible_sent_s=None if waited_ms is None else at_s,
        last_voiced_heard_s=None if waited_ms is None else at_s - waited_ms / 1000,
        barge_in_stop_ms=stop_ms,
        sent_s=sent_s,
        cut=stop_ms is not None,
        overlapped=False,
    )


def test_an_exchange_ends_when_the_agent_listens_again(desk: Desk) -> None:
    desk.hears("a room please", stt_final_s=0.18, endpointing_s=0.25)
    desk.says("Which day?", llm_first_token_s=0.4004, tts_first_byte_s=0.1, reading=reading(waited_ms=812.5))
    desk.turns.agent_listens()

    assert desk.finished == [
        FinishedTurn(
            turn_id="turn_1",
            kind=TurnKind.EXCHANGE,
            caller_text="a room please",
            agent_text="Which day?",
            speak_to_hear_ms=812.5,
            stages=Stages(endpointing=250.0, stt_final=180.0, llm_first_token=400.4, tts_first_byte=100.0),
            interrupted=False,
            barge_in_stop_ms=None,
            from_cache=False,
            tools=(),
            error_codes=(),
        )
    ]
    assert desk.turns.exchanges == 1
    assert desk.turns.open_turn_id is None


def test_the_agent_falling_silent_before_its_reply_ends_nothing(desk: Desk) -> None:
    desk.hears("a room please")
    desk.turns.agent_listens()
    assert desk.turns.open_turn_id == "turn_1"

    desk.says("Which day?")
    desk.turns.agent_listens()
    assert desk.spoken == [(TurnKind.EXCHANGE, "a room please", "Which day?")]


def test_the_next_thing_the_caller_says_ends_a_turn_that_has_its_reply(desk: Desk) -> None:
    desk.hears("one")
    desk.says("First.")
    desk.hears("two")
    desk.turns.close()

    assert desk.spoken == [(TurnKind.EXCHANGE, "one", "First."), (TurnKind.EXCHANGE, "two", "")]
    assert [turn.turn_id for turn in desk.finished] == ["turn_1", "turn_2"]
    assert desk.turns.exchanges == 2


def test_a_caller_who_goes_on_before_the_reply_is_still_in_the_same_turn(desk: Desk) -> None:
    desk.hears("a room", stt_final_s=0.5)
    desk.hears("for two", stt_final_s=0.2)
    desk.says("Which day?")
    desk.turns.close()

    assert desk.spoken == [(TurnKind.EXCHANGE, "a room for two", "Which day?")]
    assert desk.finished[0].stages.stt_final == 200.0
    assert desk.turns.exchanges == 1


def test_a_greeting_is_a_turn_of_its_own_and_no_exchange(desk: Desk) -> None:
    desk.says("Hello.", kind_if_alone=TurnKind.GREETING, reading=reading(waited_ms=300), from_cache=True)
    desk.hears("hi")
    desk.says("How can I help?")
    desk.turns.close()

    assert desk.spoken == [(TurnKind.GREETING, "", "Hello."), (TurnKind.EXCHANGE, "hi", "How can I help?")]
    assert [turn.from_cache for turn in desk.finished] == [True, False]
    assert desk.finished[0].speak_to_hear_ms is None
    assert desk.turns.exchanges == 1


def test_what_the_agent_says_on_its_own_is_neither_greeting_nor_exchange(desk: Desk) -> None:
    desk.says("We are nearly out of time.")
    desk.turns.agent_listens()

    assert desk.spoken == [(TurnKind.AGENT_ONLY, "", "We are nearly out of time.")]
    assert desk.turns.exchanges == 0


def test_a_reply_in_several_steps_is_one_turn_with_the_first_step_s_waits(desk: Desk) -> None:
    desk.hears("book friday")
    desk.says(
        "One moment.", llm_first_token_s=0.3, tts_first_byte_s=0.1, reading=reading(waited_ms=700, sent_s=1)
    )
    desk.turns.tool_called(TOOL)
    desk.says(
        "It is booked.",
        llm_first_token_s=0.9,
        tts_first_byte_s=0.2,
        reading=reading(waited_ms=None, sent_s=2),
    )
    desk.turns.agent_listens()

    [turn] = desk.finished
    assert turn.agent_text == "One moment. It is booked."
    assert turn.tools == (TOOL,)
    assert turn.speak_to_hear_ms == 700
    assert (turn.stages.llm_first_token, turn.stages.tts_first_byte) == (300.0, 100.0)


def test_a_tool_that_answers_before_anything_was_said_belongs_to_the_caller_s_turn(desk: Desk) -> None:
    desk.hears("book friday")
    desk.turns.tool_called(TOOL)
    desk.says("It is booked.", llm_first_token_s=0.9, reading=reading(waited_ms=1500))
    desk.turns.agent_listens()

    [turn] = desk.finished
    assert (turn.kind, turn.tools, turn.speak_to_hear_ms) == (TurnKind.EXCHANGE, (TOOL,), 1500)


def test_a_tool_that_finishes_after_its_turn_opens_one_of_the_agent(desk: Desk) -> None:
    desk.hears("book friday")
    desk.says("One moment.")
    desk.turns.agent_listens()
    desk.turns.tool_called(TOOL)
    desk.hears("thank you")
    desk.turns.close()

    assert [(turn.kind, turn.tools) for turn in desk.finished] == [
        (TurnKind.EXCHANGE, ()),
        (TurnKind.AGENT_ONLY, (TOOL,)),
        (TurnKind.EXCHANGE, ()),
    ]


def test_a_barge_in_tells_how_fast_the_agent_stopped(desk: Desk) -> None:
    desk.hears("tell me all")
    desk.says("There are", interrupted=True, reading=reading(waited_ms=600, stop_ms=240))
    desk.hears("stop")
    desk.says("All right.", reading=reading(waited_ms=650))
    desk.turns.close()

    assert [turn.interrupted for turn in desk.finished] == [True, False]
    assert [turn.barge_in_stop_ms for turn in desk.finished] == [240, None]
    assert [turn.speak_to_hear_ms for turn in desk.finished] == [600, 650]


def test_a_reply_that_was_cut_for_another_reason_has_no_barge_in(desk: Desk) -> None:
    desk.hears("hello")
    desk.says("Hi", interrupted=True, reading=reading(stop_ms=None))
    desk.turns.close()

    assert (desk.finished[0].interrupted, desk.finished[0].barge_in_stop_ms) == (False, None)


def test_a_second_piece_that_nobody_heard_takes_nothing_from_the_barge_in_on_the_first(desk: Desk) -> None:
    desk.hears("book friday")
    desk.says("One mom", interrupted=True, reading=reading(waited_ms=700, stop_ms=180))
    desk.says("", interrupted=True, reading=reading(waited_ms=None, sent_s=0.0))
    desk.turns.close()

    assert (desk.finished[0].interrupted, desk.finished[0].barge_in_stop_ms) == (True, 180)


def test_a_step_that_is_cut_after_a_whole_one_tells_when_the_first_began_and_the_last_stopped(
    desk: Desk,
) -> None:
    desk.hears("book friday")
    desk.says("One moment.", reading=reading(waited_ms=700))
    desk.says("It is", interrupted=True, reading=reading(waited_ms=None, stop_ms=180))
    desk.turns.close()

    [turn] = desk.finished
    assert (turn.speak_to_hear_ms, turn.barge_in_stop_ms, turn.interrupted) == (700, 180, True)


def test_a_reply_that_was_cut_before_it_could_be_heard_leaves_the_turn_to_the_caller(desk: Desk) -> None:
    desk.hears("a room")
    desk.says("", interrupted=True)
    desk.turns.agent_listens()
    desk.hears("for two")
    desk.says("Which day?")
    desk.turns.agent_listens()

    assert desk.spoken == [(TurnKind.EXCHANGE, "a room for two", "Which day?")]
    assert not desk.finished[0].interrupted


def test_failures_are_kept_once_each_with_the_turn_in_which_they_happened(desk: Desk) -> None:
    desk.hears("hello")
    for code in ("llm_failed", "tts_failed", "llm_failed"):
        desk.turns.error(code)
    desk.says("Hi.")
    desk.turns.agent_listens()

    assert desk.finished[0].error_codes == ("llm_failed", "tts_failed")


def test_a_failure_between_turns_belongs_to_the_next_and_to_that_one_only(desk: Desk) -> None:
    desk.turns.error("stt_failed")
    desk.turns.error("stt_failed")
    desk.hears("hello")
    desk.says("Hi.")
    desk.hears("bye")
    desk.turns.close()

    assert [turn.error_codes for turn in desk.finished] == [("stt_failed",), ()]


@pytest.mark.parametrize("seconds", [None, -0.001])
def test_a_stage_without_a_usable_figure_is_left_out(desk: Desk, seconds: float | None) -> None:
    desk.hears("hello", stt_final_s=seconds, endpointing_s=seconds)
    desk.says("Hi.", llm_first_token_s=seconds, tts_first_byte_s=seconds)
    desk.turns.close()

    assert desk.finished[0].stages == Stages()


def test_a_reply_that_was_audible_before_the_caller_had_finished_has_a_negative_latency(desk: Desk) -> None:
    desk.hears("hello")
    desk.says("Hi.", reading=reading(waited_ms=-80))
    desk.turns.close()

    assert desk.finished[0].speak_to_hear_ms == -80


def test_closing_without_an_open_turn_finishes_nothing(desk: Desk) -> None:
    desk.turns.close()
    desk.turns.agent_listens()

    assert desk.finished == []


EVENTS = ["hears", "says", "is cut", "is cut unheard", "tool", "error", "listens"]


@given(st.lists(st.sampled_from(EVENTS), max_size=25))
def test_in_any_order_nothing_said_is_lost_or_told_twice(events: list[str]) -> None:
    desk = Desk()
    heard: list[str] = []
    said: list[str] = []
    for number, event in enumerate(events):
        match event:
            case "hears":
                heard.append(f"c{number}")
                desk.hears(heard[-1])
            case "says":
                said.append(f"a{number}")
                desk.says(said[-1], reading=reading())
            case "is cut":
                said.append(f"a{number}")
                desk.says(said[-1], interrupted=True, reading=reading(stop_ms=100))
            case "is cut unheard":
                desk.says("", interrupted=True)
            case "tool":
                desk.turns.tool_called(TOOL)
            case "error":
                desk.turns.error("llm_failed")
            case _:
                desk.turns.agent_listens()
    desk.turns.close()

    turns = desk.finished
    assert " ".join(filter(None, (turn.caller_text for turn in turns))).split() == heard
    assert " ".join(filter(None, (turn.agent_text for turn in turns))).split() == said
    assert sum(len(turn.tools) for turn in turns) == events.count("tool")
    assert len({turn.turn_id for turn in turns}) == len(turns)
    assert desk.turns.exchanges == sum(turn.kind is TurnKind.EXCHANGE for turn in turns)
    for turn in turns:
        assert (turn.kind is TurnKind.EXCHANGE) == bool(turn.caller_text)
        assert (turn.barge_in_stop_ms is not None) == turn.interrupted


def test_a_cut_reply_holds_what_was_heard_to_the_word() -> None:
    text = "We make six kinds of pizza. The margherita has tomato and fresh basil."

    assert heard_part(text, 0.9) == "We make six kinds"
    assert heard_part(text, 0.0) == "We"
    assert heard_part(text, 60.0) == text
    assert heard_part("", 1.0) == ""
