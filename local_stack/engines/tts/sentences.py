"""Cut text that arrives in pieces into sentences, as early as a sentence is certain to be over."""

from __future__ import annotations

import re

MAX_SENTENCE_CHARS = 400
"""A sentence is cut here at the latest. It bounds the audio that is held for one client (about 25 s of speech)
and the time that one client's sentence keeps the others waiting for the synthesiser."""

_CLAUSE_CHARS = 60
"""A colon or semicolon ends a piece only after this much text: before, its pause would sound like a full stop."""

_END = re.compile(r"""(?P<mark>[.!?…]+["'”’)\]]*)\s+|\n\s*""")
_CLAUSE_END = re.compile(r"[:;]\s+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof|Rev|Sr|Jr|vs|approx|e\.g|i\.e|a\.m|p\.m|[A-HJ-Z]))\.$"
)


class SentenceBuffer:
    """Collects text and hands out sentences, each with the white space behind it: joined they are the text."""

    def __init__(self) -> None:
        self._text = ""

    def push(self, text: str) -> list[str]:
        """Add text; returns the sentences that are now complete, in order."""
        self._text += text
        sentences = []
        while end := _sentence_end(self._text):
            sentences.append(self._text[:end])
            self._text = self._text[end:]
        return sentences

    def flush(self) -> list[str]:
        """No more text for now: the rest as a sentence, or nothing when there is none."""
        rest, self._text = self._text, ""
        return [rest] if rest.strip() else []

    def clear(self) -> None:
        """Forget the text that is waiting."""
        self._text = ""


def split_sentences(text: str) -> list[str]:
    """The sentences of a whole text."""
    buffer = SentenceBuffer()
    return [*buffer.push(text), *buffer.flush()]


def _sentence_end(text: str) -> int:
    """Index behind the first sentence of `text`, 0 when it may still go on."""
    for match in _END.finditer(text, 0, MAX_SENTENCE_CHARS):
        if match["mark"] is None or not _ABBREVIATION.search(text, 0, match.end("mark")):
            return match.end()
    for match in _CLAUSE_END.finditer(text, _CLAUSE_CHARS, MAX_SENTENCE_CHARS):
        return match.end()
    if len(text) < MAX_SENTENCE_CHARS:
        return 0
    cut = max(text.rfind(separator, 0, MAX_SENTENCE_CHARS) for separator in (",", " "))
    return cut + 1 if cut > 0 else MAX_SENTENCE_CHARS
