"""The address that an agent's process listens on."""

from __future__ import annotations

import errno
import socket

from edge_agents.settings import AgentSettings
from shared.errors import ListenError


def free_port(settings: AgentSettings) -> int:
    """The port of the settings if it can be listened on, or a free one where they name none.

    Raises:
        ListenError: it can't.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            probe.bind(address)
            return int(probe.getsockname()[1])
    except (OSError, UnicodeError) as error:
        raise cannot_listen(settings, error) from error


def cannot_listen(settings: AgentSettings, error: OSError | UnicodeError) -> ListenError:
    """What to tell people of a failure to listen; UnicodeError is what a malformed host name gives."""
    taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
    if taken:
        why = "address already in use"
    elif isinstance(error, OSError):
        why = (error.strerror or type(error).__name__).lower()
    else:
        why = "not a host name"
    hint = (
        "Stop the program that uses the port, or set PARLEY_PORT to another one (0 takes a free one)."
        if taken
        else "Set PARLEY_HOST to an address of this machine and PARLEY_PORT to a port that this user may use."
    )
    return ListenError(f"can't listen on {settings.host}:{settings.port}: {why}", hint=hint)
