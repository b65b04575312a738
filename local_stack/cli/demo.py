"""`parley demo`: three spoken calls at once, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    seed: Annotated[
        int,
        typer.Option(help="What the callers say: another number gives other names, days, times and words."),
    ] = 1,
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", file_okay=False, help="Where recordings, transcripts and the report go."),
    ] = Path("demo-out"),
) -> None:
    """Start everything, place three simultaneous spoken calls, and show what happened.

    One caller books a dentist's appointment, one asks about pizza and
    interrupts, one orders or asks. Needs no keys, no network and no Docker.
    Afterwards `parley report` shows the calls again.
    """
    from local_stack.demo.run import run_demo  # noqa: PLC0415 - keeps --help fast

    run_demo(seed=seed, out_dir=out)
