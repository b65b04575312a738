"""The language of an agent, built in a process of its own: it is seconds of pure computing.

`python -m local_stack.engines.listen.language_source` is that process: texts and keyterms in on standard input, the
model out on standard output, both JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

_BUILD_TIMEOUT_S = 120.0
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

    @property
    def words(self) -> int:
        """Words with a pronunciation; each of several pronunciations counts."""
        return self.dictionary.count("\n")


async def build_language(texts: Sequence[str], keyterms: Sequence[str]) -> Language:
    """Build an agent's language; cancelling ends the process.

    Raises:
        LanguageError: nothing could be built from these texts, or not within 2 min.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(_BUILD_TIMEOUT_S):
            order = json.dumps({"texts": list(texts), "keyterms": list(keyterms)}).encode()
            built, _ = await process.communicate(order)
    except TimeoutError:
        raise LanguageError("building the language took more than 2 minutes") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise LanguageError("no language could be built from these texts")
    answer = json.loads(built)
    if "refused" in answer:
        raise LanguageError(answer["refused"])
    return Language(**answer)


def _build(texts: Sequence[str], keyterms: Sequence[str]) -> Language:
    # only the process that builds pays for the import
    from local_stack.engines.listen.language.agent_language import (  # noqa: PLC0415
        LanguageTooLargeError,
        build_agent_language,
    )

    try:
        built = build_agent_language(texts, keyterms)
    except LanguageTooLargeError as error:
        raise LanguageError(str(error)) from None
    return Language(arpa=built.arpa, dictionary=built.dictionary)


def main() -> None:
    """Build one language."""
    os.nice(_NICENESS)
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        answer = asdict(_build(**json.load(sys.stdin)))
    except LanguageError as error:
        answer = {"refused": str(error)}
    except Exception as error:  # noqa: BLE001  (the edge of the process: the front tells the client)
        print(f"no language was built: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    json.dump(answer, output)
    output.flush()


if __name__ == "__main__":
    main()
