"""The command `parley`. Only names and options here: what a command does is imported when it runs."""

from __future__ import annotations

import sys

import typer

from local_stack.cli.call import call
from local_stack.cli.demo import demo
from local_stack.cli.doctor import doctor
from local_stack.cli.down import down
from local_stack.cli.report import report
from local_stack.cli.servers import servers
from local_stack.cli.status import status
from local_stack.cli.up import up
from shared.errors import ParleyError

_TRY = "First steps"
_STACK = "The local stack"

app = typer.Typer(
    name="parley",
    help="""Parley answers telephone calls with a speaking agent.

    New here? `parley demo` places three spoken calls on this machine, without
    keys, network or Docker. `parley doctor` shows what is installed.""",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(rich_help_panel=_TRY)(demo)
app.command(rich_help_panel=_TRY)(report)
app.command(rich_help_panel=_TRY)(doctor)
app.command(rich_help_panel=_STACK)(up)
app.command(rich_help_panel=_STACK)(call)
app.command(rich_help_panel=_STACK)(status)
app.command(rich_help_panel=_STACK)(down)
app.command(rich_help_panel=_STACK)(servers)


def run() -> None:
    """Entry point. Errors are one line and a hint; a traceback never reaches the terminal.

    Raises:
        SystemExit: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    try:
        app()
    except ParleyError as error:
        from local_stack.output import show_error  # noqa: PLC0415 - rich is slow to import

        show_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the process's edge
        from local_stack.output import show_unexpected  # noqa: PLC0415
        from local_stack.paths import state_dir  # noqa: PLC0415

        show_unexpected(error, state_dir() / "logs")
        sys.exit(1)


if __name__ == "__main__":
    run()
