"""What `parley up` does: in this terminal, or in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import typer
from rich.table import Table

from local_stack.output import out
from local_stack.paths import state_dir
from local_stack.stack import EmbeddedStack, StackOptions
from local_stack.state import RunningStack, StateDir
from local_stack.supervisor.logs import last_line
from local_stack.supervisor.signals import until_signal
from local_stack.wiring import LlmTarget
from shared.errors import StackError

_DETACHED_START_S = 180.0
_LOOK_EVERY_S = 0.1


def llm_target(*, url: str, key: str, model: str) -> LlmTarget | None:
    """The server that replaces the rule engine; None when no URL is given.

    Raises:
        StackError: a URL without a model, or a model without a URL.
    """
    if not url and not model:
        return None
    if not url or not model:
        raise StackError(
            "--llm-url and --llm-model go together",
            hint="Example: --llm-url http://127.0.0.1:11434/v1 --llm-model NAME",
        )
    if not url.startswith(("http://", "https://")):
        raise StackError(
            "--llm-url must start with http:// or https://",
            hint="Example: --llm-url http://127.0.0.1:11434/v1 --llm-model NAME",
        )
    return LlmTarget(url=url.rstrip("/"), key=key or "none", model=model)


def in_foreground(options: StackOptions) -> None:
    """Run the stack until a signal; Ctrl-C ends with status 130, SIGTERM (`parley down`) with 0.

    Raises:
        StackError: it did not start, or a part failed.
    """
    received = asyncio.run(until_signal(_run(options)))
    out().print("Stopped.")
    if received is signal.SIGINT:
        raise typer.Exit(130)


async def _run(options: StackOptions) -> None:
    out().print("Starting ...")
    async with EmbeddedStack(StateDir(state_dir()), options) as stack:
        show_stack(stack.running)
        out().print("Press Ctrl-C to stop.")
        await stack.wait()


def detached(options: StackOptions) -> None:
    """Start `parley up` in a process of its own and return when it is ready.

    Raises:
        StackError: it did not become ready; its log says why.
    """
    state = StateDir(state_dir())
    state.prepare()
    if state.load() is not None:
        raise StackError(f"a stack runs already in {state.path}", hint="`parley down` stops it.")
    log = state.logs / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local_stack.cli.main", "up", *command_line(options)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(options),
            start_new_session=True,
        )
    try:
        stack = _wait_until_ready(process, state, log)
    except BaseException:
        process.terminate()
        raise
    show_stack(stack)
    out().print("It keeps running. `parley down` stops it.")


def _wait_until_ready(process: subprocess.Popen[bytes], state: StateDir, log: Path) -> RunningStack:
    deadline_s = time.monotonic() + _DETACHED_START_S
    while time.monotonic() < deadline_s:
        stack = state.load()
        if stack is not None and stack.supervisor.pid == process.pid:
            return stack
        if process.poll() is not None:
            break
        time.sleep(_LOOK_EVERY_S)
    raise StackError(f"the stack did not start: {_reason(log)}", hint=f"Its output is in {log}.")


def _reason(log: Path) -> str:
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("error["):
            return line.partition(": ")[2][:300]
    return last_line(log) or "it said nothing"


def command_line(options: StackOptions) -> list[str]:
    """Arguments of a detached `parley up`: everything but the model, see `environment`."""
    arguments = ["--port", str(options.agent_port), "--agents", str(options.agents)]
    for name in options.extras:
        arguments += ["--with", name]
    return arguments


def environment(options: StackOptions) -> dict[str, str]:
    """The key travels in the environment: a command line can be read by everyone on the machine."""
    env = dict(os.environ)
    if options.llm is not None:
        env |= {
            "PARLEY_LLM_URL": options.llm.url,
            "PARLEY_LLM_KEY": options.llm.key,
            "PARLEY_LLM_MODEL": options.llm.model,
        }
    return env


def show_stack(stack: RunningStack) -> None:
    """Print where everything is."""
    table = Table(box=None, pad_edge=False)
    for heading in ("part", "pid", "address", "log"):
        table.add_column(heading)
    for name, part in stack.parts.items():
        address = f"127.0.0.1:{part.port}" if part.port else stack.kafka_bootstrap
        table.add_row(name, str(part.pid), address, str(part.log))
    out().print(table)
    out().print(f"Replies come from {stack.llm}.")
