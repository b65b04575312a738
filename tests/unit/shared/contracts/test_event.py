"""What all events have in common."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from shared.contracts.calls import CallAdmitted
from shared.contracts.event import Event
from shared.ids import IdKind, new_id
from tests.fakes.clock import START


def _admitted(**changes: Any) -> CallAdmitted:
    fields = {
        "event_id": new_id(IdKind.EVENT),
        "at": START,
        "tenant_id": "ten_1",
        "call_id": "call_1",
        "segment": 1,
    }
    return CallAdmitted.model_validate({**fields, **changes})


def test_an_event_of_a_call_is_keyed_by_the_call_and_others_by_the_tenant() -> None:
    assert _admitted().key == "call_1"
    assert Event(event_id=new_id(IdKind.EVENT), at=START, tenant_id="ten_1").key == "ten_1"


@pytest.mark.parametrize(
    "at",
    [
        START.replace(tzinfo=None),
        START.astimezone(timezone(timedelta(hours=2))),
        "2026-03-14T09:26:53",
        "2026-03-14T09:26:53+02:00",
        "yesterday",
    ],
    ids=str,
)
def test_a_time_that_is_not_utc_is_refused(at: object) -> None:
    with pytest.raises(ValidationError):
        _admitted(at=at)


def test_utc_comes_back_from_json_as_utc() -> None:
    event = _admitted(at=datetime(2026, 3, 14, 9, 26, 53, 123456, tzinfo=UTC))
    assert CallAdmitted.model_validate_json(event.model_dump_json()) == event
    assert '"at":"2026-03-14T09:26:53.123456Z"' in event.model_dump_json()


@pytest.mark.parametrize("event_id", ["", "evt_1", "call_01ARZ3NDEKTSV4RRFFQ69G5FAV"])
def test_an_event_needs_an_event_id(event_id: str) -> None:
    with pytest.raises(ValidationError):
        _admitted(event_id=event_id)
