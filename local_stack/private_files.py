"""Files with callers' words in them: for the user alone, whatever the umask says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def make_private_folder(path: Path) -> None:
    """Make a folder (0700) and what leads to it. One that exists keeps its mode: it may be the user's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def open_private(path: Path, mode: str = "wb") -> BinaryIO:
    """Open a file for writing (0600, also when it existed with another mode).

    Args:
        path: the file.
        mode: `wb` to replace what is there, `ab` to go on after it.
    """
    how = os.O_APPEND if mode == "ab" else os.O_TRUNC
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, mode)  # type: ignore[return-value]


def write_private(path: Path, text: str) -> None:
    """Write text in UTF-8 (0600)."""
    with open_private(path) as file:
        file.write(text.encode())
