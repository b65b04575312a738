"""The agent's HTTP side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from edge_agents.bootstrap import AgentRuntime
from edge_agents.host.server import agent_app
from edge_agents.settings import AgentSettings
from shared.adapters.local_gate import LocalGate
from shared.contracts.calls import CallAdmitted, CallRefused, CallRequested
from shared.domain.call import RefusalReason
from shared.ids import IdKind, new_id
from shared.media_token import MediaClaims, issue_media_token
from tests.unit.edge_agents.host.desk_parts import Office, office

SECRET = "a secret of at least thirty-two bytes"
START = '{"type":"start","sample_rate":16000}'


@dataclass(frozen=True)
class Served:
    """A server over a desk, and its client."""

    client: TestClient[web.Request, web.Application]
    place: Office

    def address(self, tenant_id: str = "") -> str:
        """A media address with a fresh token."""
        now = datetime.now(UTC)
        claims = MediaClaims(
            tenant_id=tenant_id or self.place.record.tenant.tenant_id,
            agent_id=self.place.record.version.agent_id,
            call_id=new_id(IdKind.CALL),
            exp=now + timedelta(minutes=1),
        )
        return f"/v1/media?token={issue_media_token(claims, SECRET, now)}"

    async def knock(self) -> tuple[int, dict[str, str], str | None]:
        """Ask for a call; the answer in the place of an upgrade."""
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        async with self.client.get(self.address(), headers=upgrade) as response:
            return response.status, await response.json(), response.headers.get("Retry-After")


@asynccontextmanager
async def serving(folder: Path, *, max_calls: int = 2) -> AsyncIterator[Served]:
    settings = AgentSettings(
        media_secret=SecretStr(SECRET),
        endpoints={},
        kafka_bootstrap="127.0.0.1:1",
        spill_dir=folder,
        sealing_key_file=folder,
        agents_dir=folder,
        phrase_dir=folder,
        max_calls=max_calls,
    )
    async with office(folder) as place:
        runtime = AgentRuntime(settings=settings, desk=place.desk, gate=LocalGate(max_calls=max_calls))
        async with TestClient(TestServer(agent_app(runtime))) as client:
            yield Served(client, place)


async def test_health_tells_how_many_calls_there_are_and_may_be(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, served.client.ws_connect(served.address()) as socket:
        await socket.send_str(START)
        assert (await socket.receive_json())["type"] == "ready"
        async with served.client.get("/healthz") as response:
            assert response.status == 200
            body = await response.json()
    assert body == {"status": "ok", "engine": "agent", "active_calls": 1, "max_calls": 2}


async def test_a_process_that_drains_is_not_healthy_and_turns_callers_away(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        await served.place.desk.drain(1.0)
        async with served.client.get("/healthz") as response:
            assert (response.status, (await response.json())["status"]) == (503, "draining")
        status, body, retry_after_s = await served.knock()

    assert (status, body["code"], body["reason"], retry_after_s) == (503, "call_refused", "draining", "2")
    assert served.place.publisher.one(CallRefused).reason is RefusalReason.DRAINING


async def test_a_full_process_turns_callers_away_and_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path, max_calls=1) as served, served.client.ws_connect(served.address()) as socket:
        await socket.send_str(START)
        assert (await socket.receive_json())["type"] == "ready"
        status, body, _ = await served.knock()

        assert (status, body["reason"]) == (503, "at_capacity")
        assert served.place.publisher.one(CallRefused).reason is RefusalReason.AT_CAPACITY
        assert len(served.place.publisher.of(CallRequested)) == 2
        assert len(served.place.publisher.of(CallAdmitted)) == 1


@pytest.mark.parametrize("token", ["", "x.y.z"])
async def test_without_a_valid_token_nothing_is_published(tmp_path: Path, token: str) -> None:
    async with serving(tmp_path) as served:
        async with served.client.get(f"/v1/media?token={token}") as response:
            assert response.status == 401
        assert served.place.publisher.events == []


async def test_what_the_desk_refuses_is_told_after_the_start(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        address = served.address(tenant_id=new_id(IdKind.TENANT))
        async with served.client.ws_connect(address) as socket:
            await socket.send_str(START)
            told = await socket.receive_json()
            assert (await socket.receive()).type is WSMsgType.CLOSE

    assert (told["type"], told["code"], told["reason"]) == ("error", "call_refused", "unknown_tenant")
