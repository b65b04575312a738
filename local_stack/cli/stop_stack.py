"""Stop a running stack from another process."""

from __future__ import annotations

import contextlib

import psutil

from local_stack.state import StateDir
from shared.errors import StackError

_STOP_S = 60.0
"""Longer than the slowest part's grace (wiring.py)."""


def stop_stack(state: StateDir) -> bool:
    """Ask the supervisor to stop, wait, and kill it when it does not (its parts end with it).

    Returns:
        False when nothing was running.

    Raises:
        StackError: it belongs to another user.
    """
    stack = state.load()
    if stack is None:
        return False
    try:
        supervisor = psutil.Process(stack.supervisor.pid)
        if not stack.supervisor.is_running():
            return False
        supervisor.terminate()
        try:
            supervisor.wait(_STOP_S)
        except psutil.TimeoutExpired:
            supervisor.kill()
            with contextlib.suppress(psutil.TimeoutExpired):
                supervisor.wait(_STOP_S)
    except psutil.NoSuchProcess:
        pass
    except psutil.AccessDenied:
        raise StackError(
            f"the stack's supervisor (process {stack.supervisor.pid}) belongs to another user"
        ) from None
    state.clear()
    return True
