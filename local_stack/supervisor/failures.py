"""Say in words why the stack came down, and what to do about it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from local_stack.supervisor.logs import last_line
from local_stack.supervisor.machine import Failure, FailureKind
from shared.errors import StackError

_MAX_QUOTED_CHARS = 300
_PORT_TAKEN = re.compile(r"address already in use|errno 98|errno 48", re.IGNORECASE)


def failure_error(failure: Failure, *, log: Path, ready_timeout_s: float) -> StackError:
    """Turn a failure into an error for people.

    Args:
        failure: the part and what it did.
        log: the part's log; its last line is quoted.
        ready_timeout_s: the deadline the part had.

    Returns:
        An error with `data`: part, kind and log.
    """
    quoted = _in_words(last_line(log))
    message = _what_happened(failure, ready_timeout_s)
    if quoted and failure.kind in (FailureKind.ENDED, FailureKind.ENDED_EARLY):
        message += f": {quoted}"
    if _PORT_TAKEN.search(quoted):
        hint = "Stop the program that uses this port, or leave the port out: a free one is taken then."
    else:
        hint = f"Its log is {log}. All other parts were stopped. `parley doctor` shows what is missing."
    return StackError(message, hint=hint, part=failure.name, kind=failure.kind.value, log=str(log))


def _what_happened(failure: Failure, ready_timeout_s: float) -> str:
    match failure.kind:
        case FailureKind.ENDED_EARLY:
            return f"{failure.name} ended while starting ({_status(failure.status)})"
        case FailureKind.NOT_READY:
            return f"{failure.name} was not ready within {ready_timeout_s:g} s"
        case FailureKind.ENDED:
            return f"{failure.name} ended unexpectedly ({_status(failure.status)})"
        case FailureKind.ILL:
            return f"{failure.name} stopped answering health checks"


def _in_words(line: str) -> str:
    """What a log line says: of a structured one (shared/telemetry.py) the exception's or the event's words."""
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if isinstance(record, dict):
        exception = record.get("exception")
        said = exception.get("message") if isinstance(exception, dict) else None
        line = str(said or record.get("message") or record.get("event") or line)
    return line[:_MAX_QUOTED_CHARS]


def _status(status: int | None) -> str:
    if status is not None and status > 128:
        return f"killed by signal {status - 128}"
    return f"exit status {status}"
