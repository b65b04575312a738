"""The language of an agent, built in a process of its own: it is seconds of pure computing.

`python -m local_stack.engines.listen.language_source` is that process: texts and keyterms in on standard input, the
model out on standard output, both JSON. Keyterms that a client brings along are pronounced there as well: espeak-ng,
which knows how, is in no other process of this engine.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local_stack.engines.listen.decoder_protocol import KeytermEntry

_BUILD_TIMEOUT_S = 120.0
_PRONOUNCE_TIMEOUT_S = 20.0
"""A stream waits for it with its first utterance, and then goes on without."""
_NICENESS = 10
"""The builder yields to calls that are being decoded."""


class LanguageError(Exception):
    """No language could be built from these texts."""


@dataclass(frozen=True, slots=True)
class Language:
    """What a decoder needs of a language."""

    arpa: str
    """n-gram model, in the ARPA format."""
    dictionary: str
    """A pronunciation per line: word, phones of the CMU set."""
    keyterms: tuple[str, ...] = ()
    """Terms that it was built to understand above all."""

    @property
    def words(self) -> int:
        """Words with a pronunciation; each of several pronunciations counts."""
        return self.dictionary.count("\n")


async def build_language(texts: Sequence[str], keyterms: Sequence[str]) -> Language:
    """Build an agent's language; cancelling ends the process.

    Raises:
        LanguageError: nothing could be built from these texts, or not within 2 min.
    """
    order = {"texts": list(texts), "keyterms": list(keyterms)}
    return Language(**await _ordered(order, _BUILD_TIMEOUT_S), keyterms=tuple(keyterms))


async def pronounce_keyterms(terms: Sequence[str]) -> list[KeytermEntry]:
    """Find out how terms are said, in about half a second; cancelling ends the process.

    Returns:
        Each term that has a sound: its words, and the phones of each way to say it.

    Raises:
        LanguageError: espeak-ng can't be started, or it took more than 20 s.
    """
    answer = await _ordered({"terms": list(terms)}, _PRONOUNCE_TIMEOUT_S)
    return [(spoken, ways) for spoken, ways in answer["keyterms"]]


async def _ordered(order: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """What the process makes of an order."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(timeout_s):
            built, _ = await process.communicate(json.dumps(order).encode())
    except TimeoutError:
        raise LanguageError(f"building the language took more than {timeout_s:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise LanguageError("no language could be built from these texts")
    answer: dict[str, Any] = json.loads(built)
    if "refused" in answer:
        raise LanguageError(answer["refused"])
    return answer


def _build(texts: Sequence[str], keyterms: Sequence[str]) -> dict[str, Any]:
    # only the process that builds pays for the import
    from local_stack.engines.listen.language.agent_language import (  # noqa: PLC0415
        LanguageTooLargeError,
        build_agent_language,
    )

    try:
        built = build_agent_language(texts, keyterms)
    except LanguageTooLargeError as error:
        raise LanguageError(str(error)) from None
    return {"arpa": built.arpa, "dictionary": built.dictionary}


def _pronounce(terms: Sequence[str]) -> dict[str, Any]:
    from local_stack.engines.listen.language.keyterms import sayable_keyterms  # noqa: PLC0415  (as above)

    return {"keyterms": [(keyterm.spoken, keyterm.pronunciations) for keyterm in sayable_keyterms(terms)]}


def main() -> None:
    """Obey one order."""
    os.nice(_NICENESS)
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        order = json.load(sys.stdin)
        answer = _pronounce(order["terms"]) if "terms" in order else _build(**order)
    except LanguageError as error:
        answer = {"refused": str(error)}
    except Exception as error:  # noqa: BLE001  (the edge of the process: the front tells the client)
        print(f"no language was built: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    json.dump(answer, output)
    output.flush()


if __name__ == "__main__":
    main()
