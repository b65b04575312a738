"""How commands speak: results to standard output, errors in one red line to standard error."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from local_stack.private_files import make_private_folder, open_private
from shared.errors import ParleyError


def out() -> Console:
    """Console for results."""
    return Console(highlight=False, soft_wrap=True)


def show_error(error: ParleyError) -> None:
    """Print `error[code]: message` and, if there is one, `hint: ...`."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text(f"error[{error.code}]: {error.message}", style="bold red"))
    if error.hint:
        console.print(Text(f"hint: {error.hint}"))


def show_unexpected(error: Exception, log_dir: Path) -> None:
    """Print one line; the traceback goes to `cli.log` in `log_dir`, never to the terminal."""
    log = log_dir / "cli.log"
    where = f"The details are in {log}."
    try:
        make_private_folder(log_dir)
        with open_private(log, "ab") as file:
            text = f"{datetime.now(UTC).isoformat()}\n{''.join(traceback.format_exception(error))}\n"
            file.write(text.encode(errors="backslashreplace"))
    except OSError as failure:
        where = f"The details could not be written to {log}: {failure.strerror}."
    show_error(ParleyError(f"something unexpected went wrong: {type(error).__name__}", hint=where))
