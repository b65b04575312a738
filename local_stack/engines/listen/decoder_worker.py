"""`python -m local_stack.engines.listen.decoder_worker`: a process that does nothing but decode speech.

pocketsphinx holds the interpreter lock while it works (a 1 s chunk stops every other thread for 0.6 s), so no
process that has anything else to do may call it. The front process asks over standard input and reads the answers
from standard output; the worker ends when that pipe does.

Two kinds of decoder work on an utterance. A cheap one hears it as it is spoken and says what it sounds like so far;
these keep state, so there is one for each utterance at a time. A thorough one hears it whole, with the channel's mean
taken over all of it, and with a second search: that is the final. A model needs only one of these in a process.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pocketsphinx import Decoder

from local_stack.engines.listen.decoder_keyterms import add_keyterms, split_keyterm
from local_stack.engines.listen.decoder_protocol import (
    GENERAL,
    RATE_HZ,
    Head,
    KeytermEntry,
    pack,
    read_message,
)

_NARROW_BEAMS = {"maxhmmpf": 10_000, "maxwpf": 40, "beam": 1e-40, "pbeam": 1e-40, "wbeam": 1e-25}
"""For interim results and for the large general model: half the default's time there (.22 word errors on 13
recordings either way). An agent's own small model keeps the default beams: .03 instead of .14 on the demo's callers,
and they cost nothing there (real-time factor .06; our measurements)."""

_DITHER_PEAK = 40
"""Noise added to what is decoded, about -63 dBFS: exact digital silence has no spectrum and spoils the channel's mean.
Word errors on the demo's callers (synthetic, silent between words) .29 without and .02 with it; human recordings
bring their own noise and are none the worse."""

_NOISE = np.random.default_rng(1).integers(-_DITHER_PEAK, _DITHER_PEAK, 30 * RATE_HZ, np.int32, endpoint=True)

_FINAL_SEARCH = {"fwdflat": True, "bestpath": True}
_INTERIM_SEARCH = {"fwdflat": False, "bestpath": False}

_FRAMES_PER_S = 100
_UNKNOWN_CONFIDENCE = 0.8
"""For a word whose posterior the decoder doesn't tell."""

_KEYTERM_WEIGHT = 100.0
"""How much likelier than a word drawn at random a keyterm is. Of 84 utterances with one of seven invented names 79 were
heard with an agent's language (1: 69, 10: 74, 1000: 81), 42 of 56 with the general one (1: 40); 19 keyterms that were
not said did no harm to 273 words of the demo's callers at any of these weights."""

_MAX_IDLE = 16
_MAX_IDLE_GENERAL = 2
"""Interim decoders kept after the busiest moment: 10 MB each of an agent's model, 90 MB of the general one."""

_VARIANT = re.compile(r"\(\d+\)$")

WordTuple = tuple[str, float, float, float]


@dataclass
class LoadedModel:
    """A language and its decoders.

    Args:
        arpa: n-gram model; None for the one that comes with the decoder.
        dictionary: pronunciations; None likewise.
        keyterms: of the clients that are decoded with it, beside its own words.
    """

    arpa: bytes | None = None
    dictionary: bytes | None = None
    keyterms: Sequence[KeytermEntry] = ()
    final: Any = None
    idle: list[Any] = field(default_factory=list)
    """Interim decoders that hear nothing now."""

    def final_decoder(self) -> Any:
        if self.final is None:
            self.final = self._build(_FINAL_SEARCH)
        return self.final

    def take_back(self, decoder: Any) -> None:
        if len(self.idle) < (_MAX_IDLE if self.arpa else _MAX_IDLE_GENERAL):
            self.idle.append(decoder)

    def warm(self) -> None:
        self.idle.append(self._build(_INTERIM_SEARCH))

    def _build(self, search: dict[str, bool]) -> Any:
        decoder = self._build_plain(search)
        if self.keyterms:
            add_keyterms(decoder, self.keyterms, weight=_KEYTERM_WEIGHT)
        return decoder

    def _build_plain(self, search: dict[str, bool]) -> Any:
        options: dict[str, Any] = {"samprate": RATE_HZ, "loglevel": "FATAL", **search}
        if self.arpa is None or self.dictionary is None:
            return Decoder(**options, **_NARROW_BEAMS)
        if search is _INTERIM_SEARCH:
            options |= _NARROW_BEAMS
        # the decoder reads files only; once built it needs them no more
        with tempfile.TemporaryDirectory(prefix="parley-listen-") as folder:
            arpa, dictionary = Path(folder, "model.arpa"), Path(folder, "model.dict")
            arpa.write_bytes(self.arpa)
            dictionary.write_bytes(self.dictionary)
            return Decoder(lm=str(arpa), dict=str(dictionary), **options)


