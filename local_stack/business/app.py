"""The sample tenants' own back end over HTTP: what their agents' tools call.

    POST /dental/appointments   GET /dental/appointments
    POST /pizza/orders          GET /pizza/orders
    POST /rooms/bookings        GET /rooms/bookings

201 `{"id", "message", ...}`; 409 `{"code", "message"}` for what can't be had; 422 `{"code", "message", "fields"}`
for arguments that break a rule; 400 for a body that is no JSON. Messages are sentences to speak. GET lists
`{"items": [...]}` in the order of booking.
"""

from __future__ import annotations

import datetime as dt
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Middleware
from pydantic import BaseModel, ValidationError

from local_stack.business.ledger import ConflictError, Entry, Ledger
from local_stack.business.requests import AppointmentRequest, OrderRequest, RoomRequest

BOOKS = ("/dental/appointments", "/pizza/orders", "/rooms/bookings")
"""Paths that take a booking by POST and list all by GET."""
_MAX_BODY_BYTES = 16_384
R = TypeVar("R", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def business_app(*, today: Callable[[], dt.date], token: str = "") -> web.Application:
    """Build the application, its books empty.

    Args:
        today: the current day, injected.
        token: bearer token that every request must carry; "" asks for none.
    """
    ledger = Ledger()
    app = web.Application(client_max_size=_MAX_BODY_BYTES, middlewares=[_bearer(token)] if token else [])
    dental, pizza, rooms = BOOKS
    app.router.add_post(
        dental, _booking(AppointmentRequest, lambda request: ledger.book_appointment(request, today()))
    )
    app.router.add_post(pizza, _booking(OrderRequest, ledger.place_order))
    app.router.add_post(rooms, _booking(RoomRequest, lambda request: ledger.book_room(request, today())))
    app.router.add_get(dental, _listing(ledger.appointments))
    app.router.add_get(pizza, _listing(ledger.orders))
    app.router.add_get(rooms, _listing(ledger.bookings))
    return app


def _booking(model: type[R], book: Callable[[R], Entry]) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        try:
            entry = book(model.model_validate(await request.json()))
        except (json.JSONDecodeError, UnicodeDecodeError):
            return _refusal(400, "invalid_json", "The request is not JSON.")
        except ValidationError as error:
            fields = sorted({".".join(map(str, e["loc"])) or "body" for e in error.errors()})
            said = " and ".join(field.replace("_", " ") for field in fields)
            return _refusal(422, "invalid_request", f"I did not understand the {said}.", fields)
        except ConflictError as error:
            return _refusal(409, error.code, error.message)
        return web.json_response(_row(entry), status=201)

    return handle


def _listing(book: list[Entry]) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return web.json_response({"items": [_row(entry) for entry in book]})

    return handle


def _row(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "message": entry.message,
        **entry.fields,
        **({"on": entry.on.isoformat()} if entry.on else {}),
    }


def _refusal(status: int, code: str, message: str, fields: list[str] | None = None) -> web.Response:
    body: dict[str, object] = {"code": code, "message": message}
    return web.json_response(body | ({"fields": fields} if fields else {}), status=status)


def _bearer(token: str) -> Middleware:
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode()
        if request.path != "/healthz" and not hmac.compare_digest(given, expected):
            return _refusal(401, "unauthorised", "A bearer token is needed.")
        return await handler(request)

    return check
