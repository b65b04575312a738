"""A log file that can't fill the disk."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

MAX_LOG_BYTES = 4_000_000
"""Size at which a log starts anew; one older file is kept, so a part takes at most twice this."""


class BoundedLog:
    """Append-only log; when it is full it becomes `<name>.log.1` (replacing the one before) and starts anew.

    Args:
        path: the file; begun anew, so that it tells of this run only.
        max_bytes: size at which it turns over.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._older = path.with_name(path.name + ".1")
        self._older.unlink(missing_ok=True)
        self._file = self._open()
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append `data` and hand it to the system; a chunk larger than the bound is kept whole."""
        if self._size and self._size + len(data) > self._max_bytes:
            self._file.close()
            self.path.replace(self._older)
            self._file = self._open()
            self._size = 0
        self._file.write(data)
        self._size += len(data)

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        self._file.close()

    def _open(self) -> BinaryIO:
        return self.path.open("wb", buffering=0)


def last_line(path: Path, max_chars: int = 8000) -> str:
    """The last line of a log that says something, cut to `max_chars`; "" when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip() and not line.startswith('{"event":"ready"')]
    return said[-1][:max_chars] if said else ""
