"""Print the doctor's table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local_stack.doctor import Machine, Part, ThisMachine, examine


def show_doctor(machine: Machine | None = None, console: Console | None = None) -> bool:
    """Print what is here, and what is not.

    Args:
        machine: what to look at; this one by default.
        console: where to print.

    Returns:
        Whether the demo can run.
    """
    parts = examine(machine or ThisMachine())
    screen = console or Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("part", "here", "what it adds", "how to get it"):
        table.add_column(heading, overflow="fold")
    for part in parts:
        table.add_row(part.name, _found(part), part.adds, "" if part.found else part.get)
    screen.print(table)
    blocking = [part.name for part in parts if part.blocks]
    if blocking:
        screen.print(Text(f"`parley demo` can't run yet. Missing: {', '.join(blocking)}.", style="bold red"))
    else:
        screen.print("`parley demo` works here; every missing part above is optional.")
    return not blocking


def _found(part: Part) -> Text:
    if part.found:
        return Text(part.found, style="green")
    return Text("missing", style="bold red" if part.needed else "yellow")
