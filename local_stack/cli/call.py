"""`parley call`: place a call on the running stack."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class MediaChoice(StrEnum):
    """How the caller's audio travels."""

    WS = "ws"
    LIVEKIT = "livekit"


def call(
    wav: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="What the caller says, one WAV file per turn; repeat for more."),
    ],
    tenant: Annotated[
        str, typer.Option(metavar="NAME", help="Whom to call: dental, pizza or rooms.")
    ] = "rooms",
    media: Annotated[MediaChoice, typer.Option(help="WebSocket, or a LiveKit room.")] = MediaChoice.WS,
    barge_in_at: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="Start the last file so long into the agent's answer."),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", file_okay=False, help="Where recording, transcript and report go."),
    ] = Path("call-out"),
) -> None:
    """Call a tenant's agent with recorded speech; writes a recording, the transcript and every latency.

    Uses the stack that `parley up` started here, or starts one for this call.
    """
    from local_stack.place_calls import place_calls  # noqa: PLC0415 - keeps --help fast

    place_calls(tenant=tenant, wavs=wav, media=media.value, barge_in_at_s=barge_in_at, out_dir=out)
