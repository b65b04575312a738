"""A call's tools: what the model may call, with what, how often, and what it learns."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from livekit.agents import StopResponse, llm

from edge_agents.session.turns import ToolCall
from shared.errors import (
    AddressBlockedError,
    ParleyError,
    RemoteTimeoutError,
    ResponseTooLargeError,
    ToolError,
)
from tests.unit.edge_agents.session.tool_desk import BOOK, CALL_ID, Desk, answered, output

TRANSFERS = {
    "built_in_tools": ["end_call", "transfer_call"],
    "transfer_targets": {"reception": "+15550100", "billing": "sip:billing@example.com"},
}


def schemas(desk: Desk) -> dict[str, dict[str, Any]]:
    parsed = desk.context.parse_function_tools("openai", strict=False)
    return {tool["function"]["name"]: tool["function"] for tool in parsed}


async def test_the_model_sees_the_version_s_tools_with_their_schemas_and_no_others() -> None:
    seen = schemas(Desk())

    assert set(seen) == {"book_room", "end_call"}
    assert seen["book_room"]["parameters"] == BOOK["parameters"]
    assert seen["book_room"]["description"] == "Book a room."


async def test_without_built_in_tools_there_are_none() -> None:
    assert set(schemas(Desk({"built_in_tools": [], "tools": []}))) == set()


async def test_a_tool_that_the_version_does_not_list_reaches_nothing() -> None:
    desk = Desk()

    result = await desk.use("transfer_call", {"target": "reception"})

    assert result.fnc_call_out is not None
    assert result.fnc_call_out.is_error
    assert desk.transfer.transfers == []
    assert desk.http.requests == []


async def test_arguments_go_to_the_tenant_s_url_as_the_version_says_and_the_answer_comes_back() -> None:
    desk = Desk({"tools": [{**BOOK, "method": "PUT", "timeout_s": 3.5, "max_result_bytes": 128}]})

    result = await desk.use("book_room", {"day": "friday"})

    [request] = desk.http.requests
    assert output(result) == '{"booked":true}'
    assert (request.method, request.url) == ("PUT", "https://tools.example.com/book")
    assert request.json == {"day": "friday"}
    assert (request.timeout_s, request.max_bytes) == (3.5, 128)
    assert request.headers["X-Parley-Call-Id"] == CALL_ID


async def test_a_call_is_recorded_with_its_duration() -> None:
    desk = Desk()

    async def slowly() -> Any:
        desk.clock.advance(0.25)
        return await answered("booked")

    desk.http.answer = slowly
    await desk.use("book_room", {"day": "friday"})

    assert desk.recorded == [
        ToolCall(
            name="book_room", arguments={"day": "friday"}, result="booked", error_code=None, duration_ms=250
        )
    ]


async def test_a_repeated_request_has_the_same_idempotency_key_and_every_other_a_different_one() -> None:
    desk = Desk()
    for call_id, day in [("t1", "friday"), ("t1", "friday"), ("t2", "friday"), ("t1", "saturday")]:
        await desk.use("book_room", {"day": day}, call_id=call_id)

    first, again, other_call, other_arguments = (
        request.headers["Idempotency-Key"] for request in desk.http.requests
    )
    assert first == again
    assert len({first, other_call, other_arguments}) == 3
    assert first.startswith(f"{CALL_ID}.")


async def test_an_id_of_a_strange_server_makes_no_strange_header() -> None:
    desk = Desk()

    await desk.use("book_room", {"day": "friday"}, call_id="a\r\nX-Evil: 1\x00é")

    key = desk.http.requests[0].headers["Idempotency-Key"]
    assert key.isascii()
    assert key.isprintable()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"day": "078-05-1120"}, "day"),
        ({}, "day"),
        ({"day": "friday", "guest": {"name": 781120}}, "guest.name"),
        ({"day": "friday", "guest": {}}, "guest.name"),
        ({"guest": {"name": 781120}}, "day, guest.name"),
        ({"day": "friday", "guest": "078-05-1120"}, "guest"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused_with_the_fields_names_and_never_their_values(
    arguments: Any, named: str
) -> None:
    desk = Desk()

    result = await desk.use("book_room", json.dumps(arguments))

    assert desk.http.requests == []
    assert output(result).endswith(f"(tool_arguments_invalid) Wrong or missing: {named}.")
    assert "1120" not in output(result)
    assert [(call.error_code, call.result) for call in desk.recorded] == [("tool_arguments_invalid", None)]


async def test_huge_arguments_are_refused() -> None:
    desk = Desk()

    result = await desk.use("book_room", {"day": "friday", "guest": {"name": "x" * 17_000}})

    assert "(tool_arguments_invalid)" in output(result)
    assert desk.http.requests == []


@pytest.mark.parametrize(
    "broken",
    [{"$ref": "#/properties/day"}, {"$id": "http://127.0.0.1:1/", "$ref": "#/properties/day"}],
    ids=["loop", "other base"],
)
async def test_a_schema_that_can_t_be_used_fails_that_tool_only_and_fetches_nothing(
    broken: dict[str, Any],
) -> None:
    parameters = {"type": "object", "properties": {"day": broken}}
    desk = Desk({"tools": [{**BOOK, "parameters": parameters}]})

    result = await desk.use("book_room", {"day": "friday"})

    assert output(result) == "The request did not go through. (internal)"
    assert desk.http.requests == []
    assert [call.error_code for call in desk.recorded] == ["internal"]


@pytest.mark.parametrize(
    "error",
    [
        ResponseTooLargeError("the response is too long", max_bytes=64),
        RemoteTimeoutError("too slow", timeout_s=8.0),
        AddressBlockedError("not on the public internet"),
    ],
    ids=lambda error: error.code,
)
async def test_a_request_that_fails_tells_the_model_the_code_and_nothing_of_our_inside(
    error: ParleyError,
) -> None:
    async def fail() -> Any:
        raise error

    desk = Desk(answer=fail)
    result = await desk.use("book_room", {"day": "friday"})

    assert isinstance(result.raw_exception, llm.ToolError)
    assert output(result) == f"The request did not go through. ({error.code})"
    assert [(call.error_code, call.result) for call in desk.recorded] == [(error.code, None)]


@pytest.mark.parametrize("status", [302, 401, 403, 404, 429, 500, 503])
async def test_a_server_s_failure_is_a_failure_of_the_tool(status: int) -> None:
    desk = Desk(answer=lambda: answered("<html>stack trace</html>", status))

    result = await desk.use("book_room", {"day": "friday"})

    assert output(result) == "The request did not go through. (tool_failed)"
    assert desk.recorded[0].error_code == "tool_failed"


@pytest.mark.parametrize("status", [400, 405, 409, 422])
async def test_a_server_s_no_failed_and_the_model_may_explain_it(status: int) -> None:
    desk = Desk(answer=lambda: answered('{"error":"fully booked"}', status))

    result = await desk.use("book_room", {"day": "friday"})

    assert output(result) == '{"error":"fully booked"}'
    assert isinstance(result.raw_exception, llm.ToolError)
    assert [(call.error_code, call.result) for call in desk.recorded] == [
        ("tool_refused", '{"error":"fully booked"}')
    ]


async def test_a_no_without_a_word_is_told_as_a_failure() -> None:
    desk = Desk(answer=lambda: answered("", 422))

    result = await desk.use("book_room", {"day": "friday"})

    assert output(result) == "The request did not go through. (tool_refused)"


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_status_of_the_two_hundreds_is_a_success(status: int) -> None:
    desk = Desk(answer=lambda: answered("done", status))

    result = await desk.use("book_room", {"day": "friday"})

    assert output(result) == "done"
    assert desk.recorded[0].error_code is None


@pytest.mark.parametrize("status", [200, 409])
async def test_the_model_gets_a_quarter_of_the_budget_of_a_result_and_is_told_so(status: int) -> None:
    whole = "x" * 262_144
    desk = Desk({"limits": {"context_tokens": 6000}}, answer=lambda: answered(whole, status))

    result = await desk.use("book_room", {"day": "friday"})

    told = output(result)
    assert len(told) == 6000
    assert told.startswith("xxx")
    assert told.endswith("[shortened: the beginning of 262144 characters]")
    assert desk.recorded[0].result == whole


async def test_an_answer_that_is_no_text_is_still_text_for_the_model() -> None:
    desk = Desk(answer=lambda: answered(b"caf\xe9"))

    assert output(await desk.use("book_room", {"day": "friday"})) == "caf\ufffd"


async def test_something_unforeseen_is_recorded_as_ours() -> None:
    async def fail() -> Any:
        raise ZeroDivisionError("078-05-1120")

    desk = Desk(answer=fail)
    result = await desk.use("book_room", {"day": "friday"})

    assert output(result) == "The request did not go through. (internal)"
    assert desk.recorded[0].error_code == "internal"


async def test_a_call_that_is_cancelled_is_recorded_too() -> None:
    began = asyncio.Event()

    async def hang() -> Any:
        began.set()
        await asyncio.Event().wait()

    desk = Desk(answer=hang)
    using = asyncio.create_task(desk.use("book_room", {"day": "friday"}))
    await began.wait()
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using

    assert [(call.error_code, call.result) for call in desk.recorded] == [("cancelled", None)]


async def test_the_call_s_budget_of_tool_calls_is_for_all_tools_together_failed_calls_too() -> None:
    tools = [BOOK, {**BOOK, "name": "cancel_room"}]
    desk = Desk({"tools": tools, "limits": {"tool_calls": 2}})

    results = [
        output(await desk.use(name, arguments))
        for name, arguments in [
            ("book_room", {}),
            ("cancel_room", {"day": "friday"}),
            ("book_room", {"day": "friday"}),
        ]
    ]

    assert "(tool_arguments_invalid)" in results[0]
    assert results[1] == '{"booked":true}'
    assert results[2] == "The request did not go through. (tool_not_allowed)"
    assert len(desk.http.requests) == 1
    assert [call.error_code for call in desk.recorded] == ["tool_arguments_invalid", None, "tool_not_allowed"]


async def test_a_caller_can_always_say_goodbye_and_reach_a_person() -> None:
    desk = Desk({**TRANSFERS, "limits": {"tool_calls": 0}})

    await desk.use("transfer_call", {"target": "reception"})
    await desk.use("end_call", {})

    assert desk.transfer.transfers == [(CALL_ID, "reception", "+15550100")]
    assert desk.ended == ["goodbye"]


async def test_ending_the_call_leaves_the_last_word_to_the_goodbye() -> None:
    desk = Desk()

    result = await desk.use("end_call", {})

    assert isinstance(result.raw_exception, StopResponse)
    assert desk.ended == ["goodbye"]
    assert [(call.name, call.error_code) for call in desk.recorded] == [("end_call", None)]


async def test_the_model_is_offered_the_targets_names_and_never_their_addresses() -> None:
    desk = Desk(TRANSFERS)

    parameters = schemas(desk)["transfer_call"]["parameters"]

    assert parameters["properties"]["target"]["enum"] == ["billing", "reception"]
    assert "+15550100" not in json.dumps(parameters)


@pytest.mark.parametrize("target", ["+15550199", "Reception", "", None, ["reception"]])
async def test_nobody_but_the_configured_targets_can_be_reached(target: Any) -> None:
    desk = Desk(TRANSFERS)

    result = await desk.use("transfer_call", {"target": target})

    assert output(result) == "The request did not go through. (tool_not_allowed)"
    assert desk.transfer.transfers == []
    assert desk.recorded[0].error_code == "tool_not_allowed"


async def test_a_transfer_that_fails_lets_the_call_go_on() -> None:
    desk = Desk(TRANSFERS)
    desk.transfer.fail_with = ToolError("no answer")

    result = await desk.use("transfer_call", {"target": "billing"})

    assert output(result) == "The request did not go through. (tool_failed)"


async def test_a_filler_is_said_while_the_tool_runs_and_stays_out_of_the_history() -> None:
    desk = Desk({"tools": [{**BOOK, "filler": "One moment."}]})

    await desk.use("book_room", {"day": "friday"})

    assert desk.said == ["One moment. {'add_to_chat_ctx': False}"]
