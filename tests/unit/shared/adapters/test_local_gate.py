"""Admission within one process."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.local_gate import LocalGate
from shared.domain.call import RefusalReason
from shared.ports import Lease, Refusal


async def _granted(gate: LocalGate, call_id: str, tenant_id: str = "ten_1") -> Lease:
    answer = await gate.admit(tenant_id=tenant_id, call_id=call_id)
    assert isinstance(answer, Lease)
    return answer


async def test_calls_are_granted_up_to_the_limit_and_again_after_a_release() -> None:
    gate = LocalGate(max_calls=2)
    first = await _granted(gate, "call_1")
    await _granted(gate, "call_2")
    refused = Refusal(reason=RefusalReason.AT_CAPACITY)
    assert await gate.admit(tenant_id="ten_2", call_id="call_3") == refused
    await gate.release(first)
    await _granted(gate, "call_3")
    assert gate.active == 2


async def test_releasing_twice_gives_back_once() -> None:
    gate = LocalGate(max_calls=2)
    lease = await _granted(gate, "call_1")
    await _granted(gate, "call_2")
    await gate.release(lease)
    await gate.release(lease)
    assert gate.active == 1


async def test_a_call_that_is_taken_over_counts_once_and_ends_the_old_lease() -> None:
    gate = LocalGate(max_calls=1)
    old = await _granted(gate, "call_1")
    new = await _granted(gate, "call_1")
    assert new.segment > old.segment
    assert (await gate.renew(old), await gate.renew(new)) == (False, True)
    await gate.release(old)
    assert gate.active == 1
    await gate.release(new)
    assert gate.active == 0
    assert not await gate.renew(new)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=40))
async def test_limits_hold_and_fencing_tokens_grow_whatever_happens(steps: list[tuple[str, bool]]) -> None:
    gate = LocalGate(max_calls=3)
    leases: dict[str, Lease] = {}
    last = 0
    for call_id, admit in steps:
        if admit:
            answer = await gate.admit(tenant_id="ten_1", call_id=call_id)
            if isinstance(answer, Lease):
                assert answer.segment > last
                last = answer.segment
                leases[call_id] = answer
        elif call_id in leases:
            await gate.release(leases.pop(call_id))
        assert gate.active == len(leases) <= 3
