from __future__ import annotations

import asyncio

import numpy as np
import pytest
from livekit import rtc

from edge_agents.audio.taps import RECEIVED_AT, mono_samples
from edge_agents.transport.queued_input import QueuedInput
from tests.fakes.virtual_time import run_virtual


def make() -> QueuedInput:
    return QueuedInput(sample_rate_hz=16000, frame_s=0.020)


def pcm(count: int) -> bytes:
    return np.arange(count, dtype="<i2").tobytes()


async def drain(queue: QueuedInput) -> list[rtc.AudioFrame]:
    queue.end()
    return [frame async for frame in queue]


async def test_pieces_of_any_length_come_out_as_20_ms_frames() -> None:
    queue = make()
    data = pcm(16000)
    for start in range(0, len(data), 778):
        queue.push(data[start : start + 778], 1.0)

    frames = await drain(queue)

    assert {frame.samples_per_channel for frame in frames} == {320}
    assert np.concatenate([mono_samples(frame) for frame in frames]).tobytes() == data


async def test_a_frame_carries_the_arrival_of_its_last_sample() -> None:
    queue = make()
    queue.push(pcm(200), 1.0)
    queue.push(pcm(200), 2.0)
    queue.push(pcm(240), 3.0)
    assert [frame.userdata[RECEIVED_AT] for frame in await drain(queue)] == [2.0, 3.0]


async def test_a_full_queue_drops_the_oldest_audio_and_counts_it() -> None:
    queue = make()
    for index in range(200):
        queue.push(np.full(320, index, "<i2").tobytes(), float(index))

    frames = await drain(queue)

    assert len(frames) == 150  # 3 s
    assert mono_samples(frames[0])[0] == 50
    assert mono_samples(frames[-1])[0] == 199
    assert queue.dropped_s == pytest.approx(1.0)


async def test_after_the_end_the_session_gets_what_is_queued_and_nothing_more() -> None:
    queue = make()
    queue.push(pcm(320), 1.0)
    queue.end()
    queue.push(pcm(320), 2.0)
    assert len([frame async for frame in queue]) == 1
    with pytest.raises(StopAsyncIteration):
        await anext(queue)


def test_a_cancelled_reader_loses_no_frame() -> None:
    async def scenario() -> None:
        queue = make()
        reader = asyncio.ensure_future(anext(queue))
        await asyncio.sleep(0.1)
        queue.push(pcm(320), 1.0)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        assert (await anext(queue)).samples_per_channel == 320

    run_virtual(scenario())
