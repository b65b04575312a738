"""Smooth n-gram counts into a language model and write it in the ARPA format that the decoder reads.

Every estimate is a Dirichlet (MAP) one: the counts after a history, plus `concentration` imagined observations of
what the shorter history predicts. Nothing gets probability zero, so a caller may put known words in any order,
and the weights left for shorter histories are exact: each distribution sums to one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

from local_stack.engines.listen.language.ngram_counts import SENTENCE_START, NgramCounts

_Ngram = TypeVar("_Ngram", bound=tuple[str, ...])

_UNIFORM_SHARE = 0.05
"""Part of the one-word distribution that is the same for every word: slot words such as names stay likely."""

_CONCENTRATIONS = {2: 1.0, 3: 1.0}
"""Imagined observations of the shorter history's prediction, by n-gram order."""

_LEAST_TRIGRAM_GAIN = 0.3
"""A three-word estimate within this (natural log) of what backing off gives is left out of the file."""

_LOG10_OF_NEVER = -99.0


class NgramModel:
    """A back-off model of up to three words.

    Args:
        counts: what was counted; at least one word of the vocabulary was.
        vocabulary: words that may be said, and `</s>`; words in `counts` beside them are left out.
    """

    def __init__(self, counts: NgramCounts, vocabulary: Collection[str]) -> None:
        self._words = sorted(vocabulary)
        self._unigrams = _unigram_probabilities(counts, self._words)
        self._bigrams: dict[tuple[str, ...], float] = {}
        self._trigrams: dict[tuple[str, ...], float] = {}
        self._backoff: dict[tuple[str, ...], float] = {}
        sayable = frozenset({*self._words, SENTENCE_START})
        self._bigrams = self._estimate(
            _within(sayable, counts.bigrams), counts.unspecified, _CONCENTRATIONS[2]
        )
        self._trigrams = self._estimate(
            _within(sayable, counts.trigrams), counts.unspecified, _CONCENTRATIONS[3]
        )

    def probability(self, word: str, history: tuple[str, ...] = ()) -> float:
        """How likely a word is to follow.

        Args:
            word: one of the vocabulary, or `</s>`.
            history: up to two words before it, `<s>` first where the sentence begins.

        Returns:
            0..1, above 0 for every word of the vocabulary and 0 for any other. After any history the whole
            vocabulary sums to one.
        """
        if not history:
            return self._unigrams.get(word, 0.0)
        seen = self._trigrams if len(history) == 2 else self._bigrams
        ngram = (*history, word)
        if ngram in seen:
            return seen[ngram]
        return self._backoff.get(history, 1.0) * self.probability(word, history[1:])

    def arpa_lines(self) -> Iterator[str]:
        """The model as the lines of an ARPA file: log10 probabilities and back-off weights.

        Three-word estimates that backing off nearly gives are left out, so what the file holds sums to one
        only about. Format: www.speech.sri.com/projects/srilm/manpages/ngram-format.5.html.
        """
        trigrams = {ngram: p for ngram, p in self._trigrams.items() if self._is_worth_a_line(ngram, p)}
        yield from ("\\data\\", f"ngram 1={len(self._words) + 1}", f"ngram 2={len(self._bigrams)}")
        yield f"ngram 3={len(trigrams)}"
        yield from ("", "\\1-grams:", self._line(_LOG10_OF_NEVER, (SENTENCE_START,)))
        for word in self._words:
            yield self._line(math.log10(self._unigrams[word]), (word,))
        yield from ("", "\\2-grams:")
        for bigram, probability in sorted(self._bigrams.items()):
            yield self._line(math.log10(probability), bigram)
        yield from ("", "\\3-grams:")
        for trigram, probability in sorted(trigrams.items()):
            yield f"{math.log10(probability):.4f} {' '.join(trigram)}"
        yield from ("", "\\end\\")

    def _line(self, log10_probability: float, ngram: tuple[str, ...]) -> str:
        backoff = math.log10(self._backoff.get(ngram, 1.0))
        return f"{log10_probability:.4f} {' '.join(ngram)} {backoff:.4f}"

    def _is_worth_a_line(self, trigram: tuple[str, ...], probability: float) -> bool:
        backed_off = self._backoff.get(trigram[:2], 1.0) * self.probability(trigram[2], trigram[1:2])
        return abs(math.log(probability / backed_off)) > _LEAST_TRIGRAM_GAIN

    def _estimate(
        self,
        counts: Mapping[tuple[str, ...], float],
        unspecified: Mapping[tuple[str, ...], float],
        concentration: float,
    ) -> dict[tuple[str, ...], float]:
        totals: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for ngram, count in counts.items():
            totals[ngram[:-1]] += count
        for history, total in totals.items():
            lower = concentration + unspecified.get(history, 0.0)
            self._backoff[history] = lower / (total + lower)
        return {
            ngram: count / totals[ngram[:-1]] * (1.0 - self._backoff[ngram[:-1]])
            + self._backoff[ngram[:-1]] * self.probability(ngram[-1], ngram[1:-1])
            for ngram, count in counts.items()
        }


def _within(sayable: frozenset[str], counts: Mapping[_Ngram, float]) -> dict[tuple[str, ...], float]:
    return {ngram: count for ngram, count in counts.items() if sayable.issuperset(ngram)}


def _unigram_probabilities(counts: NgramCounts, words: list[str]) -> dict[str, float]:
    total = sum(counts.unigrams.get(word, 0.0) for word in words)
    uniform = _UNIFORM_SHARE / len(words)
    return {word: uniform + (1 - _UNIFORM_SHARE) * counts.unigrams.get(word, 0.0) / total for word in words}
