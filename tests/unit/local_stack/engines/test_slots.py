"""The concurrency limit."""

from __future__ import annotations

import pytest

from local_stack.engines.slots import StreamSlots, TooManyStreamsError


def test_the_stream_above_the_limit_is_refused() -> None:
    slots = StreamSlots(2)
    with slots.take(), slots.take(), pytest.raises(TooManyStreamsError), slots.take():
        pass


def test_a_slot_is_free_again_after_use_and_after_a_failure() -> None:
    slots = StreamSlots(1)
    with slots.take():
        pass
    with pytest.raises(ZeroDivisionError), slots.take():
        raise ZeroDivisionError
    with slots.take():
        pass
