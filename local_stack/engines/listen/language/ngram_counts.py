"""Count how often words follow one another, in sentences and in whole phrase books at once.

A phrase with classes stands for thousands of sentences. Their expected n-gram counts are computed exactly by
carrying the probability of every "last two words" through the phrase, instead of sampling sentences.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from local_stack.engines.listen.language.phrase_book import Choice, ClassReference, Sequence, Word

SENTENCE_START = "<s>"
SENTENCE_END = "</s>"

_History = tuple[str, ...]
"""The last zero, one or two words."""

_LEAST_PAIR = 1e-3
"""A two-word history that is rarer than this within its phrase is cut to one word: names after names would
otherwise fill the model with a million three-word counts of next to nothing."""

_LEAST_WORD = 1e-4
"""A one-word history that is rarer than this within its phrase is forgotten."""


class NgramCounts:
    """Weighted counts of one, two and three words in a row.

    Histories at the start of a sentence hold `<s>`; the end of a sentence counts as the word `</s>`. `<s>`
    itself is never counted as a word, because nothing predicts it.
    """

    def __init__(self) -> None:
        self.unigrams: defaultdict[str, float] = defaultdict(float)
        self.bigrams: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.trigrams: defaultdict[tuple[str, str, str], float] = defaultdict(float)
        self.unspecified: defaultdict[tuple[str, ...], float] = defaultdict(float)
        """How often a history of one or two words went on with words that were not counted after it."""

    def add_sentence(self, words: Iterable[str], weight: float = 1.0) -> None:
        """Count one sentence. `weight` is how many times it counts, above 0."""
        history: _History = (SENTENCE_START,)
        for word in (*words, SENTENCE_END):
            self.add_word(history, word, weight)
            history = (history[-1], word)

    def add_phrase(self, phrase: Sequence, classes: Mapping[str, Choice], weight: float = 1.0) -> None:
        """Count all the sentences that a phrase stands for; together they count `weight` times.

        Args:
            phrase: what is said.
            classes: the members of each class that the phrase uses; a class that is missing or has no
                members makes the alternatives that need it impossible.
            weight: above 0.
        """
        expansion = _Expansion(self, classes, weight)
        expansion.extend(expansion.follow(phrase, {(SENTENCE_START,): weight}), SENTENCE_END)

    def add_word(self, history: _History, word: str, count: float) -> None:
        """Count one word.

        Args:
            history: the zero, one or two words before it, as far as they are known.
            word: what follows; `</s>` for the end of the sentence.
            count: how many times it counts, above 0.
        """
        self.unigrams[word] += count
        if history:
            self.bigrams[(history[-1], word)] += count
        if len(history) == 2:
            self.trigrams[(history[0], history[1], word)] += count

    def rename_pairs(self, rename: Callable[[str, str], str]) -> None:
        """Let the second word of a pair decide how the first is said, as "a" and "an" do.

        Args:
            rename: takes a word and the next one, returns what the first becomes.
        """
        bigrams: defaultdict[tuple[str, str], float] = defaultdict(float)
        for (first, second), count in self.bigrams.items():
            bigrams[rename(first, second), second] += count
        trigrams: defaultdict[tuple[str, str, str], float] = defaultdict(float)
        for (first, second, third), count in self.trigrams.items():
            trigrams[rename(first, second), rename(second, third), third] += count
        self.bigrams, self.trigrams = bigrams, trigrams


class _Expansion:
    """One phrase on its way into the counts."""

    def __init__(self, counts: NgramCounts, classes: Mapping[str, Choice], weight: float) -> None:
        self._counts = counts
        self._classes = classes
        self._least_pair = _LEAST_PAIR * weight
        self._least_word = _LEAST_WORD * weight

    def follow(self, sequence: Sequence, histories: Mapping[_History, float]) -> Mapping[_History, float]:
        """Say a sequence after these (weighted) histories; returns the histories that it leaves."""
        for part in sequence.parts:
            if isinstance(part, Word):
                histories = self.extend(histories, part.text)
            elif isinstance(part, ClassReference):
                histories = self._branch(self._classes.get(part.name, Choice(())), histories)
            else:
                histories = self._branch(part, histories)
        return histories

    def extend(self, histories: Mapping[_History, float], word: str) -> Mapping[_History, float]:
        """Say one word after these (weighted) histories; returns the histories that it leaves."""
        extended: defaultdict[_History, float] = defaultdict(float)
        for history, count in histories.items():
            self._counts.add_word(history, word, count)
            extended[(*history[-1:], word)] += count
        return extended

    def _branch(self, choice: Choice, histories: Mapping[_History, float]) -> Mapping[_History, float]:
        options = max(1, len(choice.options))
        shared = self._shorten_rare(histories, options)
        merged: defaultdict[_History, float] = defaultdict(float)
        for option in choice.options:
            for history, count in self.follow(option, shared).items():
                merged[history] += count
        return merged

    def _shorten_rare(self, histories: Mapping[_History, float], options: int) -> Mapping[_History, float]:
        """Give each of several options an equal share, and forget what is too rare to be worth a count."""
        pairs: defaultdict[_History, float] = defaultdict(float)
        for history, count in histories.items():
            rare = len(history) == 2 and count / options < self._least_pair
            pairs[self._shorten(history, count) if rare else history] += count
        shared: defaultdict[_History, float] = defaultdict(float)
        for history, count in pairs.items():
            rare = len(history) == 1 and count / options < self._least_word
            shared[self._shorten(history, count) if rare else history] += count / options
        return shared

    def _shorten(self, history: _History, count: float) -> _History:
        self._counts.unspecified[history] += count
        return history[1:]
