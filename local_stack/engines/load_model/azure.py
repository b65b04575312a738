"""Azure's text to speech: one REST request with SSML for each sentence.

Wire format: learn.microsoft.com/azure/ai-services/speech-service/rest-text-to-speech. As Azure does, SSML
that is not well-formed is answered with 400, which is what unescaped `&` or `<` in a reply leads to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

from aiohttp import web

from local_stack.engines.load_model.faults import Target
from local_stack.engines.load_model.rest_audio import answer_audio
from local_stack.engines.load_model.speech import MAX_SEGMENT_CHARS
from local_stack.engines.load_model.state import LOAD_MODEL
from local_stack.engines.load_model.vendor_errors import Refused
from local_stack.engines.load_model.visit import api_key, visit

OUTPUT_RATES_HZ = {
    "raw-8khz-16bit-mono-pcm": 8_000,
    "raw-16khz-16bit-mono-pcm": 16_000,
    "raw-22050hz-16bit-mono-pcm": 22_050,
    "raw-24khz-16bit-mono-pcm": 24_000,
    "raw-44100hz-16bit-mono-pcm": 44_100,
    "raw-48khz-16bit-mono-pcm": 48_000,
}


@dataclass(slots=True)
class Ssml:
    """What a document says, and in whose voice."""

    voice: str = ""
    text: str = ""
    _pieces: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, document: bytes) -> Ssml:
        """Read an SSML document.

        Raises:
            Refused: 400, it is not well-formed, declares a document type, or has no voice or no text.
        """
        ssml = cls()
        parser = expat.ParserCreate()
        parser.StartElementHandler = ssml._start
        parser.CharacterDataHandler = ssml._pieces.append
        parser.StartDoctypeDeclHandler = _no_doctype
        try:
            parser.Parse(document, True)
        except expat.ExpatError:
            raise Refused("azure", 400, "The SSML is not well-formed.") from None
        ssml.text = "".join(ssml._pieces).strip()
        if not ssml.voice or len(ssml.text) > MAX_SEGMENT_CHARS:
            raise Refused("azure", 400, "The SSML needs a voice and at most 20000 characters.")
        return ssml

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "voice" and not self.voice:
            self.voice = attributes.get("name", "")


async def speak_ssml(request: web.Request) -> web.StreamResponse:
    """`POST /cognitiveservices/v1`."""
    model = request.app[LOAD_MODEL]
    rate = OUTPUT_RATES_HZ.get(request.headers.get("X-Microsoft-OutputFormat", ""))
    if rate is None:
        raise Refused("azure", 400, f"X-Microsoft-OutputFormat must be one of {', '.join(OUTPUT_RATES_HZ)}")
    ssml = Ssml.parse(await request.read())
    target = Target("tts", "azure", api_key(request), request.query.get("deploymentId", ""), ssml.voice)
    async with visit(request, model, target) as fault:
        return await answer_audio(request, target, ssml.text, fault, sample_rate_hz=rate)


def _no_doctype(*_: object) -> None:
    raise Refused("azure", 400, "The SSML must not declare a document type.")
