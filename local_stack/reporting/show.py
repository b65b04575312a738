"""`parley report DIR`: what calls left behind, read back from their call.json files."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from local_stack.output import out
from local_stack.reporting.call_report import CallReport, ReportTurn
from local_stack.reporting.plain_text import for_terminal
from local_stack.reporting.tables import calls_table
from shared.errors import StackError


def show_report(*, folder: Path) -> None:
    """Print the calls in a folder: a table, then each call's transcript and costs.

    Raises:
        StackError: there are none, or one can't be read.
    """
    files = sorted({*folder.glob("call.json"), *folder.glob("*/call.json")})
    if not files:
        raise StackError(f"there is no call in {folder}", hint="`parley demo` makes three.")
    reports = [_read(file) for file in files]
    console = out()
    console.print(calls_table(reports))
    for report in reports:
        title = f"{report.tenant} · {report.call_id}"
        console.print()
        console.print(Text(for_terminal(title), style="bold"))
        _print_transcript(console, report)
        for line in report.usage:
            used = f"{line.provider} {line.sku}: {line.quantity:f} {line.unit}"
            console.print(Text(f"    {for_terminal(used)} x {line.unit_price_usd:f} = ${line.amount_usd:f}"))
        if report.unpriced:
            console.print(
                Text(f"    without a price, not in the cost: {for_terminal(', '.join(report.unpriced))}")
            )
    for page in sorted({*folder.glob("index.html"), *folder.glob("*/index.html")}):
        console.print(Text(str(page)))


def _print_transcript(console: Console, report: CallReport) -> None:
    for speech in report.in_order():
        if isinstance(speech, ReportTurn):
            console.print(Text(f"  caller: {for_terminal(speech.caller_text)}"))
        cut = "  [interrupted]" if speech.interrupted else ""
        console.print(Text(f"  agent : {for_terminal(speech.agent_text)}{cut}"))


def _read(file: Path) -> CallReport:
    try:
        return CallReport.model_validate_json(file.read_bytes())
    except (ValidationError, OSError):
        raise StackError(
            f"{file} is not a call report of this version",
            hint="`parley call` and `parley demo` write new ones.",
        ) from None
