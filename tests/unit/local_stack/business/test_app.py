"""The booking server over HTTP."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from local_stack.business.app import business_app

WEDNESDAY = dt.date(2026, 5, 6)
VISIT = {"reason": "cleaning", "day": "tuesday", "time": "10:30", "name": "Maria Garcia"}
ORDER = {"pizza": "pepperoni", "size": "large", "quantity": 2, "name": "Tom"}
ROOM = {"city": "mountain view", "date": "today", "time": "14:30", "duration_minutes": 30, "people": 2}

Client = TestClient[Any, Any]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with TestClient(TestServer(business_app(today=lambda: WEDNESDAY))) as client:
        yield client


async def post(client: Client, path: str, body: object) -> tuple[int, dict[str, Any]]:
    async with client.post(path, json=body) as response:
        return response.status, await response.json()


async def test_an_appointment_is_booked_said_and_listed(client: Client) -> None:
    status, row = await post(client, "/dental/appointments", VISIT)
    assert status == 201
    assert row["message"] == (
        "You are booked for a cleaning on Tuesday at ten thirty in the morning, Maria Garcia."
    )
    async with client.get("/dental/appointments") as response:
        items = (await response.json())["items"]
    assert items == [{"id": "apt-1", "message": row["message"], **VISIT, "on": "2026-05-12"}]


async def test_a_taken_time_is_refused_and_the_next_free_one_named(client: Client) -> None:
    await post(client, "/dental/appointments", VISIT)
    status, refusal = await post(client, "/dental/appointments", VISIT | {"time": "10:45"})
    assert status == 409
    assert refusal == {
        "code": "slot_taken",
        "message": "Ten forty five in the morning on Tuesday is taken. Eleven in the morning is free.",
    }


@pytest.mark.parametrize("change", [{"time": "17:15"}, {"time": "08:30"}, {"day": "today", "time": "20:00"}])
async def test_a_visit_outside_opening_hours_is_refused(client: Client, change: dict[str, str]) -> None:
    status, refusal = await post(client, "/dental/appointments", VISIT | change)
    assert (status, refusal["code"]) == (409, "closed")


async def test_an_order_names_its_total(client: Client) -> None:
    status, row = await post(client, "/pizza/orders", ORDER)
    assert status == 201
    assert row["message"] == (
        "That is two large pepperoni pizzas for Tom. It comes to 30 dollars and is ready in twenty minutes."
    )


async def test_the_recorded_callers_room_is_booked(client: Client) -> None:
    status, row = await post(client, "/rooms/bookings", ROOM)
    assert status == 201
    assert row["message"] == (
        "Your room in Mountain View is booked today at two thirty in the afternoon, "
        "for half an hour and 2 people."
    )


async def test_a_city_has_two_rooms_and_no_more(client: Client) -> None:
    for time in ("14:30", "14:45"):
        assert (await post(client, "/rooms/bookings", ROOM | {"time": time}))[0] == 201
    assert (await post(client, "/rooms/bookings", ROOM))[1]["code"] == "no_room"
    assert (await post(client, "/rooms/bookings", ROOM | {"city": "oakland"}))[0] == 201
    assert (await post(client, "/rooms/bookings", ROOM | {"time": "15:15"}))[0] == 201


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (VISIT | {"day": "someday"}, ["day"]),
        (VISIT | {"time": "half past"}, ["time"]),
        (VISIT | {"colour": "red"}, ["colour"]),
        ({"reason": "checkup"}, ["day", "name", "time"]),
        ([], ["body"]),
        (VISIT | {"name": "x" * 81}, ["name"]),
    ],
)
async def test_bad_arguments_are_named(client: Client, body: object, fields: list[str]) -> None:
    status, refusal = await post(client, "/dental/appointments", body)
    assert status == 422
    assert refusal["fields"] == fields


async def test_a_body_that_is_no_json_is_refused(client: Client) -> None:
    async with client.post("/pizza/orders", data=b"\xff{") as response:
        assert response.status == 400


async def test_a_token_is_asked_for_when_one_is_set() -> None:
    async with TestClient(TestServer(business_app(today=lambda: WEDNESDAY, token="t0ken"))) as client:
        async with client.get("/pizza/orders") as response:
            assert response.status == 401
        async with client.get("/pizza/orders", headers={"Authorization": "Bearer t0ken"}) as response:
            assert response.status == 200
