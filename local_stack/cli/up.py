"""`parley up`: run the local stack until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def up(
    *,
    with_: Annotated[
        list[str] | None, typer.Option("--with", metavar="PART", help="Also start a part such as livekit.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when it is ready and keep it running.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port for callers; 0 takes a free one.")] = 0,
    agents: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of agents to serve instead of the three samples."),
    ] = None,
    llm_url: Annotated[
        str, typer.Option(envvar="PARLEY_LLM_URL", help="OpenAI-compatible URL instead of the rule engine.")
    ] = "",
    llm_key: Annotated[str, typer.Option(envvar="PARLEY_LLM_KEY", help="Its API key.")] = "",
    llm_model: Annotated[
        str, typer.Option(envvar="PARLEY_LLM_MODEL", help="Its model, for all agents.")
    ] = "",
) -> None:
    """Start the whole system on this machine and keep it running until Ctrl-C.

    Speech, a rule engine as language model, events and the sample tenants'
    booking server all run here: no keys, no network, no Docker.
    Place calls from another terminal with `parley call`.
    """
    from local_stack.cli.run_stack import detached, in_foreground, llm_target  # noqa: PLC0415 - keeps --help fast
    from local_stack.paths import TENANTS  # noqa: PLC0415
    from local_stack.stack import StackOptions  # noqa: PLC0415

    options = StackOptions(
        agent_port=port,
        llm=llm_target(url=llm_url, key=llm_key, model=llm_model),
        agents=agents.absolute() if agents else TENANTS,
        extras=tuple(with_ or ()),
    )
    if detach:
        detached(options)
    else:
        in_foreground(options)
