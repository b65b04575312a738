"""The parts that `--with livekit` adds: a real livekit-server, and an agent process that answers its rooms."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping, Sequence

from local_stack.servers.build import LIVEKIT
from local_stack.stack import ExtraPart
from local_stack.supervisor.spec import HealthCheck, ProcessSpec, RunningParts
from local_stack.wiring import Wiring
from shared.errors import StackError

API_KEY = "parley-local"
"""LiveKit API key of the local server; its secret is made for each run."""
_START_S = 60.0


def extra_parts(wiring: Wiring) -> Sequence[ExtraPart]:
    """The server and the worker.

    Raises:
        StackError: livekit-server is not built.
    """
    if not LIVEKIT.up_to_date():
        raise StackError(
            "livekit-server is not built",
            hint="Run `make servers SERVERS=livekit` (about 2 minutes, needs Go).",
        )
    server = server_spec(wiring.livekit_secret)

    def rooms_env(parts: RunningParts) -> Mapping[str, str]:
        return {
            **wiring.agent_env(parts),
            "PARLEY_PORT": "0",
            "PARLEY_LIVEKIT_URL": f"ws://127.0.0.1:{parts['livekit'].port}",
            "PARLEY_LIVEKIT_API_KEY": API_KEY,
            "PARLEY_LIVEKIT_API_SECRET": wiring.livekit_secret,
        }

    agent = next(spec for spec in wiring.specs() if spec.name == "agent")
    rooms = ProcessSpec(
        name="rooms",
        argv=(sys.executable, "-m", "edge_agents.main", "rooms"),
        env_from=rooms_env,
        health=HealthCheck(path="/"),
        ready_timeout_s=_START_S,
        # after the agent, so that its start does not compete for the processor with eight others
        depends_on=agent.depends_on | {"livekit", "agent"},
        grace_s=agent.grace_s,
    )
    return (ExtraPart(server), ExtraPart(rooms))


def server_spec(secret: str) -> ProcessSpec:
    """A livekit-server on loopback, on ports that are free now.

    Args:
        secret: of the API key `API_KEY`; at least 32 bytes.
    """
    port, tcp_port, udp_port = _free_ports()
    config = {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "rtc": {
            "tcp_port": tcp_port,
            "udp_port": udp_port,
            "use_external_ip": False,
            "node_ip": "127.0.0.1",
            "enable_loopback_candidate": True,
        },
        "keys": {API_KEY: secret},
        "logging": {"level": "warn"},
    }
    return ProcessSpec(
        name="livekit",
        argv=(str(LIVEKIT.binary),),
        # by environment, not by argument: command lines can be read by every user of a machine
        env={"LIVEKIT_CONFIG": json.dumps(config)},
        announces=False,
        port=port,
        health=HealthCheck(path="/"),
        ready_timeout_s=_START_S,
    )


def _free_ports() -> tuple[int, int, int]:
    """Two TCP ports and a UDP port that are free now; livekit-server can't choose its own."""
    with (
        socket.socket() as first,
        socket.socket() as second,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as third,
    ):
        for probe in (first, second, third):
            probe.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1], third.getsockname()[1]
