"""Agents are published as files, and the recogniser learns their words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from local_stack.agents import publish_agents, read_agents, register_languages
from local_stack.paths import TENANTS
from shared.errors import AgentConfigError, StackError

BUSINESS = "http://127.0.0.1:9"


@dataclass
class FakeRecogniser:
    """Takes languages as the local STT engine does."""

    status: int = 200
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)

    def app(self) -> web.Application:
        async def put(request: web.Request) -> web.Response:
            self.taken[request.match_info["agent"]] = await request.json()
            self.keys.add(request.headers["Authorization"])
            return web.json_response({"error": "too long"}, status=self.status)

        app = web.Application()
        app.router.add_put("/local/language-models/{agent}", put)
        return app


@pytest.fixture
async def recogniser() -> AsyncIterator[tuple[FakeRecogniser, str]]:
    fake = FakeRecogniser()
    async with TestServer(fake.app()) as server:
        yield fake, str(server.make_url("")).rstrip("/")


def test_the_sample_agents_are_in_order() -> None:
    store = read_agents(TENANTS, business_url=BUSINESS)
    records = store.all()
    assert [record.tenant.slug for record in records] == ["dental", "pizza", "rooms"]
    for record in records:
        config = record.version.config
        assert 8 <= len(config.knowledge) <= 15
        assert len(config.tools) == 1
        assert str(config.tools[0].url).startswith(BUSINESS)
        questions = [prop["description"] for prop in config.tools[0].parameters["properties"].values()]
        assert all(question.endswith("?") for question in questions)
    assert len({record.version.config.tts[0].voice for record in records}) == 3


def test_sample_agents_are_written_in_words_that_can_be_spoken() -> None:
    for record in read_agents(TENANTS, business_url=BUSINESS).all():
        config = record.version.config
        spoken = [
            config.greeting,
            *(text for item in config.knowledge for text in (item.question, item.answer)),
        ]
        for text in spoken:
            assert not any(character.isdigit() or character in "$%&/*#_" for character in text), text


def test_another_model_takes_the_rule_engines_place_in_every_agent(tmp_path: Path) -> None:
    publish_agents(TENANTS, tmp_path / "agents", model='qwen "3"')
    for record in read_agents(tmp_path / "agents", business_url=BUSINESS).all():
        assert [choice.model for choice in record.version.config.llm] == ['qwen "3"']


def test_publishing_replaces_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "agents"
    (target / "old").mkdir(parents=True)
    (target / "old" / "tenant.toml").write_text("")
    publish_agents(TENANTS, target)
    assert sorted(path.name for path in target.iterdir()) == ["dental", "pizza", "rooms"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="there is no folder of agents"):
        publish_agents(tmp_path / "none", tmp_path / "agents")


def test_a_malformed_agent_is_an_error_that_names_the_tenant(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "tenant.toml").write_text("slug = 'shop'")
    with pytest.raises(AgentConfigError, match="shop"):
        read_agents(tmp_path, business_url=BUSINESS)


async def test_the_recogniser_is_given_every_agents_texts(recogniser: tuple[FakeRecogniser, str]) -> None:
    fake, url = recogniser
    versions = [record.version for record in read_agents(TENANTS, business_url=BUSINESS).all()]
    await register_languages(versions, stt_url=url, key="local-key")
    assert set(fake.taken) == {version.agent_id for version in versions}
    rooms = fake.taken[versions[2].agent_id]
    assert "mountain view" in rooms["keyterms"]
    assert versions[2].config.greeting in rooms["texts"]
    assert fake.keys == {"Token local-key"}


async def test_a_recogniser_that_refuses_a_language_stops_the_start(
    recogniser: tuple[FakeRecogniser, str],
) -> None:
    fake, url = recogniser
    fake.status = 422
    versions = [record.version for record in read_agents(TENANTS, business_url=BUSINESS).all()]
    with pytest.raises(StackError, match=r"refused the language of Emma \(422\)"):
        await register_languages(versions, stt_url=url, key="k")


async def test_a_recogniser_that_is_away_stops_the_start(unused_tcp_port: int) -> None:
    versions = [record.version for record in read_agents(TENANTS, business_url=BUSINESS).all()]
    with pytest.raises(StackError, match="did not take the language"):
        await register_languages(versions, stt_url=f"http://127.0.0.1:{unused_tcp_port}", key="k")
