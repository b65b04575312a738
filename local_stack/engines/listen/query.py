"""Read the query of a request or handshake into what the engine can do.

Parameters that have no meaning for a local recogniser (smart_format's numerals, profanity_filter, mip_opt_out ...) are
ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

from multidict import MultiMapping
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local_stack.engines.listen.audio import Encoding
from local_stack.engines.listen.errors import TOO_MANY_KEYTERMS, bad_query
from local_stack.engines.listen.segmenter import FRAME_S

LEAST_PAUSE_S = 0.24
"""No shorter silence ends an utterance, whatever `endpointing` says: stops inside words last up to 200 ms."""

_PAUSE_WITHOUT_ENDPOINTING_S = 0.5
"""With endpointing=false results still have to be final at some point; they are no `speech_final` then."""

_MAX_ENDPOINTING_MS = 60_000
_RATES_HZ = (8_000, 48_000)
_DEFAULT_RATES_HZ: dict[Encoding, int] = {"linear16": 16_000, "mulaw": 8_000}
_ENCODINGS: dict[str, Encoding] = {"linear16": "linear16", "mulaw": "mulaw", "ulaw": "mulaw"}
_AGENT_TAG = "agent:"
_MAX_STRINGS = 500

MAX_KEYTERM_TOKENS = 500
"""Of all keyterms together, as developers.deepgram.com/docs/keyterm has it (Nov 2026)."""

_TOKEN_CHARS = 4
"""Deepgram's tokeniser isn't public: a token is taken for this much of a word, as is usual in English."""

Query = MultiMapping[str]


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """What every way of listening has."""

    encoding: Encoding
    sample_rate_hz: int
    model: str
    """As the client named it; answers repeat it."""
    agent_id: str | None
    """Whose language is spoken, from `tag=agent:ID`; None for anyone's."""
    keyterms: tuple[str, ...]
    """Terms to expect beside those of the agent."""

    @classmethod
    def parse(cls, query: Query, *, default_model: str) -> Self:
        """Read a query.

        Raises:
            Refused: 400.
        """
        if "callback" in query:
            raise bad_query("callback: none is called from here")
        encoding = _ENCODINGS.get(query.get("encoding", "linear16"))
        if encoding is None:
            raise bad_query("encoding: the local engine has linear16 and mulaw only")
        if query.get("channels", "1") != "1" or query.get("multichannel") == "true":
            raise bad_query("channels: the local engine has 1 only")
        model = query.get("model", default_model)
        if "keyterm" in query and model.startswith("nova-2"):
            raise bad_query("keyterm: Keyterm Prompting is not available for nova-2: use keywords")
        keyterms = tuple(query.getall("keyterm", ()))
        if keyterm_tokens(keyterms) > MAX_KEYTERM_TOKENS:
            raise TOO_MANY_KEYTERMS
        return cls(
            encoding=encoding,
            sample_rate_hz=_whole(query, "sample_rate", _DEFAULT_RATES_HZ[encoding], *_RATES_HZ),
            model=model,
            agent_id=_agent_id(query),
            keyterms=keyterms,
        )


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """`/v1/listen`."""

    audio: AudioOptions
    pause_s: float
    endpointing: bool
    """Whether the end of an utterance is a `speech_final`."""
    interims: bool
    vad_events: bool
    utterance_end_s: float | None
    """Silence after which `UtteranceEnd` is sent; None for never."""
    punctuate: bool
    multilingual: bool
    """Answers name the language they are in."""

    @classmethod
    def parse(cls, query: Query) -> Self:
        """Read a query.

        Raises:
            Refused: 400.
        """
        audio = AudioOptions.parse(query, default_model="nova-3")
        endpointing_ms = _endpointing_ms(query)
        utterance_end_ms = _whole(query, "utterance_end_ms", 0, 0, _MAX_ENDPOINTING_MS)
        return cls(
            audio=audio,
            pause_s=max(endpointing_ms / 1000, LEAST_PAUSE_S)
            if endpointing_ms
            else _PAUSE_WITHOUT_ENDPOINTING_S,
            endpointing=endpointing_ms > 0,
            interims=_flag(query, "interim_results"),
            vad_events=_flag(query, "vad_events"),
            utterance_end_s=utterance_end_ms / 1000 if utterance_end_ms else None,
            punctuate=_flag(query, "punctuate") or _flag(query, "smart_format"),
            multilingual=query.get("language") == "multi" or _flag(query, "detect_language"),
        )


