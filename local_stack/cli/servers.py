"""`parley servers`: build real servers into the user's cache."""

from __future__ import annotations

from typing import Annotated

import typer


def servers(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which: livekit. Default: all.")
    ] = None,
) -> None:
    """Build real servers (livekit-server, from its Go module) into the user's cache; needs Go, once per version."""
    from local_stack.output import out  # noqa: PLC0415 - keeps --help fast
    from local_stack.servers.build import SERVERS  # noqa: PLC0415
    from shared.errors import StackError  # noqa: PLC0415

    wanted = names or list(SERVERS)
    if unknown := sorted(set(wanted) - SERVERS.keys()):
        raise StackError(f"there is no server {unknown[0]!r}", hint=f"Servers: {', '.join(SERVERS)}.")
    for name in wanted:
        SERVERS[name].build(lambda line: out().print(line, markup=False))
