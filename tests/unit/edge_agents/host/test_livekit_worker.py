from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import AssignmentTimeoutError, JobRequest
from livekit.agents.ipc.log_queue import LogQueueHandler
from livekit.agents.job import JobAcceptArguments
from livekit.protocol import agent as agent_protocol

from edge_agents.host.answered_calls import AnsweredCalls
from edge_agents.host.livekit_worker import (
    DispatchMetadata,
    JobSlots,
    answer_offer,
    check_participants,
    drop_log_forwarding,
    parse_metadata,
)
from shared.errors import InvalidInputError
from shared.names import Attribute
from tests.fakes.livekit_room import FakeParticipant

METADATA = DispatchMetadata(tenant_id="ten_1", agent_id="agt_1", call_id="call_1")
MALFORMED = [
    "",
    "hello",
    "[]",
    "null",
    "{}",
    "[" * 100_000,
    '{"tenant_id": "ten_1"}',
    '{"tenant_id": 7, "agent_id": "agt_1", "call_id": "call_1"}',
    json.dumps({**METADATA.model_dump(), "api_key": "x"}),
]


class Offer:
    """An offer of the media server, and the answer it got."""

    def __init__(self, metadata: str, job_id: str = "AJ_1", *, assigned: bool = True) -> None:
        self.accepted: JobAcceptArguments | None = None
        self.rejected: bool | None = None
        """Whether the job is given up for all workers; None when it was not rejected."""
        self._assigned = assigned
        self.request = JobRequest(
            job=agent_protocol.Job(id=job_id, metadata=metadata),
            on_reject=self._reject,
            on_accept=self._accept,
        )

    async def _reject(self, terminate: bool) -> None:
        self.rejected = terminate

    async def _accept(self, arguments: JobAcceptArguments) -> None:
        if not self._assigned:
            raise AssignmentTimeoutError
        self.accepted = arguments


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
async def test_an_offer_with_malformed_metadata_is_rejected_for_good(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_metadata(text)
    offer = Offer(text)
    await answer_offer(offer.request, JobSlots(1), AnsweredCalls(), running=())
    assert offer.rejected is True
    assert offer.accepted is None


async def test_an_accepted_offer_signs_whose_call_it_is() -> None:
    offer = Offer(METADATA.model_dump_json())
    await answer_offer(offer.request, JobSlots(1), AnsweredCalls(), running=())
    assert offer.accepted is not None
    assert offer.accepted.identity == "agent-call_1"
    assert offer.accepted.attributes == {
        Attribute.TENANT_ID: "ten_1",
        Attribute.AGENT_ID: "agt_1",
        Attribute.CALL_ID: "call_1",
    }


async def test_a_full_worker_leaves_the_job_to_another() -> None:
    offer = Offer(METADATA.model_dump_json())
    await answer_offer(offer.request, JobSlots(1), AnsweredCalls(), running={"AJ_0"})
    assert offer.rejected is False
    assert offer.accepted is None


async def test_a_call_that_was_answered_is_not_answered_again_by_another_job() -> None:
    calls = AnsweredCalls()
    first, same, again = (Offer(METADATA.model_dump_json(), job_id) for job_id in ("AJ_1", "AJ_1", "AJ_2"))
    for offer in (first, same, again):
        await answer_offer(offer.request, JobSlots(1), calls, running=())
    assert first.accepted is not None
    assert same.accepted is not None
    assert (again.accepted, again.rejected) == (None, True)


async def test_a_job_that_was_given_to_nobody_leaves_its_call_free() -> None:
    calls = AnsweredCalls()
    with pytest.raises(AssignmentTimeoutError):
        await answer_offer(
            Offer(METADATA.model_dump_json(), assigned=False).request, JobSlots(2), calls, running=()
        )
    offer = Offer(METADATA.model_dump_json(), "AJ_2")
    await answer_offer(offer.request, JobSlots(2), calls, running=())
    assert offer.accepted is not None


async def test_an_offer_that_was_refused_for_want_of_room_does_not_count_as_answered() -> None:
    calls = AnsweredCalls()
    full = Offer(METADATA.model_dump_json())
    await answer_offer(full.request, JobSlots(1), calls, running={"AJ_0"})
    later = Offer(METADATA.model_dump_json(), "AJ_2")
    await answer_offer(later.request, JobSlots(1), calls, running=())
    assert later.accepted is not None


def test_a_burst_does_not_slip_through_before_its_jobs_run() -> None:
    slots = JobSlots(2)
    assert [slots.take(f"AJ_{n}", running=(), now_s=100.0) for n in range(3)] == [True, True, False]


def test_a_job_that_runs_is_counted_once() -> None:
    slots = JobSlots(2)
    slots.take("AJ_1", running=(), now_s=100.0)
    assert slots.take("AJ_2", running={"AJ_1"}, now_s=101.0)


def test_a_slot_whose_job_never_came_is_free_again() -> None:
    slots = JobSlots(1)
    slots.take("AJ_1", running=(), now_s=100.0)
    assert not slots.take("AJ_2", running=(), now_s=109.0)
    assert slots.take("AJ_2", running=(), now_s=110.0)


@pytest.mark.parametrize(
    "changes",
    [
        {Attribute.TENANT_ID: "ten_2"},
        {Attribute.TENANT_ID: None},
        {Attribute.CALL_ID: "call_2"},
        {Attribute.TENANT_ID: None, Attribute.AGENT_ID: None, Attribute.CALL_ID: None},
    ],
    ids=range(4),
)
def test_a_participant_whom_the_dispatch_does_not_name_is_refused(changes: dict[str, str | None]) -> None:
    merged = {**METADATA.attributes(), **changes}
    ours = FakeParticipant("caller", METADATA.attributes())
    recorder = FakeParticipant("recorder", kind=rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS)
    stranger = FakeParticipant(
        "stranger", {name: value for name, value in merged.items() if value is not None}
    )
    participants: list[Any] = [ours, recorder]
    check_participants(participants, METADATA)
    with pytest.raises(InvalidInputError):
        check_participants([*participants, stranger], METADATA)


@pytest.fixture
def root_handlers() -> Iterator[list[logging.Handler]]:
    root = logging.getLogger()
    before = list(root.handlers)
    yield root.handlers
    root.handlers[:] = before


def test_a_job_sends_no_formatted_records_to_the_worker(root_handlers: list[logging.Handler]) -> None:
    forwarding = LogQueueHandler.__new__(LogQueueHandler)  # its thread is not needed
    logging.Handler.__init__(forwarding)
    root_handlers.append(forwarding)
    others = [handler for handler in root_handlers if handler is not forwarding]
    drop_log_forwarding()
    assert root_handlers == others
