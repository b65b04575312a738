"""Words of an utterance, light stemming, and BM25 over short documents.

Everything downstream works on `Utterance.tokens`: lower-case words with contractions opened ("i'd" becomes
"i would"), fillers and recogniser marks removed, and "p m" joined to "pm".
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

MAX_CHARS = 4000
"""Only so much of one message is read; a spoken turn is far shorter."""
MAX_TOKENS = 240
"""Words of one utterance that are looked at."""


def words_of(text: str) -> frozenset[str]:
    """A word list written as prose."""
    return frozenset(text.split())


_MARKS = re.compile(r"<[^<>]{0,40}>|\[[^\[\]]{0,40}\]|\+\+[a-z]+\+\+")
_MERIDIEM = re.compile(r"\b([ap])\.? ?m\b\.?")
_TOKEN = re.compile(
    r"\d{4}-\d{2}-\d{2}|\d{1,2}:\d{2}|\d{1,15}\.\d{1,6}|\d{1,15}(?:st|nd|rd|th)?|[^\W\d_]+(?:'[^\W\d_]+)*"
)
_CONTRACTIONS = (
    (re.compile(r"\b(can)'t\b|\bcannot\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(i)'?m\b"), r"\1 am"),
    (re.compile(r"'d\b"), " would"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"\b(it|that|this|what|who|where|when|how|there|here|name|he|she)'s\b"), r"\1 is"),
    (re.compile(r"\blet's\b"), "let us"),
    (re.compile(r"\bo'? ?clock\b"), "o'clock"),
    (re.compile(r"\bto day\b"), "today"),
    (re.compile(r"\bto morrow\b"), "tomorrow"),
    (re.compile(r"\bgood bye\b|\bby bye\b|\bbye by\b"), "goodbye"),
    (re.compile(r"\b(?:ok|o k)\b"), "okay"),
)
_FILLERS = words_of("uh um er erm ah eh hmm hm mm mmm uhm huh")

_STOP = words_of(
    """a an the is are was were be been am do does did done have has had having i we you he she it they me my our your
    us them to of for in on at and or but so if that this these those there here with from by as about into can could
    would will shall should may might must please what how when who whom which why whether want like need know get
    got give tell say said ask just really very also any some all then than too much many not no yes okay hello hi
    hey thanks thank well now go going let make sure wonder wondering think guess guys guy maybe anything something
    someone look looking help one ones out up over"""
)

# Words that ask for the same thing at a front desk. Keys and values are stems.
_CONCEPTS = {
    "open": "hour",
    "clos": "hour",
    "pric": "price",
    "cost": "price",
    "fee": "price",
    "charg": "price",
    "cheap": "price",
    "expensiv": "price",
    "wher": "location",
    "address": "location",
    "locat": "location",
    "direct": "location",
    "direction": "location",
    "reserv": "book",
    "reservation": "book",
    "schedul": "book",
    "payment": "pay",
    "paid": "pay",
    "bui": "order",
    "purchas": "order",
    "cancell": "cancel",
    "reschedul": "change",
    "mov": "change",
    "chang": "change",
    "telephon": "phon",
}
_SHARED_PREFIX = 4
_SHARED_SHARE = 0.6
"""Letters, and share of the shorter stem, that two words of one family begin with alike."""
_KINDRED_WEIGHT = 0.8
_HOW_MUCH = re.compile(r"\bhow (?:much|expensive)\b")


@dataclass(frozen=True)
class Utterance:
    """One stretch of caller speech as words."""

    raw: str
    """What the recogniser (or the keyboard) gave, outer spaces removed."""
    tokens: tuple[str, ...]
    """Normalised words, at most `MAX_TOKENS`."""

    @property
    def text(self) -> str:
        """The normalised words with single spaces."""
        return " ".join(self.tokens)

    @property
    def asks(self) -> bool:
        """Whether the caller typed a question mark (recognisers rarely give one)."""
        return self.raw.endswith("?")


@dataclass(frozen=True)
class Span:
    """Where something was found: words `start` up to, not including, `end`."""

    start: int
    end: int

    def words(self, tokens: Sequence[str]) -> str:
        """The words themselves."""
        return " ".join(tokens[self.start : self.end])

    def covers(self) -> range:
        """The word positions taken."""
        return range(self.start, self.end)


@lru_cache(maxsize=4096)
def utterance(raw: str) -> Utterance:
    """Normalise a caller's words; never raises, whatever the text holds."""
    text = raw.strip()[:MAX_CHARS]
    lowered = _MARKS.sub(" ", text.lower().replace("’", "'"))
    for pattern, replacement in _CONTRACTIONS:
        lowered = pattern.sub(replacement, lowered)
    lowered = _MERIDIEM.sub(r"\1m", lowered)
    tokens = (token for token in _TOKEN.findall(lowered) if token not in _FILLERS)
    return Utterance(text, tuple(tokens)[:MAX_TOKENS])


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Cut plural, -ing, -ed and a final e: enough for "pizzas", "opening", "closed" and "prices" to meet."""
    w = word.removesuffix("'s").replace("'", "")
    if len(w) > 3 and w.endswith("s") and not w.endswith(("ss", "us", "is")):
        w = w[:-1]
    for suffix in ("ing", "ed"):
        if w.endswith(suffix) and len(w) - len(suffix) >= 3:
            w = w[: -len(suffix)]
            break
    if len(w) > 3 and w.endswith("e"):
        w = w[:-1]
    if len(w) > 2 and w.endswith("y"):
        w = w[:-1] + "i"
    return w


def content_terms(text: str) -> list[str]:
    """Stems of the words that carry meaning, front-desk synonyms joined, in order."""
    return terms_of(utterance(text.replace("_", " ")).tokens)


def terms_of(tokens: Sequence[str]) -> list[str]:
    """`content_terms` of words that are normalised already."""
    joined = _HOW_MUCH.sub("price", " ".join(tokens)).split()
    stems = (stem(word) for word in joined if word not in _STOP)
    return [_CONCEPTS.get(s, s) for s in stems]


def _shared_letters(one: str, other: str) -> int:
    """How many letters two words begin with alike."""
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


@dataclass(frozen=True)
class Match:
    """The document that fits a query best."""

    index: int
    score: float
    """BM25 score: comparable only within one index."""
    coverage: float
    """0 to 1: share of the query's weight found in the document."""
    breadth: float
    """0 to 1: share of the document's key terms that the query names."""


