"""Hold one program on a leash: when whoever started it lets go, the program ends.

    python -I -S leash.py FD GRACE_S PROGRAM [ARGUMENT ...]

FD is one end of a socket pair; the supervisor keeps the other end. The kernel closes that end when the
supervisor dies, however it dies, so nothing is left running even after SIGKILL, on every system (Linux's
"parent death signal" has no like on macOS). An ordinary stop takes the same way: the supervisor closes it.

The program runs in a process group of its own, which is swept at the end, so that its own children go too.
The leash writes the program's process id to FD, and exits with its status (128 + n when signal n ended it).

Only the standard library's cheapest modules: a leash starts in about 20 ms and lives as long as its program.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from types import FrameType

COULD_NOT_START = 127
"""Exit status when the program could not be started (as shells have it)."""


def main(arguments: list[str]) -> int:
    """Run the program given by `arguments` and return the status to exit with."""
    descriptor, grace_s, *argv = arguments
    leash = socket.socket(fileno=int(descriptor))
    leash.set_inheritable(False)
    try:
        program = subprocess.Popen(argv, stdin=subprocess.DEVNULL, process_group=0)
    except OSError as error:
        print(f"cannot start {argv[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return COULD_NOT_START

    def pass_on(number: int, _: FrameType | None) -> None:
        program.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    ended = threading.Event()
    watch = threading.Thread(
        target=_end_when_let_go, args=(leash, program, ended, float(grace_s)), daemon=True
    )
    with contextlib.suppress(OSError):  # let go already: the watch sees that
        leash.sendall(f"{program.pid}\n".encode())
    watch.start()
    status = program.wait()
    ended.set()
    _kill_group(program.pid)
    return status if status >= 0 else 128 - status


def _end_when_let_go(
    leash: socket.socket, program: subprocess.Popen[bytes], ended: threading.Event, grace_s: float
) -> None:
    with contextlib.suppress(OSError):
        while leash.recv(64):
            pass
    program.terminate()
    if not ended.wait(grace_s):
        _kill_group(program.pid)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