@dataclass
class Lease:
    """An interim decoder at work on an utterance."""

    model: LoadedModel
    decoder: Any


class DecoderWorker:
    """Answers one question at a time."""

    def __init__(self) -> None:
        self._models: dict[str, LoadedModel] = {GENERAL: LoadedModel()}
        self._leases: dict[int, Lease] = {}
        self._actions: dict[str, Callable[[Head, bytes], Head]] = {
            "define": self._define,
            "forget": self._forget,
            "warm": self._warm,
            "hear": self._hear,
            "release": self._release,
            "final": self._final,
        }

    def answer(self, head: Head, body: bytes) -> Head:
        """Do what `head["do"]` names; a failure is an answer too (`error`)."""
        try:
            return self._actions[head["do"]](head, body)
        except Exception as error:  # noqa: BLE001  (the edge of the process: the front decides what it means)
            traceback.print_exc()
            return {"error": type(error).__name__}

    def final_decoder(self, model: str) -> Any:
        """A model's thorough decoder.

        Raises:
            KeyError: there is no such model.
        """
        return self._models[model].final_decoder()

    def _define(self, head: Head, body: bytes) -> Head:
        arpa_bytes = head["arpa_bytes"]
        keyterms = head.get("keyterms", ())
        model = LoadedModel(body[:arpa_bytes] or None, body[arpa_bytes:] or None, keyterms)
        model.final_decoder()  # a model that can't be loaded must not take the place of one that could
        self._models[head["model"]] = model
        return {}

    def _forget(self, head: Head, _: bytes) -> Head:
        self._models.pop(head["model"], None)
        return {}

    def _warm(self, head: Head, _: bytes) -> Head:
        model = self._models[head["model"]]
        model.final_decoder()
        if len(model.idle) < head["streams"]:
            model.warm()
        return {}

    def _hear(self, head: Head, body: bytes) -> Head:
        lease = self._leases.get(head["utterance"])
        if lease is None:
            model = self._models[head["model"]]
            if not model.idle:  # building one now would keep the finals of others waiting
                return {"words": None}
            lease = Lease(model, model.idle.pop())
            self._leases[head["utterance"]] = lease
            if head["cmn"]:
                lease.decoder.set_cmn(head["cmn"])
            lease.decoder.start_utt()
        lease.decoder.process_raw(_dithered(body), no_search=False, full_utt=False)
        return {"words": _words(lease.decoder)}

    def _release(self, head: Head, _: bytes) -> Head:
        lease = self._leases.pop(head["utterance"], None)
        if lease is not None:
            lease.decoder.end_utt()
            lease.model.take_back(lease.decoder)
        return {}

    def _final(self, head: Head, body: bytes) -> Head:
        decoder = self.final_decoder(head["model"])
        if not body:  # the decoder raises at no audio at all
            return {"words": [], "cmn": ""}
        decoder.start_utt()
        try:
            decoder.process_raw(_dithered(body), no_search=False, full_utt=True)
        finally:
            decoder.end_utt()
        return {"words": _words(decoder), "cmn": decoder.get_cmn(False)}


def _dithered(body: bytes) -> bytes:
    samples = np.frombuffer(body, "<i2").astype(np.int32)
    noisy = samples + np.resize(_NOISE, len(samples))
    return np.clip(noisy, -32768, 32767).astype("<i2").tobytes()


def _words(decoder: Any) -> list[WordTuple]:
    return [
        (
            text,
            start_s,
            end_s,
            round(segment.prob, 3) if 0 < segment.prob <= 1 else _UNKNOWN_CONFIDENCE,
        )
        for segment in decoder.seg() or ()
        if segment.word[0] not in "<[+"  # silence and noises
        for text, start_s, end_s in split_keyterm(
            _VARIANT.sub("", segment.word),
            segment.start_frame / _FRAMES_PER_S,
            (segment.end_frame + 1) / _FRAMES_PER_S,
        )
    ]


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes of the front; whatever a library prints goes to standard error from here on."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return questions, answers


def main() -> None:
    """Answer until the front closes the pipe or is gone."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a Ctrl-C reaches the whole group: the front ends its workers
    questions, answers = _own_pipes()
    worker = DecoderWorker()
    while (message := read_message(questions)) is not None:
        try:
            answers.write(pack(worker.answer(*message)))
            answers.flush()
        except BrokenPipeError:
            break
    sys.stderr.flush()
    os._exit(0)  # nothing to tidy up; freeing decoders one by one takes its time, and so does a broken pipe


if __name__ == "__main__":
    main()
