"""Call reports as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from local_stack.reporting.call_report import CallReport
from local_stack.reporting.figures import (
    barge_in_stops_ms,
    cost,
    in_words,
    longest,
    median,
    milliseconds,
    speak_to_hear_ms,
    tool_names,
)
from local_stack.reporting.plain_text import for_terminal


def calls_table(reports: Sequence[CallReport]) -> Table:
    """One line a call: how it ended, what the caller waited for (medians), what it cost (rounded for reading)."""
    table = Table(pad_edge=False, box=None)
    table.add_column("call")
    table.add_column("ended")
    for heading in ("length", "turns", "greets", "answers", "stops"):
        table.add_column(heading, justify="right")
    table.add_column("tools", overflow="fold")
    table.add_column("cost", justify="right", no_wrap=True)
    for report in reports:
        cells = (
            report.tenant,
            in_words(report.end_reason),
            f"{report.duration_ms / 1000:.1f} s",
            str(len(report.turns)),
            milliseconds(report.greeting_ms),
            milliseconds(median(speak_to_hear_ms(report))),
            milliseconds(longest(barge_in_stops_ms(report))),
            tool_names(report),
            cost(report),
        )
        # Text: a name in square brackets would be taken for markup
        table.add_row(*(Text(for_terminal(cell)) for cell in cells))
    return table
