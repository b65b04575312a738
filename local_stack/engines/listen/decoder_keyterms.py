"""Teach a decoder the keyterms of a client: each is one more word, however many words it has.

Only decoder processes import this. A decoder that has learnt keyterms can't forget them: whoever comes without them
must get another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from local_stack.engines.listen.decoder_protocol import KeytermEntry

_MARK = "~"
"""Ends the decoder's name of a keyterm: its words may stand in the dictionary too, with their contexts."""

_JOINT = "_"


def add_keyterms(decoder: Any, keyterms: Sequence[KeytermEntry], *, weight: float) -> None:
    """Add keyterms to a fresh decoder, 0.1 s for any number of them.

    Args:
        decoder: of n-grams.
        keyterms: what to add.
        weight: how much likelier each is than a word drawn at random from the whole vocabulary.
    """
    model = decoder.get_lm()
    entries = [
        (spoken.replace(" ", _JOINT) + _MARK, number, phones)
        for spoken, ways in keyterms
        for number, phones in enumerate(ways, start=1)
    ]
    for count, (name, number, phones) in enumerate(entries, start=1):
        if number == 1:
            model.add_word(name, weight)
        # the search tree is built anew with the last one only: that is what takes the time
        decoder.add_word(name if number == 1 else f"{name}({number})", phones, count == len(entries))


def split_keyterm(text: str, start_s: float, end_s: float) -> Iterator[tuple[str, float, float]]:
    """The words that a decoder's word stands for, with their times: a phrase's by the letters of each."""
    if not text.endswith(_MARK):
        yield text, start_s, end_s
        return
    words = text.removesuffix(_MARK).split(_JOINT)
    letter_s = (end_s - start_s) / sum(map(len, words))
    for word in words:
        stop_s = start_s + len(word) * letter_s
        yield word, round(start_s, 3), round(stop_s, 3)
        start_s = stop_s
