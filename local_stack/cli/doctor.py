"""`parley doctor`: what is on this machine, and what more would bring."""

from __future__ import annotations

import typer


def doctor() -> None:
    """Show which parts this machine has, what each missing one would add, and how to get it.

    The demo needs only Python and pip packages. Fails when one of those is missing.
    """
    from local_stack.cli.show_doctor import show_doctor  # noqa: PLC0415 - keeps --help fast

    if not show_doctor():
        raise typer.Exit(1)
