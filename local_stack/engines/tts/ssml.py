"""Read SSML as Azure takes it, from anybody: no document type, no entities, bounded in size and depth.

Understood: `speak`, `voice name`, `prosody rate`, `break time|strength`, `p`, `s`, `sub alias`. Every other element
(`mstts:express-as`, `lexicon`, `say-as`, `emphasis`, `phoneme` ...) is passed through: its text is spoken plainly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_SSML_BYTES = 64 * 1024
"""Azure's limit for a request (learn.microsoft.com, Speech service quotas)."""

MAX_DEPTH = 32
MAX_BREAK_MS = 20_000
"""Azure's limit for one break."""

_NAMED_RATES = {"x-slow": 0.5, "slow": 0.64, "medium": 1.0, "default": 1.0, "fast": 1.55, "x-fast": 2.0}
"""Azure's meaning of the names (learn.microsoft.com, Customize voice and sound with SSML)."""
_RATE_RANGE = (0.5, 2.0)
_STRENGTHS_MS = {"none": 0, "x-weak": 250, "weak": 500, "medium": 750, "strong": 1000, "x-strong": 1250}
_TIME = re.compile(r"\+?(\d{1,6}(?:\.\d{1,3})?)(ms|s)")
_PERCENT = re.compile(r"([+-]?\d{1,3}(?:\.\d{1,3})?)%")
_FACTOR = re.compile(r"\d{1,2}(?:\.\d{1,4})?")


class SsmlError(Exception):
    """The document is not SSML that can be spoken; the message says why and holds none of its text."""


@dataclass(frozen=True, slots=True)
class SpokenText:
    """Text in one voice at one rate."""

    text: str
    voice: str
    """The vendor's voice name."""
    rate: float
    """1.0 is the voice's own rate; 0.5..2."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence between texts."""

    duration_ms: int


@dataclass(slots=True)
class _Reader:
    """Builds the list while expat walks the document."""

    parts: list[SpokenText | Pause] = field(default_factory=list)
    open_elements: list[str] = field(default_factory=list)
    voices: list[str] = field(default_factory=list)
    rates: list[float] = field(default_factory=lambda: [1.0])
    text: list[str] = field(default_factory=list)
    aliases: int = 0
    """How many open `sub` elements there are, whose own text is not spoken."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = _local_name(name)
        if not self.open_elements and local != "speak":
            raise SsmlError("the root element is not speak")
        if len(self.open_elements) >= MAX_DEPTH:
            raise SsmlError(f"elements are nested more than {MAX_DEPTH} deep")
        self.open_elements.append(local)
        match local:
            case "voice":
                self._end_text()
                self.voices.append(_required(attributes, "name", "voice"))
            case "prosody":
                self._end_text()
                self.rates.append(_rate(attributes.get("rate"), self.rates[-1]))
            case "break":
                self._end_text()
                self.parts.append(Pause(_break_ms(attributes)))
            case "p" | "s":
                self._end_text()
            case "sub":
                self.characters(_required(attributes, "alias", "sub"))
                self.aliases += 1

    def end(self, name: str) -> None:
        local = _local_name(name)
        if local in {"voice", "prosody", "p", "s"}:
            self._end_text()
        match local:
            case "voice":
                self.voices.pop()
            case "prosody":
                self.rates.pop()
            case "sub":
                self.aliases -= 1
        self.open_elements.pop()

    def characters(self, data: str) -> None:
        if not self.aliases:
            self.text.append(data)

    def _end_text(self) -> None:
        text, self.text = "".join(self.text), []
        if not text.strip():
            return
        if not self.voices:
            raise SsmlError("text stands outside of a voice element")
        self.parts.append(SpokenText(text, self.voices[-1], self.rates[-1]))


def parse_ssml(body: bytes) -> list[SpokenText | Pause]:
    """Read a document.

    Args:
        body: XML in UTF-8 (or in the encoding that its declaration names).

    Returns:
        What is to be heard, in order; holds at least one text.

    Raises:
        SsmlError: too large, too deep, malformed, with a document type or entities of its own, not SSML, or
            without text.
    """
    if len(body) > MAX_SSML_BYTES:
        raise SsmlError(f"the document is larger than {MAX_SSML_BYTES} bytes")
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.EntityDeclHandler = _refuse_doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise SsmlError(f"malformed XML: {expat.ErrorString(error.code)}") from None
    if not any(isinstance(part, SpokenText) for part in reader.parts):
        raise SsmlError("there is no text to speak")
    return reader.parts


def _refuse_doctype(*_: object) -> None:
    raise SsmlError("a document type declaration is not allowed")


def _local_name(name: str) -> str:
    return name.rpartition(" ")[2].lower()


def _required(attributes: dict[str, str], name: str, element: str) -> str:
    value = attributes.get(name, "").strip()
    if not value:
        raise SsmlError(f"{element} has no {name}")
    return value


def _rate(text: str | None, outer: float) -> float:
    if text is None:
        return outer
    if text in _NAMED_RATES:
        rate = _NAMED_RATES[text]
    elif percent := _PERCENT.fullmatch(text):
        rate = 1.0 + float(percent[1]) / 100
    elif _FACTOR.fullmatch(text):
        rate = float(text)
    else:
        raise SsmlError("prosody has a rate that can't be read")
    slowest, fastest = _RATE_RANGE
    return min(fastest, max(slowest, rate))


def _break_ms(attributes: dict[str, str]) -> int:
    if time := attributes.get("time"):
        match = _TIME.fullmatch(time.strip())
        if match is None:
            raise SsmlError("break has a time that can't be read")
        duration_ms = float(match[1]) * (1000 if match[2] == "s" else 1)
        return min(MAX_BREAK_MS, round(duration_ms))
    strength = attributes.get("strength", "medium")
    if strength not in _STRENGTHS_MS:
        raise SsmlError("break has a strength that can't be read")
    return _STRENGTHS_MS[strength]
