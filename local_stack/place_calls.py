"""`parley call`: one call with recorded speech, on the running stack or on a temporary one."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from ulid import ULID

from local_stack.callers.script import Utterance
from local_stack.callers.wav import load_utterance
from local_stack.calls import CallDirectory, CallOrder, PlacedCall
from local_stack.output import out
from local_stack.paths import TENANTS, state_dir
from local_stack.reporting.tables import calls_table
from local_stack.servers.build import LIVEKIT
from local_stack.stack import EmbeddedStack, StackOptions
from local_stack.state import RunningStack, StateDir
from shared.adapters.config_files import FileConfigStore
from shared.errors import StackError

_CALL_FOLDERS_KEPT = 3
"""Folders of earlier calls (logs) that stay when a new one is made."""


def place_calls(
    *, tenant: str, wavs: Sequence[Path], media: str, barge_in_at_s: float | None, out_dir: Path
) -> None:
    """Place the call and show what happened.

    Args:
        tenant: slug.
        wavs: one file per turn.
        media: `ws` or `livekit`.
        barge_in_at_s: the last file starts so long into the agent's answer; None waits for it to end.
        out_dir: gets call.json, recording.wav and index.html.

    Raises:
        ParleyError: it could not be placed.
    """
    utterances = [Utterance(load_utterance(wav)) for wav in wavs]
    if barge_in_at_s is not None:
        utterances[-1] = Utterance(utterances[-1].pcm, barge_in_at_s)
    placed = asyncio.run(_place(CallOrder(tenant=tenant, utterances=utterances, media=media), out_dir))
    console = out()
    console.print(calls_table([placed.report]))
    for turn in placed.report.turns:
        console.print(f"  caller: {turn.caller_text}", markup=False)
        console.print(f"  agent : {turn.agent_text}", markup=False)
    console.print(f"Report: {placed.folder / 'index.html'}", markup=False)
    if placed.caller.unanswered:
        raise StackError(
            f"{placed.caller.unanswered} of {len(placed.caller.turns)} turns got no answer",
            hint="the report shows which; a recording may hold no speech",
        )


async def _place(order: CallOrder, out_dir: Path) -> PlacedCall:
    running = StateDir(state_dir()).load()
    if running is not None:
        return await _on(running, order, out_dir)
    # an unknown tenant is told of before anything is built or started; the address is never called
    FileConfigStore(TENANTS, placeholders={"BUSINESS_URL": "http://127.0.0.1:9"}).by_slug(order.tenant)
    if order.media == "livekit":
        await asyncio.to_thread(LIVEKIT.build, lambda line: out().print(line, markup=False))
    extras = ("livekit",) if order.media == "livekit" else ()
    out().print("No stack is running here: starting one for this call ...")
    async with EmbeddedStack(StateDir(_folder_for_one_call()), StackOptions(extras=extras)) as stack:
        return await stack.guard(_on(stack.running, order, out_dir))


def _folder_for_one_call() -> Path:
    """A folder of its own, so that calls may be placed side by side and logs can be read after a failure.

    The newest ones are kept; one whose stack still runs is never removed, however old it is.
    """
    parent = state_dir() / "call"
    earlier = sorted(path for path in parent.glob("*") if path.is_dir())
    for folder in earlier[: -_CALL_FOLDERS_KEPT or None]:
        with contextlib.suppress(StackError, OSError), StateDir(folder).claim():
            shutil.rmtree(folder, ignore_errors=True)
    return parent / str(ULID())


async def _on(running: RunningStack, order: CallOrder, out_dir: Path) -> PlacedCall:
    if order.media == "livekit" and "livekit" not in running.parts:
        raise StackError(
            "the running stack has no LiveKit server", hint="Start it with `parley up --with livekit`."
        )
    async with aiohttp.ClientSession() as http:
        directory = CallDirectory(running, http=http)
        directory.agent(order.tenant)  # an unknown tenant is told of before anything rings
        out().print(f"Calling {order.tenant} ...")
        return await directory.place(order, out_dir)
