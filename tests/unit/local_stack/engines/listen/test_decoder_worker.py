"""A decoder process's answers, asked for in this process: one small language, decoded from silence and noise."""

from __future__ import annotations

import io

import numpy as np
import pytest

from local_stack.engines.listen.decoder_protocol import RATE_HZ, Head, pack, read_message
from local_stack.engines.listen.decoder_worker import DecoderWorker

ARPA = """\\data\\
ngram 1=4

\\1-grams:
-0.6 </s>
-99 <s> 0
-0.3 yes 0
-0.3 no 0

\\end\\
"""
DICTIONARY = "yes Y EH S\nno N OW\n"
SILENCE = bytes(RATE_HZ)
NOISE = np.random.default_rng(1).normal(0, 500, RATE_HZ // 2).astype(np.int16).tobytes()


@pytest.fixture(scope="module")
def worker() -> DecoderWorker:
    worker = DecoderWorker()
    assert define(worker) == {}
    warm(worker, 3)
    return worker


def define(worker: DecoderWorker, arpa: str = ARPA) -> Head:
    head = {"do": "define", "model": "small", "arpa_bytes": len(arpa)}
    return worker.answer(head, (arpa + DICTIONARY).encode())


def warm(worker: DecoderWorker, streams: int) -> None:
    for _ in range(streams):
        assert worker.answer({"do": "warm", "model": "small", "streams": streams}, b"") == {}


def hear(worker: DecoderWorker, utterance: int, pcm: bytes = NOISE, cmn: str = "") -> Head:
    return worker.answer({"do": "hear", "utterance": utterance, "model": "small", "cmn": cmn}, pcm)


def test_a_final_tells_words_and_the_channels_mean(worker: DecoderWorker) -> None:
    answer = worker.answer({"do": "final", "model": "small"}, NOISE)

    assert {word for word, *_ in answer["words"]} <= {"yes", "no"}
    assert len(answer["cmn"].split(",")) == 13


def test_a_final_does_not_depend_on_what_was_decoded_before(worker: DecoderWorker) -> None:
    first = worker.answer({"do": "final", "model": "small"}, NOISE + SILENCE)
    worker.answer({"do": "final", "model": "small"}, SILENCE)

    again = worker.answer({"do": "final", "model": "small"}, NOISE + SILENCE)
    assert again["words"] == first["words"]


@pytest.mark.parametrize("pcm", [b"", bytes(2), bytes(640)])
def test_a_final_of_next_to_no_audio_is_empty(worker: DecoderWorker, pcm: bytes) -> None:
    assert worker.answer({"do": "final", "model": "small"}, pcm)["words"] == []


def test_several_utterances_are_heard_at_once_and_a_mean_may_be_given(worker: DecoderWorker) -> None:
    cmn = worker.answer({"do": "final", "model": "small"}, NOISE)["cmn"]

    assert all(hear(worker, utterance, cmn=cmn)["words"] is not None for utterance in (1, 2, 1, 2))
    assert worker.answer({"do": "release", "utterance": 1}, b"") == {}
    assert worker.answer({"do": "release", "utterance": 1}, b"") == {}
    assert hear(worker, 3)["words"] is not None


def test_an_utterance_waits_for_a_decoder_rather_than_have_one_built_in_front_of_finals(
    worker: DecoderWorker,
) -> None:
    assert define(worker) == {}
    assert hear(worker, 5) == {"words": None}
    warm(worker, 1)
    assert hear(worker, 5)["words"] is not None
    assert hear(worker, 6) == {"words": None}


def test_a_language_may_be_replaced_while_it_is_heard(worker: DecoderWorker) -> None:
    warm(worker, 1)
    assert hear(worker, 4)["words"] is not None

    assert define(worker) == {}
    assert "words" in hear(worker, 4)
    assert worker.answer({"do": "release", "utterance": 4}, b"") == {}


def test_a_language_that_cannot_be_loaded_is_an_error_and_the_old_one_stays(
    worker: DecoderWorker, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "error" in define(worker, "no language at all")
    assert "words" in worker.answer({"do": "final", "model": "small"}, SILENCE)
    capfd.readouterr()


def test_keyterms_are_in_the_model_that_was_defined_with_them_and_in_no_other(worker: DecoderWorker) -> None:
    keyterms = [("zel vorix", ["Z EH L V AO R IH K S", "Z AH L V AO R IH K S"])]
    head = {"do": "define", "model": "small#1", "arpa_bytes": len(ARPA), "keyterms": keyterms}
    assert worker.answer(head, (ARPA + DICTIONARY).encode()) == {}

    knowing, plain = worker.final_decoder("small#1"), worker.final_decoder("small")
    assert knowing.lookup_word("zel_vorix~") == keyterms[0][1][0]
    assert knowing.lookup_word("zel_vorix~(2)") == keyterms[0][1][1]
    assert plain.lookup_word("zel_vorix~") is None


def test_a_model_that_is_forgotten_can_no_longer_be_decoded_with(
    worker: DecoderWorker, capfd: pytest.CaptureFixture[str]
) -> None:
    head = {"do": "define", "model": "small#2", "arpa_bytes": len(ARPA), "keyterms": []}
    assert worker.answer(head, (ARPA + DICTIONARY).encode()) == {}
    for _ in range(2):
        assert worker.answer({"do": "forget", "model": "small#2"}, b"") == {}

    assert "error" in worker.answer({"do": "final", "model": "small#2"}, SILENCE)
    capfd.readouterr()


@pytest.mark.parametrize("head", [{"do": "sing"}, {}, {"do": "final", "model": "unheard of"}])
def test_a_question_that_makes_no_sense_is_an_error(
    worker: DecoderWorker, head: Head, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "error" in worker.answer(head, b"")
    capfd.readouterr()


def test_messages_are_read_as_they_were_packed() -> None:
    pipe = io.BytesIO(pack({"do": "hear"}, b"\x00\x01") + pack({}))

    assert read_message(pipe) == ({"do": "hear"}, b"\x00\x01")
    assert read_message(pipe) == ({}, b"")
    assert read_message(pipe) is None


def test_a_message_that_breaks_off_is_the_end() -> None:
    assert read_message(io.BytesIO(pack({"do": "hear"}, b"\x00\x01")[:-1])) is None
