"""Logging and counters of a process. Personal data never reaches a log, whoever writes the record.

One JSON object a line on standard error. Our own records (structlog) and those of libraries (stdlib `logging`)
go through the same chain:

    ours       event + keyed fields ---------------\\
                                                     > call ids -> exceptions bare -> no `pii` -> JSON
    libraries  message template + few safe extras -/

* A field with a `pii` segment in its name (`pii`, `pii.text`, `lk.pii.x`, `transcript_pii`) is dropped, at any
  depth. A developer's terminal may ask for them (`allow_pii`).
* Exceptions lose their message, which may hold speech: what stays is the type, our code and the frames
  (file, line, function; never locals). Outside a call our own records keep the message too.
* A library's record keeps its message's first line, during a call (and from livekit always) its template
  only: what is formatted into it is dropped, as are text fields except the few in _SAFE_EXTRAS. A message
  that a library puts together itself can't be seen through, so theirs appear from WARNING on only.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import date
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from pydantic import BaseModel

from shared.errors import ParleyError
from shared.names import LogField

_OURS: Final = ("shared", "edge_agents", "lambdas", "local_stack", "__main__")
"""Packages whose records appear from the chosen level on."""

_MAX_TEXT_CHARS: Final = 2000
_MAX_DEPTH: Final = 6
_MAX_FRAMES: Final = 20
_MAX_CAUSES: Final = 5

_PII_SEGMENT: Final = re.compile(r"(?:^|[._\-])pii(?:[._\-]|$)", re.IGNORECASE)

_SAFE_EXTRAS: Final = frozenset({"plugin", "version", "function", "speech_id", "job_id", "provider", "model"})
"""Text fields of libraries' records that name parts, never what was said (livekit-agents 1.8.9)."""

_STDLIB_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

Record = MutableMapping[str, Any]


def configure_logging(
    process: str,
    *,
    level: str = "INFO",
    json: bool = True,
    allow_pii: bool = False,
    library_level: str = "WARNING",
) -> None:
    """Set up logging for this process; call once, first thing in main. Calling again replaces the set-up.

    Also takes over what would be printed for uncaught exceptions of the main thread and of others, and
    Python's warnings.

    Args:
        process: stands in every record (`agent`, `stt` …).
        level: lowest level of our own records: DEBUG, INFO, WARNING, ERROR.
        json: False writes for a person at a terminal.
        allow_pii: keep personal data and messages of exceptions. For a developer's terminal only.
        library_level: lowest level of libraries' records.
    """
    handler = SafeHandler(sys.stderr)
    handler.setFormatter(make_formatter(process, json=json, allow_pii=allow_pii))
    handler.set_name("parley")
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == "parley"]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(library_level)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=OUR_PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )


class _Turn:
    """The turn in progress. One object for all tasks of a call: a context variable that one of them sets is not
    seen by the others.
    """

    turn_id: str | None = None


_turn: ContextVar[_Turn | None] = ContextVar("parley_turn", default=None)


@contextmanager
def bind_call(*, tenant_id: str, call_id: str) -> Iterator[None]:
    """Put a call's ids on every record written inside, also by tasks that are started inside."""
    ids = {LogField.TENANT_ID: tenant_id, LogField.CALL_ID: call_id}
    token = _turn.set(_Turn())
    try:
        with structlog.contextvars.bound_contextvars(**ids):
            yield
    finally:
        _turn.reset(token)


def bind_turn(turn_id: str | None) -> None:
    """Put a turn's id on the records of all tasks of this call, from now on; None when no turn is in progress."""
    if (turn := _turn.get()) is not None:
        turn.turn_id = turn_id


def _add_turn(_: Any, __: str, record: Record) -> Record:
    turn = _turn.get()
    if turn is not None and turn.turn_id is not None:
        record.setdefault(LogField.TURN_ID, turn.turn_id)
    return record


