"""`/local/...`: what a test or a bench tells the engine and asks of it. No vendor has these."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from local_stack.engines.load_model.draws import MAX_DRAWS
from local_stack.engines.load_model.faults import MAX_RULES, FaultRule, Stage, Vendor
from local_stack.engines.load_model.profile import Profile
from local_stack.engines.load_model.state import LOAD_MODEL


class BadRequest(Exception):  # noqa: N818  (an answer)
    """The request can't be obeyed; answered as 422 with a code and what is wrong where."""

    def __init__(self, code: str, problems: list[dict[str, Any]]) -> None:
        super().__init__(code)
        self.code = code
        self.problems = problems

    def response(self) -> web.Response:
        return web.json_response({"error": {"code": self.code, "problems": self.problems}}, status=422)


class _Abort(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Stage | None = None
    vendor: Vendor | None = None
    key: str | None = None


class _DrawQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Stage | None = None
    key: str | None = None
    after: int = Field(default=0, ge=0)


_RULES: TypeAdapter[list[FaultRule]] = TypeAdapter(list[FaultRule])


async def get_profile(request: web.Request) -> web.Response:
    """`GET /local/profile`."""
    return _json(request.app[LOAD_MODEL].profile.model_dump(mode="json"))


async def put_profile(request: web.Request) -> web.Response:
    """`PUT /local/profile`.

    A whole profile; what is left out takes its default. Draw sequences start again.
    """
    try:
        profile = Profile.model_validate_json(await request.read())
    except ValidationError as error:
        raise _bad("invalid_profile", error) from None
    request.app[LOAD_MODEL].use(profile)
    return _json(profile.model_dump(mode="json"))


async def get_faults(request: web.Request) -> web.Response:
    """`GET /local/faults`: the rules in force, with how often each matched and struck."""
    states = request.app[LOAD_MODEL].faults.states
    return _json(
        {
            "faults": [
                {"rule": state.rule.model_dump(mode="json"), "matched": state.matched, "struck": state.struck}
                for state in states
            ]
        }
    )


async def put_faults(request: web.Request) -> web.Response:
    """`PUT /local/faults`.

    A list of rules, instead of those in force; connections held by a stall are let go.
    """
    try:
        rules = _RULES.validate_json(await request.read())
    except ValidationError as error:
        raise _bad("invalid_faults", error) from None
    if len(rules) > MAX_RULES:
        raise BadRequest("too_many_faults", [{"where": "", "what": f"at most {MAX_RULES} rules"}])
    request.app[LOAD_MODEL].faults.replace(rules)
    return await get_faults(request)


async def delete_faults(request: web.Request) -> web.Response:
    """`DELETE /local/faults`: everything is healthy from here on."""
    request.app[LOAD_MODEL].faults.replace([])
    return web.Response(status=204)


async def get_draws(request: web.Request) -> web.Response:
    """`GET /local/draws[?stage=][&key=][&after=SEQ]`.

    The log, oldest first; `now` is this process's monotonic clock.
    """
    try:
        query = _DrawQuery.model_validate(dict(request.query))
    except ValidationError as error:
        raise _bad("invalid_query", error) from None
    log = request.app[LOAD_MODEL].draws
    draws = log.select(stage=query.stage, key=query.key, after=query.after)
    return _json({"draws": draws, "dropped": log.dropped, "bound": MAX_DRAWS, "now": time.monotonic()})


async def delete_draws(request: web.Request) -> web.Response:
    """`DELETE /local/draws`: forget the log; sequences go on."""
    request.app[LOAD_MODEL].draws.clear()
    return web.Response(status=204)


async def get_counters(request: web.Request) -> web.Response:
    """`GET /local/counters`: requests, open streams, work and faults by stage, vendor and key."""
    return _json({"counters": request.app[LOAD_MODEL].counters.snapshot()})


async def post_abort(request: web.Request) -> web.Response:
    """`POST /local/abort {stage, vendor, key}`.

    Reset the open connections that match, now; all without a body.
    """
    try:
        which = _Abort.model_validate_json(await request.read() or b"{}")
    except ValidationError as error:
        raise _bad("invalid_selector", error) from None
    return _json({"aborted": request.app[LOAD_MODEL].abort(which.stage, which.vendor, which.key)})


def _json(body: dict[str, Any]) -> web.Response:
    return web.json_response(body)


def _bad(code: str, error: ValidationError) -> BadRequest:
    problems = [
        {"where": ".".join(str(part) for part in problem["loc"]), "what": problem["msg"]}
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return BadRequest(code, problems[:20])
