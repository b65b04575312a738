"""Events on disk: what could not be sent yet, oldest first, in files that outlive the process.

A spill is a queue of segment files. Records are appended to the newest, read back from the oldest, and a
segment is deleted when all of it was delivered:

    01K9…-00000001.spill  01K9…-00000002.spill  01K9…-00000003.spill
    ^ read here                                 ^ written here

* A line is one record: `{"topic": …, "key": …, "headers": [[name, value], …], "value": "<the event>"}`.
* Each segment is held with flock(2) by the process that writes it. A segment whose lock can be had belonged
  to a process that is gone; it is taken over when a spill is opened. (Process ids would lie: in a container
  every agent is process 1.) Names sort by the start of the process, then by age.
* `append` returns after fsync(2): what it counted survives the machine.
* What can't be read back, and what the brokers will never take, goes to a `.parked` file with the reason and
  the original bytes in base64; nobody deletes those but an operator.

Values in events are sealed already, so files hold no personal data in the clear. They are readable by their
owner only. Not thread-safe: one thread uses a spill.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from ulid import ULID

from shared.names import MAX_EVENT_BYTES

logger = structlog.get_logger(__name__)

SPILL_SUFFIX: Final = ".spill"
PARKED_SUFFIX: Final = ".parked"

_READ_BYTES: Final = 262_144

_MAX_LINE_BYTES: Final = 4 * MAX_EVENT_BYTES
"""A value is at most 1 MiB; as a JSON string its quotes and backslashes double. Longer is garbage."""


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """One Kafka record, ready to be sent."""

    topic: str
    key: str
    value: bytes
    """The event's JSON, UTF-8, at most 1 MiB."""
    headers: tuple[tuple[str, str], ...]

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about: its bytes and 400 more for the objects around them."""
        return len(self.value) + len(self.key) + sum(len(k) + len(v) for k, v in self.headers) + 400


def to_line(record: OutgoingRecord) -> bytes:
    """Write a record as one line, newline included."""
    fields = {
        "topic": record.topic,
        "key": record.key,
        "headers": record.headers,
        "value": record.value.decode(),
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> OutgoingRecord:
    """Read a line back.

    Raises:
        ValueError: it is not a record; the message names no content.
    """
    try:
        fields = json.loads(line)
        record = OutgoingRecord(
            topic=_text(fields["topic"]),
            key=_text(fields["key"]),
            value=_text(fields["value"]).encode(),
            headers=tuple((_text(name), _text(value)) for name, value in fields["headers"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("not a record") from None
    if not record.topic or len(record.value) > MAX_EVENT_BYTES:
        raise ValueError("a record without topic, or with a value over 1 MiB")
    return record


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


@dataclass(slots=True)
class _Segment:
    path: Path
    descriptor: int
    size: int
    """Bytes that are whole and on disk."""
    read_to: int = 0
    """Bytes that were read back."""

    @property
    def is_read(self) -> bool:
        return self.read_to >= self.size

    def delete(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        os.close(self.descriptor)


class Spill:
    """A bounded queue of records on disk, shared with nobody while it is open.

    Args:
        folder: where segments live; made if missing. Segments of dead processes in it are taken over.
        max_bytes: all segments and parked files together; beyond it nothing is taken.
        segment_bytes: a segment is closed to writing beyond this, so that space comes back piece by piece.

    Raises:
        OSError: the folder can't be made, read or written.
    """

    def __init__(self, folder: Path, *, max_bytes: int, segment_bytes: int = 8_388_608) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"spill folder is not writable: {folder.name}")
        self._parked_bytes = sum(path.stat().st_size for path in folder.glob(f"*{PARKED_SUFFIX}"))
        self._name = str(ULID())
        self._segments_made = 0
        self._parked_lines = 0
        self._own: _Segment | None = None
        self._segments = deque(self._left_behind())

    @property
    def empty(self) -> bool:
        """Whether every record was read back and released."""
        return not self._segments

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, parked files included."""
        return self._parked_bytes + sum(segment.size for segment in self._segments)

    @property
    def parked_lines(self) -> int:
        """Lines that this spill parked because it could not read them."""
        return self._parked_lines

    def append(self, records: Sequence[OutgoingRecord]) -> int:
        """Write as many of `records`, from the first on, as fit.

        Returns:
            How many are on disk, flushed with fsync.

        Raises:
            OSError: none of them was kept.
        """
        room = self._max_bytes - self.size_bytes
        lines: list[bytes] = []
        for record in records:
            line = to_line(record)
            if len(line) > room:
                break
            room -= len(line)
            lines.append(line)
        if lines:
            segment = self._writable()
            segment.size += _write_through(segment.descriptor, segment.size, b"".join(lines))
        return len(lines)

    def next_batch(self, *, max_records: int, max_bytes: int) -> list[OutgoingRecord]:
        """Read the next records, oldest first; all from one segment. Call `release` when they are delivered.

        Unreadable lines are parked on the way.

        Returns:
            At least one record, or none when everything was read.
        """
        while self._segments and max_records > 0:
            segment = self._segments[0]
            batch = self._read(segment, max_records, max_bytes)
            if batch:
                return batch
            self.release()
        return []

    def release(self) -> None:
        """Give back the space of what `next_batch` read: a segment that was read to its end is deleted."""
        if self._segments and self._segments[0].is_read:
            segment = self._segments.popleft()
            if segment is self._own:
                self._own = None
            segment.delete()

    def park(self, line: bytes, reason: str) -> bool:
        """Set a record aside for an operator, with the reason.

        Returns:
            False when there is no room for it.
        """
        entry = {"reason": reason, "line": base64.b64encode(line).decode()}
        data = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        if self.size_bytes + len(data) > self._max_bytes:
            return False
        path = self._folder / f"{self._name}{PARKED_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            _write_through(descriptor, os.fstat(descriptor).st_size, data)
        finally:
            os.close(descriptor)
        self._parked_bytes += len(data)
        return True

    def close(self) -> None:
        """Let go of all segments; they stay on disk for the next process."""
        for segment in self._segments:
            os.close(segment.descriptor)
        self._segments.clear()
        self._own = None

    def _left_behind(self) -> Iterator[_Segment]:
        for path in sorted(self._folder.glob(f"*{SPILL_SUFFIX}")):
            segment = _take_over(path)
            if segment is None:
                continue
            if segment.size:
                yield segment
            else:
                segment.delete()

    def _writable(self) -> _Segment:
        own = self._own
        if own is None or own.size >= self._segment_bytes:
            own = self._own = self._new_segment()
            self._segments.append(own)
        return own

    def _new_segment(self) -> _Segment:
        while True:
            self._segments_made += 1
            path = self._folder / f"{self._name}-{self._segments_made:08}{SPILL_SUFFIX}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            if _lock(descriptor):
                return _Segment(path, descriptor, size=0)
            os.close(descriptor)  # another process took it for a dead one's in this instant: it is theirs now

    def _read(self, segment: _Segment, max_records: int, max_bytes: int) -> list[OutgoingRecord]:
        batch: list[OutgoingRecord] = []
        taken = 0
        for line in _lines(segment):
            try:
                record = from_line(line)
            except ValueError as error:
                self._park_unreadable(line, str(error))
            else:
                batch.append(record)
                taken += record.size_bytes
            segment.read_to += len(line)
            if len(batch) >= max_records or taken >= max_bytes:
                break
        return batch

    def _park_unreadable(self, line: bytes, reason: str) -> None:
        self._parked_lines += 1
        try:
            kept = self.park(line, reason)
        except OSError:
            kept = False
        logger.error("unreadable line in the spill was set aside", length_bytes=len(line), kept=kept)


def _lines(segment: _Segment) -> Iterator[bytes]:
    """Lines from `read_to` on, newlines included; the last may lack one, an overlong one comes in pieces."""
    position, rest = segment.read_to, b""
    while position < segment.size:
        data = os.pread(segment.descriptor, min(_READ_BYTES, segment.size - position), position)
        if not data:
            break
        position += len(data)
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line + b"\n"
        if len(rest) > _MAX_LINE_BYTES:
            yield rest
            rest = b""
    if rest:
        yield rest


def _take_over(path: Path) -> _Segment | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return None  # released, or not ours to read, since it was listed
    if _lock(descriptor):
        found = os.fstat(descriptor)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == found.st_ino:
                return _Segment(path, descriptor, size=found.st_size)
    os.close(descriptor)
    return None


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_through(descriptor: int, at: int, data: bytes) -> int:
    """Write `data` at `at` and flush it; a failed write leaves the file as it was, so no line is ever torn
    by anything but a crash.
    """
    try:
        view = memoryview(data)
        position = at
        while view:
            written = os.pwrite(descriptor, view, position)
            view = view[written:]
            position += written
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, at)
        raise
    return len(data)
