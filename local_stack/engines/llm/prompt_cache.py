"""Which part of a prompt a recent request began with, as OpenAI's prompt cache would have it.

OpenAI (platform.openai.com/docs/guides/prompt-caching, read Nov 2026): prompts of 1024 tokens and more are cached in
steps of 128 tokens, for 5 to 10 minutes after their last use, per organisation.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

MIN_TOKENS = 1024
BLOCK_TOKENS = 128
KEPT_S = 600.0
"""Seconds an unused prefix is remembered."""
MAX_PREFIXES = 50_000
"""Bound of remembered prefixes: some 40 blocks for each of a thousand conversations, about 6 MB."""


class PromptCache:
    """Remembers prefixes of prompts as hashes, least recently used out first. Not thread-safe."""

    def __init__(self, clock: Callable[[], float], *, max_prefixes: int = MAX_PREFIXES) -> None:
        """Make an empty cache.

        Args:
            clock: monotonic seconds.
            max_prefixes: most prefixes remembered.
        """
        self._clock = clock
        self._max_prefixes = max_prefixes
        self._used_at: OrderedDict[bytes, float] = OrderedDict()

    def match(self, owner: str, tokens: Sequence[str]) -> int:
        """How many of the tokens a recent request of this owner began with; remembers this request.

        Args:
            owner: whose cache it is: API key and model. Owners never see each other's prefixes.
            tokens: the prompt.

        Returns:
            0, or a multiple of 128 from 1024 up to the length of the prompt.
        """
        now = self._clock()
        cached = 0
        for length, digest in _prefixes(owner, tokens):
            used_at = self._used_at.pop(digest, None)
            if used_at is not None and now - used_at <= KEPT_S:
                cached = length
            self._used_at[digest] = now
        while len(self._used_at) > self._max_prefixes:
            self._used_at.popitem(last=False)
        return cached


def _prefixes(owner: str, tokens: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """(length, digest) of every cacheable prefix, shortest first."""
    chain = hashlib.blake2b(owner.encode("utf-8", "surrogatepass"), digest_size=16)
    for start in range(0, len(tokens) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
        end = start + BLOCK_TOKENS
        chain.update("\x1f".join(tokens[start:end]).encode("utf-8", "surrogatepass"))
        if end >= MIN_TOKENS:
            yield end, chain.copy().digest()
