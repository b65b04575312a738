"""`parley demo`: start everything, place three spoken calls at once, check what happened, show it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge_agents.audio.speech_edges import Pcm
from local_stack.business.app import BOOKS
from local_stack.callers.caller import SyntheticCaller
from local_stack.callers.script import Manners, Utterance
from local_stack.calls import CallDirectory, CallOrder, PlacedCall
from local_stack.demo.findings import DemoCall, Finding, check
from local_stack.demo.scripts import CallScript, build_scripts
from local_stack.demo.voices import hear_with_general_model, speak
from local_stack.output import out
from local_stack.paths import state_dir
from local_stack.private_files import make_private_folder, write_private
from local_stack.reporting.html import index_page
from local_stack.reporting.tables import calls_table
from local_stack.stack import EmbeddedStack, StackOptions
from local_stack.state import RunningStack, StateDir
from shared.errors import ParleyError, StackError

_MANNERS = Manners(waits_for_end=True, end_timeout_s=12.0)
_REFRESH_S = 0.25


def run_demo(*, seed: int, out_dir: Path) -> None:
    """Run the demo; ends the program with status 1 when a finding is not as it must be.

    Args:
        seed: decides what the callers say.
        out_dir: its calls and its index.html are replaced.

    Raises:
        ParleyError: it could not be run.
    """
    findings = asyncio.run(_run(seed, out_dir))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


async def _run(seed: int, out_dir: Path) -> list[Finding]:
    console = out()
    console.print(
        f"Three callers are about to ring three agents on this machine (seed {seed}).\n"
        "Starting speech recognition, voices, a rule engine in place of a language model, a broker, two tenants' "
        "booking servers and the agent ..."
    )
    scripts = build_scripts(seed)
    stack = EmbeddedStack(StateDir(state_dir() / "demo"), StackOptions())
    async with stack, aiohttp.ClientSession() as http:
        running = stack.running
        voices = await stack.guard(_speak_all(http, running, scripts))
        console.print(
            "Ready. The callers were given a voice; the agents will hear their audio and nothing else.\n"
        )
        placed = await stack.guard(_place_all(http, running, scripts, voices, out_dir))
        console.print("\nListening to the same callers with the general language model, for comparison ...")
        general = await stack.guard(_hear_all(http, running, voices))
        booked = await _books(http, running)
    calls = [
        DemoCall(script, call, texts) for script, call, texts in zip(scripts, placed, general, strict=True)
    ]
    findings = check(calls, booked)
    index = _write_index(out_dir, seed, calls, findings)
    _show(calls, findings, index, out_dir)
    return findings


async def _speak_all(
    http: aiohttp.ClientSession, stack: RunningStack, scripts: Sequence[CallScript]
) -> list[list[Pcm]]:
    return [
        await speak(
            http,
            tts_url=stack.url("tts"),
            key=stack.engine_key.get_secret_value(),
            voice=script.voice,
            texts=[turn.text for turn in script.turns],
        )
        for script in scripts
    ]


async def _hear_all(
    http: aiohttp.ClientSession, stack: RunningStack, voices: Sequence[Sequence[Pcm]]
) -> list[list[str]]:
    key = stack.engine_key.get_secret_value()
    return [
        await hear_with_general_model(http, stt_url=stack.url("stt"), key=key, utterances=utterances)
        for utterances in voices
    ]


async def _place_all(
    http: aiohttp.ClientSession,
    stack: RunningStack,
    scripts: Sequence[CallScript],
    voices: Sequence[Sequence[Pcm]],
    out_dir: Path,
) -> list[PlacedCall]:
    directory = CallDirectory(stack, http=http)
    _clear(out_dir)
    board = _Board(scripts)

    async def one(script: CallScript, utterances: Sequence[Pcm]) -> PlacedCall:
        order = CallOrder(
            tenant=script.tenant,
            utterances=[
                Utterance(pcm, turn.barge_in_at_s) for pcm, turn in zip(utterances, script.turns, strict=True)
            ],
            spoken_texts=[turn.text for turn in script.turns],
            manners=_MANNERS,
            on_caller=lambda caller: board.dials(script, caller),
        )
        try:
            call = await directory.place(order, out_dir / "{call_id}")
        except ParleyError as error:
            board.ends(script, f"failed: {error.code}")
            raise
        board.ends(script, f"ended ({call.report.end_reason.replace('_', ' ')})")
        return call

    showing = asyncio.create_task(board.show())
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(one(script, spoken)) for script, spoken in zip(scripts, voices, strict=True)
            ]
    except* ParleyError as failures:
        raise failures.exceptions[0] from None
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
    return [task.result() for task in tasks]


class _Board:
    """Live progress: one line a call at a terminal, one line an event elsewhere."""

    def __init__(self, scripts: Sequence[CallScript]) -> None:
        self._scripts = scripts
        self._console = out()
        self._callers: dict[str, SyntheticCaller] = {}
        self._ended: dict[str, str] = {}
        self._last: dict[str, str] = {}

    def dials(self, script: CallScript, caller: SyntheticCaller) -> None:
        self._callers[script.name] = caller

    def ends(self, script: CallScript, how: str) -> None:
        self._ended[script.name] = how

    async def show(self) -> None:
        if not self._console.is_terminal:
            while True:
                self._print_changes()
                await asyncio.sleep(_REFRESH_S)
        with Live(console=self._console, refresh_per_second=4) as live:
            try:
                while True:
                    live.update(self._table())
                    await asyncio.sleep(_REFRESH_S)
            finally:
                live.update(self._table())

    def _state(self, script: CallScript) -> str:
        if how := self._ended.get(script.name):
            return how
        caller = self._callers.get(script.name)
        if caller is None:
            return "dialling"
        turn = min(caller.turns_done + 1, len(script.turns))
        return f'turn {turn} of {len(script.turns)}: "{script.turns[turn - 1].text}"'

    def _print_changes(self) -> None:
        for script in self._scripts:
            state = self._state(script)
            if self._last.get(script.name) != state:
                self._last[script.name] = state
                self._console.print(f"  {script.name}: {state}", markup=False)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        for script in self._scripts:
            table.add_row(Text(f"  {script.name}", style="bold"), Text(self._state(script)))
        return table


async def _books(
    http: aiohttp.ClientSession, stack: RunningStack
) -> Mapping[str, Sequence[Mapping[str, object]]]:
    books: dict[str, Sequence[Mapping[str, object]]] = {}
    for path in BOOKS:
        async with http.get(f"{stack.business_url}{path}") as response:
            response.raise_for_status()
            books[path] = (await response.json())["items"]
    return books


def _write_index(out_dir: Path, seed: int, calls: Sequence[DemoCall], findings: Sequence[Finding]) -> Path:
    rows = [(call.placed.report, f"{call.placed.folder.name}/index.html") for call in calls]
    page = index_page(
        "Three spoken calls",
        f"parley demo --seed {seed}. Callers are synthetic voices; the agents got their audio only.",
        rows,
        [f"{'✓' if finding.ok else '✗'} {finding.text}" for finding in findings],
    )
    path = out_dir / "index.html"
    write_private(path, page)
    return path


def _show(calls: Sequence[DemoCall], findings: Sequence[Finding], index: Path, out_dir: Path) -> None:
    console = out()
    console.print()
    console.print(calls_table([call.placed.report for call in calls]))
    console.print()
    for finding in findings:
        mark, style = ("✓", "green") if finding.ok else ("✗", "bold red")
        console.print(Text(f"  {mark} {finding.text}", style=style))
    booked = next((call for call in calls if any(tool.ok for tool in call.placed.report.tools)), calls[0])
    console.print(f"\nReport: {index}", markup=False)
    console.print("\nNext:")
    parley = _how_to_call_us()
    console.print(f"  {parley} report {out_dir}", markup=False)
    console.print(f"  less {booked.placed.folder / 'call.json'}", markup=False)
    console.print(f"  {parley} demo --seed 2      # other callers", markup=False)


def _how_to_call_us() -> str:
    """The command as it can be typed here: on the path only when the virtual environment is active."""
    if shutil.which("parley"):
        return "parley"
    return os.path.relpath(Path(sys.executable).with_name("parley"))


def _clear(out_dir: Path) -> None:
    """Remove the calls of an earlier demo, and nothing else that may be in the folder."""
    try:
        make_private_folder(out_dir)
        for old in out_dir.glob("call_*"):
            if (old / "call.json").is_file():
                shutil.rmtree(old)
    except OSError as error:
        raise StackError(
            f"can't write to {out_dir}: {error.strerror}", hint="choose another --out"
        ) from error