class Thresholds(BaseModel):
    """When a Flux turn ends; ranges of developers.deepgram.com/docs/flux/configuration (Nov 2026)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    eager_eot_threshold: float | None = Field(None, ge=0.3, le=0.9)
    eot_threshold: float = Field(0.7, ge=0.5, le=0.9)
    eot_timeout_ms: int = Field(5000, ge=500, le=60_000)

    @property
    def pause_s(self) -> float:
        """Silence that ends a turn."""
        return max(min(pause_of_confidence(self.eot_threshold), self.eot_timeout_ms / 1000), LEAST_PAUSE_S)

    @property
    def eager_pause_s(self) -> float | None:
        """Silence after which an end of turn is announced; None for never."""
        if self.eager_eot_threshold is None:
            return None
        return pause_of_confidence(self.eager_eot_threshold)

    def changed(self, changes: dict[str, Any]) -> Thresholds:
        """With new values of some.

        Raises:
            ValueError: a threshold that there isn't, or a value out of its range.
        """
        try:
            changed = Thresholds.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            problem = error.errors()[0]
            name = ".".join(map(str, problem["loc"])) or "thresholds"
            raise ValueError(f"{name}: {problem['msg']}") from None
        if changed.eager_eot_threshold is not None and changed.eager_eot_threshold > changed.eot_threshold:
            raise ValueError("eager_eot_threshold: must not be greater than eot_threshold")
        return changed


def confidence_of_pause(silence_s: float) -> float:
    """How sure the local engine is, by silence alone, that a turn is over: .5 at 240 ms, .7 at 400, .9 at 560."""
    return min(max(0.2 + silence_s * 1.25, 0.0), 0.99)


def pause_of_confidence(confidence: float) -> float:
    """The silence that makes the engine so sure, in whole frames."""
    return round((confidence - 0.2) / 1.25 / FRAME_S) * FRAME_S


@dataclass(frozen=True, slots=True)
class FluxOptions:
    """`/v2/listen`."""

    audio: AudioOptions
    thresholds: Thresholds
    language_hints: tuple[str, ...]

    @classmethod
    def parse(cls, query: Query) -> Self:
        """Read a query.

        Raises:
            Refused: 400.
        """
        audio = AudioOptions.parse(query, default_model="flux-general-en")
        given: dict[str, Any] = {name: query[name] for name in Thresholds.model_fields if name in query}
        try:
            thresholds = Thresholds().changed(given)
        except ValueError as error:
            raise bad_query(str(error)) from None
        return cls(audio, thresholds, tuple(query.getall("language_hint", ())))

    @property
    def keyterms(self) -> tuple[str, ...]:
        """Terms to expect."""
        return self.audio.keyterms

    def configured(self, message: dict[str, Any]) -> Self:
        """With what a `Configure` message changes.

        Raises:
            ValueError: it can't be obeyed; nothing of it is.
        """
        changes: dict[str, Any] = {}
        if "thresholds" in message:
            changes["thresholds"] = self.thresholds.changed(_given(message["thresholds"]))
        if "language_hints" in message:
            changes["language_hints"] = strings("language_hints", message["language_hints"])
        if "keyterms" in message:
            changes["audio"] = replace(self.audio, keyterms=keyterms_of(message["keyterms"]))
        return replace(self, **changes)


def _given(thresholds: object) -> dict[str, Any]:
    if thresholds is None:
        return {}
    if not isinstance(thresholds, dict):
        raise ValueError("thresholds: must be an object")  # noqa: TRY004  (of a message, not of a caller)
    # a null leaves a threshold as it is; only the eager one can be taken back by it
    return {
        name: value for name, value in thresholds.items() if value is not None or name.startswith("eager")
    }


def keyterms_of(value: object) -> tuple[str, ...]:
    """The keyterms of a client's message.

    Raises:
        ValueError: they are no strings, or more than may be.
    """
    keyterms = strings("keyterms", value)
    if keyterm_tokens(keyterms) > MAX_KEYTERM_TOKENS:
        raise ValueError(f"keyterms: {TOO_MANY_KEYTERMS.err_msg}")
    return keyterms


def keyterm_tokens(keyterms: Iterable[str]) -> int:
    """How much of the limit keyterms take: a token for every four characters that a word begins, at least one each."""
    return sum(max(1, sum(-(-len(word) // _TOKEN_CHARS) for word in keyterm.split())) for keyterm in keyterms)


def strings(name: str, value: object) -> tuple[str, ...]:
    """A list of strings, or one string, from a client's message.

    Raises:
        ValueError: it is neither.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or len(value) > _MAX_STRINGS or not all(isinstance(v, str) for v in value):
        raise ValueError(f"{name}: must be up to {_MAX_STRINGS} strings")
    return tuple(value)


def _agent_id(query: Query) -> str | None:
    for tag in query.getall("tag", ()):
        if tag.startswith(_AGENT_TAG):
            return tag.removeprefix(_AGENT_TAG)
    return None


def _endpointing_ms(query: Query) -> int:
    """0 for none; Deepgram's default is 10 ms."""
    match query.get("endpointing", "true"):
        case "true":
            return 10
        case "false":
            return 0
        case _:
            return _whole(query, "endpointing", 0, 0, _MAX_ENDPOINTING_MS)


def _flag(query: Query, name: str) -> bool:
    return query.get(name, "false").lower() == "true"


def _whole(query: Query, name: str, default: int, lowest: int, highest: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise bad_query(f"{name}: invalid digit found in string")
    number = int(text)
    if not lowest <= number <= highest:
        raise bad_query(f"{name}: must be between {lowest} and {highest}")
    return number