class Bm25:
    """BM25 (Robertson and Zaragoza 2009; k1=1.2, b=0.75) over documents given as term weights.

    A weight of 1 or more marks a key term (a question's own words); less is supporting text.
    """

    def __init__(self, documents: Sequence[Mapping[str, float]]) -> None:
        self._count = len(documents)
        self._postings: dict[str, list[tuple[int, float]]] = {}
        self._lengths = [sum(document.values()) for document in documents]
        self._keys = [frozenset(t for t, weight in d.items() if weight >= 1) for d in documents]
        self._by_prefix: dict[str, list[str]] = {}
        self._mean_length = (sum(self._lengths) / self._count if self._count else 0.0) or 1.0
        for index, document in enumerate(documents):
            for term, weight in document.items():
                self._postings.setdefault(term, []).append((index, weight))
        for term in sorted(self._postings):
            self._by_prefix.setdefault(term[:_SHARED_PREFIX], []).append(term)

    def best(self, query: Iterable[str], *, among: Collection[int] | None = None) -> Match | None:
        """The best document, the earlier one on a tie; None when no word of the query is in any.

        `among` are the documents that may be chosen, all if None.
        """
        terms = sorted(set(query))
        scores: dict[int, float] = {}
        covered: dict[int, float] = {}
        total = 0.0
        for term in terms:
            postings = self._postings.get(term) or self._kindred(term)
            weight = self._idf(max(1, len(postings)))
            total += weight
            for index, frequency in postings:
                norm = 0.25 + 0.75 * self._lengths[index] / self._mean_length
                scores[index] = scores.get(index, 0.0) + weight * frequency * 2.2 / (frequency + 1.2 * norm)
                covered[index] = covered.get(index, 0.0) + weight * min(1.0, frequency)
        candidates = [i for i in scores if among is None or i in among]
        if not candidates:
            return None
        index = max(candidates, key=lambda i: (round(scores[i], 9), -i))
        keys = self._keys[index]
        breadth = len(keys.intersection(terms)) / len(keys) if keys else 0.0
        return Match(index, scores[index], covered[index] / total, breadth)

    def _kindred(self, term: str) -> list[tuple[int, float]]:
        """Postings of the known word nearest to an unknown one of the same family ("dentist", "dental")."""
        shared = {
            known: _shared_letters(known, term) for known in self._by_prefix.get(term[:_SHARED_PREFIX], [])
        }
        near = [k for k, n in shared.items() if n >= _SHARED_SHARE * min(len(k), len(term))]
        if len(term) <= _SHARED_PREFIX or not near:
            return []
        known = max(near, key=lambda k: (shared[k], -len(k), k))
        return [(index, frequency * _KINDRED_WEIGHT) for index, frequency in self._postings[known]]

    def _idf(self, documents_with_term: int) -> float:
        # A word that no document has weighs as much as one in a single document: recognisers insert words,
        # and an unknown word must not outweigh a known one.
        rest = self._count - documents_with_term + 0.5
        return math.log(1 + max(rest, 0.5) / (documents_with_term + 0.5))
