"""The order in which one library's thread works."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from local_stack.engines.tts.worker import SpeechThread


class Work:
    """A thread that is held in its first job, and the order of those that follow."""

    def __init__(self) -> None:
        self.thread = SpeechThread("test")
        self.order: list[str] = []
        self.hold = threading.Event()
        self.held = threading.Event()
        self.first = self.thread.submit(self._wait, urgent=True)
        assert self.held.wait(10)

    def _wait(self) -> None:
        self.held.set()
        assert self.hold.wait(10)


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.hold.set()
    work.thread.close()


def test_a_sentence_that_begins_a_reply_overtakes_those_that_continue_one(work: Work) -> None:
    jobs = [
        work.thread.submit(lambda: work.order.append("continues"), urgent=False),
        work.thread.submit(lambda: work.order.append("continues too"), urgent=False),
        work.thread.submit(lambda: work.order.append("begins"), urgent=True),
    ]
    work.hold.set()
    for job in jobs:
        job.result(10)
    assert work.order == ["begins", "continues", "continues too"]


def test_a_cancelled_job_is_not_run(work: Work) -> None:
    cancelled = work.thread.submit(lambda: work.order.append("cancelled"), urgent=True)
    kept = work.thread.submit(lambda: work.order.append("kept"), urgent=True)
    assert cancelled.cancel()
    work.hold.set()
    kept.result(10)
    assert work.order == ["kept"]


def test_an_error_is_the_outcome_of_its_job_only(work: Work) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    broken = work.thread.submit(fail, urgent=True)
    fine = work.thread.submit(lambda: None, urgent=True)
    work.hold.set()
    assert isinstance(broken.exception(10), ZeroDivisionError)
    assert fine.exception(10) is None


def test_close_finishes_the_job_in_progress_and_withdraws_the_others(work: Work) -> None:
    waiting = work.thread.submit(lambda: work.order.append("never"), urgent=False)
    closer = threading.Thread(target=work.thread.close)
    closer.start()
    work.hold.set()
    closer.join(10)
    assert work.first.done()
    assert waiting.cancelled()
    assert work.order == []