class SafeHandler(logging.StreamHandler[TextIO]):
    """Writes records to a stream. One that can't be written is replaced by a line that says so: Python's own
    handler would print the record with all its fields.
    """

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Say that a record was lost, and why, without anything of it."""
        error = sys.exc_info()[1]
        line = {"event": "a log record could not be written", "level": "error", "logger": record.name}
        with suppress(OSError, ValueError):  # the stream itself may be gone
            self.stream.write(_to_json({**line, "error": type(error).__name__}) + self.terminator)


def make_formatter(process: str, *, json: bool = True, allow_pii: bool = False) -> logging.Formatter:
    """Build the formatter that holds the whole chain (see the module).

    Args:
        process: stands in every record.
        json: False renders for a terminal.
        allow_pii: keep personal data and messages of exceptions.
    """

    def add_process(_: Any, __: str, record: Record) -> Record:
        record["process"] = process
        return record

    privacy = [] if allow_pii else [drop_pii]
    render: Any = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    if json:
        render = structlog.processors.JSONRenderer(serializer=_to_json)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            _add_turn,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            _Foreign(allow_pii=allow_pii),
        ],
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            add_process,
            _Exceptions(allow_pii=allow_pii, as_text=not json),
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *privacy,
            render,
        ],
    )


OUR_PROCESSORS: Final[list[Any]] = [
    structlog.stdlib.filter_by_level,
    structlog.contextvars.merge_contextvars,
    _add_turn,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]
"""What our own records pass before the formatter; public for tests that wrap a logger of their own."""


def drop_pii(_: Any, __: str, record: Record) -> Record:
    """Drop every field with a `pii` segment in its name, at any depth, and make values plain."""
    return {name: _plain(value, _MAX_DEPTH) for name, value in record.items() if not _is_pii(name)}


def describe_exception(error: BaseException, *, message: bool = False) -> dict[str, Any]:
    """What of an exception may be logged.

    Args:
        error: the exception.
        message: whether its text is safe too.

    Returns:
        `type`, `code` (ours, if it is ours), `frames` (innermost last, at most 20), `caused_by` (types), and
        `message` where asked for.
    """
    described: dict[str, Any] = {"type": type(error).__name__}
    if isinstance(error, ParleyError):
        described["code"] = error.code
    if message:
        described["message"] = str(error)[:_MAX_TEXT_CHARS]
    described["frames"] = [
        f"{'/'.join(PurePath(frame.f_code.co_filename).parts[-2:])}:{line}:{frame.f_code.co_name}"
        for frame, line in list(traceback.walk_tb(error.__traceback__))[-_MAX_FRAMES:]
    ]
    causes = list(_causes(error))
    if causes:
        described["caused_by"] = causes
    return described


def _causes(error: BaseException) -> Iterator[str]:
    for _ in range(_MAX_CAUSES):
        if isinstance(error, BaseExceptionGroup):
            yield from (type(inner).__name__ for inner in error.exceptions[:_MAX_CAUSES])
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            return
        yield type(cause).__name__
        error = cause


class _Foreign:
    """Makes a library's record safe: its template instead of its message, and only safe extras."""

    def __init__(self, *, allow_pii: bool) -> None:
        self._allow_pii = allow_pii

    def __call__(self, _: Any, __: str, record: Record) -> Record:
        source: logging.LogRecord = record["_record"]
        extras = {name: value for name, value in vars(source).items() if name not in _STDLIB_FIELDS}
        if self._allow_pii:
            return {**extras, **record}
        template_only = _in_call(record) or source.name.startswith("livekit")
        text = str(source.msg) if template_only else str(record["event"])
        # the lines after the first are where asyncio prints a task with its exception
        record["event"] = text.partition("\n")[0][:_MAX_TEXT_CHARS]
        safe = {
            name: value
            for name, value in extras.items()
            if isinstance(value, (bool, int, float)) or (name in _SAFE_EXTRAS and isinstance(value, str))
        }
        return {**safe, **record}


class _Exceptions:
    """Replaces `exc_info` by what may be logged of it."""

    def __init__(self, *, allow_pii: bool, as_text: bool) -> None:
        self._allow_pii = allow_pii
        self._as_text = as_text

    def __call__(self, _: Any, __: str, record: Record) -> Record:
        exc_info = record.pop("exc_info", None)
        record.pop("stack_info", None)
        record.pop("exception", None)
        error = _exception_of(exc_info)
        if error is None:
            return record
        if self._allow_pii and self._as_text:
            record["exc_info"] = error  # the console renderer prints it whole
            return record
        ours = record.get("_from_structlog") is not False
        message = self._allow_pii or (ours and not _in_call(record))
        described = describe_exception(error, message=message)
        record["exception"] = _to_json(described) if self._as_text else described
        return record


def _exception_of(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def _in_call(record: Mapping[str, Any]) -> bool:
    return LogField.CALL_ID in record


def _is_pii(name: object) -> bool:
    return _PII_SEGMENT.search(str(name)) is not None


def _plain(value: object, depth: int) -> object:
    """Containers and our models without their `pii`, down to `depth`; see `_plain_scalar` for the rest."""
    if isinstance(value, BaseException):
        return describe_exception(value)
    if depth > 0:
        if isinstance(value, BaseModel):
            value = value.model_dump(mode="json")
        if isinstance(value, Mapping):
            return {str(k): _plain(v, depth - 1) for k, v in value.items() if not _is_pii(k)}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [_plain(item, depth - 1) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: object) -> object:
    """JSON values as they are; of an object that is none, its type alone, for it may print anything."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, (Decimal, date, PurePath)) or (isinstance(value, float) and not isfinite(value)):
        value = str(value)
    if isinstance(value, str):
        return value[:_MAX_TEXT_CHARS]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return f"<{type(value).__name__}>"


def _to_json(record: object, **_: Any) -> str:
    return json.dumps(record, default=lambda value: f"<{type(value).__name__}>")


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger(__name__).critical("uncaught exception", exc_info=(kind, error, trace))


class Counters:
    """Named counters with labels. Safe to use from any thread; bounded: see `add`."""

    def __init__(self, *, max_series: int = 1000) -> None:
        self._max_series = max_series
        self._lock = threading.Lock()
        self._values: dict[str, int] = {}

    def add(self, name: str, count: int = 1, **labels: str) -> None:
        """Count. Labels name kinds, never people or calls: past `max_series` combinations of them, new ones are
        counted together under the label `overflow`.
        """
        series = _series(name, labels)
        with self._lock:
            if series not in self._values and len(self._values) >= self._max_series:
                series = _series(name, {"overflow": "true"})
            self._values[series] = self._values.get(series, 0) + count

    def value(self, name: str, **labels: str) -> int:
        """One counter; 0 when it never counted."""
        with self._lock:
            return self._values.get(_series(name, labels), 0)

    def snapshot(self) -> dict[str, int]:
        """All counters, as `name{label=value,…}`."""
        with self._lock:
            return dict(sorted(self._values.items()))


def _series(name: str, labels: Mapping[str, str]) -> str:
    if not labels:
        return name
    return f"{name}{{{','.join(f'{label}={value}' for label, value in sorted(labels.items()))}}}"
