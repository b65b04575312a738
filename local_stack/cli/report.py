"""`parley report`: show what calls left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="What --out of `parley demo` or `parley call` named.")
    ] = Path("demo-out"),
) -> None:
    """Show the calls in a folder: transcript, latencies, costs."""
    from local_stack.reporting.show import show_report  # noqa: PLC0415 - keeps --help fast

    show_report(folder=folder)
