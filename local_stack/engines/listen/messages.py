"""The messages that the engine sends: Deepgram's `/v1/listen` and Flux, `/v2/listen`.

Wire format: developers.deepgram.com/reference/speech-to-text (Nov 2026), and what livekit-plugins-deepgram 1.8.9 and
deepgram-sdk 7.17 read of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

from local_stack.engines.listen.query import FluxOptions
from local_stack.engines.listen.transcript import Word, mean_confidence, written

Message = dict[str, Any]

TurnEvent = Literal["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]

MODEL_UUID = str(uuid.uuid5(uuid.NAMESPACE_URL, "parley:model:pocketsphinx"))
MODEL_INFO = {"name": "local-pocketsphinx", "version": version("pocketsphinx"), "arch": "local"}

_CHANNEL = [0, 1]
"""Channel 0 of 1."""


def alternative(words: Sequence[Word], *, offset_s: float, punctuate: bool, multilingual: bool) -> Message:
    """The one alternative of a result; `offset_s` is the utterance's start in the stream."""
    texts = written(words, punctuate=punctuate)
    found: Message = {
        "transcript": " ".join(texts),
        "confidence": round(mean_confidence(words), 3),
        "words": [
            {
                "word": word.text,
                "start": round(offset_s + word.start_s, 3),
                "end": round(offset_s + word.end_s, 3),
                "confidence": word.confidence,
                "punctuated_word": text,
            }
            for word, text in zip(words, texts, strict=True)
        ],
    }
    if multilingual:
        found["languages"] = ["en"]
    return found


def results(
    found: Message,
    *,
    request_id: str,
    window_s: tuple[float, float],
    is_final: bool = False,
    speech_final: bool = False,
    from_finalize: bool = False,
) -> Message:
    """What was heard between the two positions of `window_s` in the stream."""
    start_s, end_s = window_s
    return {
        "type": "Results",
        "channel_index": _CHANNEL,
        "start": round(start_s, 3),
        "duration": round(end_s - start_s, 3),
        "is_final": is_final,
        "speech_final": speech_final,
        "from_finalize": from_finalize,
        "channel": {"alternatives": [found]},
        "metadata": {"request_id": request_id, "model_info": MODEL_INFO, "model_uuid": MODEL_UUID},
    }


def speech_started(at_s: float) -> Message:
    """Somebody began to speak."""
    return {"type": "SpeechStarted", "channel": _CHANNEL, "timestamp": round(at_s, 3)}


def utterance_end(last_word_end_s: float) -> Message:
    """It has been silent for `utterance_end_ms` since the last word."""
    return {"type": "UtteranceEnd", "channel": _CHANNEL, "last_word_end": round(last_word_end_s, 3)}


def metadata(request_id: str, *, sha256: str, duration_s: float) -> Message:
    """The last message of a stream."""
    return {
        "type": "Metadata",
        "transaction_key": "deprecated",
        "request_id": request_id,
        "sha256": sha256,
        "created": created_now(),
        "duration": round(duration_s, 3),
        "channels": 1,
        "models": [MODEL_UUID],
        "model_info": {MODEL_UUID: MODEL_INFO},
    }


def stream_error(code: str, description: str) -> Message:
    """Said on `/v1/listen` before the engine closes the socket."""
    return {
        "type": "Error",
        "variant": code,
        "code": code,
        "description": description,
        "message": description,
    }


def keyterms_configured(request_id: str, keyterms: Sequence[str]) -> Message:
    """The answer to `Configure` on `/v1/listen`."""
    return {"type": "ConfigureSuccess", "request_id": request_id, "keyterms": list(keyterms)}


def configure_refused(request_id: str, description: str) -> Message:
    """Nothing of a `Configure` was obeyed; on both versions."""
    return {
        "type": "ConfigureFailure",
        "request_id": request_id,
        "code": "INVALID_CONFIGURATION",
        "description": description,
    }


def turn_info(
    event: TurnEvent,
    words: Sequence[Word],
    *,
    turn_index: int,
    window_s: tuple[float, float],
    confidence: float,
) -> Message:
    """How a Flux turn stands; Flux writes words as in a sentence at all times."""
    start_s, end_s = window_s
    texts = written(words, punctuate=True)
    return {
        "type": "TurnInfo",
        "event": event,
        "turn_index": turn_index,
        "audio_window_start": round(start_s, 3),
        "audio_window_end": round(end_s, 3),
        "transcript": " ".join(texts),
        "words": [
            {
                "word": text,
                "confidence": word.confidence,
                "start": round(start_s + word.start_s, 3),
                "end": round(start_s + word.end_s, 3),
            }
            for word, text in zip(words, texts, strict=True)
        ],
        "end_of_turn_confidence": round(confidence, 3),
    }


def flux_configured(options: FluxOptions) -> Message:
    """All that is in force after a `Configure` of Flux."""
    return {
        "type": "ConfigureSuccess",
        "thresholds": options.thresholds.model_dump(),
        "keyterms": list(options.keyterms),
        "language_hints": list(options.language_hints),
    }


def batch_answer(
    utterances: Sequence[Message], *, request_id: str, sha256: str, duration_s: float, multilingual: bool
) -> Message:
    """The answer to a whole recording: the alternatives of its utterances as one."""
    words = [word for utterance in utterances for word in utterance["words"]]
    confidence = sum(word["confidence"] for word in words) / len(words) if words else 0.0
    channel: Message = {
        "alternatives": [
            {
                "transcript": " ".join(found["transcript"] for found in utterances if found["transcript"]),
                "confidence": round(confidence, 3),
                "words": words,
            }
        ]
    }
    if multilingual:
        channel |= {"detected_language": "en", "language_confidence": 1.0}
    described = metadata(request_id, sha256=sha256, duration_s=duration_s)
    del described["type"]
    return {"metadata": described, "results": {"channels": [channel]}}


def created_now() -> str:
    """The present time as Deepgram writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
