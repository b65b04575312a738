"""`parley down`: stop the stack that runs here."""

from __future__ import annotations


def down() -> None:
    """Stop the stack that `parley up` started in this folder."""
    from local_stack.cli.stop_stack import stop_stack  # noqa: PLC0415
    from local_stack.output import out  # noqa: PLC0415 - keeps --help fast
    from local_stack.paths import state_dir  # noqa: PLC0415
    from local_stack.state import StateDir  # noqa: PLC0415

    stopped = stop_stack(StateDir(state_dir()))
    out().print("Stopped." if stopped else "No stack was running here.")
