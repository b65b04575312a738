"""`parley status`: what runs here, and whether it is well."""

from __future__ import annotations


def status() -> None:
    """Show the parts of the running stack and whether each answers. Fails when none runs here."""
    from local_stack.cli.show_status import show_status  # noqa: PLC0415 - keeps --help fast
    from local_stack.paths import state_dir  # noqa: PLC0415
    from local_stack.state import StateDir  # noqa: PLC0415

    show_status(StateDir(state_dir()).require())
