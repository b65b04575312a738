"""Words as the decoder finds them, and the way they are written for a reader."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_QUESTION_WORD = re.compile(
    r"(what|how|who|when|where)('s)?|why|which|whose|may|(can|could|do|does|did|is|are|was|were|will|would|should"
    r"|has|have)(n't)?|can't",
    re.ASCII,
)
_NOISE_CONFIDENCE = 0.05

_I = re.compile(r"i('(m|d|ll|ve))?", re.ASCII)


class Word(NamedTuple):
    """A word that was heard."""

    text: str
    start_s: float
    """From the start of the utterance."""
    end_s: float
    confidence: float
    """0..1; the decoder's posterior."""


def is_noise(words: Sequence[Word]) -> bool:
    """Whether an agent's model found words where there are none.

    A model of a thousand words hears one of them in a door that slams, with a posterior of .002 to .015; the least
    certain of right utterances has a word of .3 or more (our measurement; it doesn't hold for the general model).
    """
    return all(word.confidence < _NOISE_CONFIDENCE for word in words)


def written(words: Sequence[Word], *, punctuate: bool) -> list[str]:
    """Each word as written: in a sentence with a capital letter and a full stop or question mark, or as heard.

    The local recogniser has no model of punctuation: it goes by the first word.
    """
    texts = [word.text for word in words]
    if not punctuate or not texts:
        return texts
    question = len(texts) > 1 and _QUESTION_WORD.fullmatch(texts[0]) is not None
    texts = [text.capitalize() if _I.fullmatch(text) else text for text in texts]
    texts[0] = texts[0][:1].upper() + texts[0][1:]
    if question:
        texts[-1] += "?"
    elif not texts[-1].endswith("."):
        texts[-1] += "."
    return texts


def mean_confidence(words: Sequence[Word]) -> float:
    """0..1; 0 of no words."""
    return sum(word.confidence for word in words) / len(words) if words else 0.0
