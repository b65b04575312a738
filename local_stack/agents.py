"""Put agents where the agent process reads them, and teach the recogniser their language."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import aiohttp

from local_stack.wiring import LOCAL_MODEL
from shared.adapters.config_files import FileConfigStore
from shared.domain.agent import AgentVersion
from shared.errors import StackError

_REGISTER_TIMEOUT_S = 120.0
"""Building one language takes seconds; all are built at once on a small machine."""


def publish_agents(source: Path, target: Path, *, model: str = LOCAL_MODEL) -> None:
    """Copy tenants' folders, replacing what was published before.

    Args:
        source: one folder per tenant, with tenant.toml and agent.toml.
        target: emptied and filled.
        model: takes the place of the rule engine's model name in every agent.

    Raises:
        StackError: `source` is no folder.
    """
    if not source.is_dir():
        raise StackError(
            f"there is no folder of agents at {source}",
            hint="Name a folder with one folder per tenant, such as local_stack/tenants.",
        )
    shutil.rmtree(target, ignore_errors=True)
    for file in sorted(source.glob("*/*.toml")):
        copy = target / file.parent.name / file.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text(encoding="utf-8")
        copy.write_text(text.replace(f'"{LOCAL_MODEL}"', json.dumps(model)), encoding="utf-8")


def read_agents(folder: Path, *, business_url: str) -> FileConfigStore:
    """Read published agents as the agent process does.

    Raises:
        AgentConfigError: a tenant's files can't be read; names each bad field.
    """
    store = FileConfigStore(folder, {"BUSINESS_URL": business_url})
    for problem in store.problems().values():
        raise problem
    return store


async def register_languages(versions: Iterable[AgentVersion], *, stt_url: str, key: str) -> None:
    """Give the local recogniser each agent's published texts, so that it knows the words callers will use.

    Args:
        versions: the agents.
        stt_url: base URL of the local STT engine.
        key: its key.

    Raises:
        StackError: the engine refused or did not answer.
    """
    timeout = aiohttp.ClientTimeout(total=_REGISTER_TIMEOUT_S)
    headers = {"Authorization": f"Token {key}"}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        for version in versions:
            config = version.config
            url = f"{stt_url}/local/language-models/{version.agent_id}"
            body = {"texts": list(config.published_texts()), "keyterms": list(config.keyterms)}
            try:
                async with session.put(url, json=body) as response:
                    if response.status >= 300:
                        raise StackError(
                            f"the recogniser refused the language of {config.name} ({response.status})",
                            hint=(await response.text())[:200],
                        )
            except (aiohttp.ClientError, TimeoutError) as error:
                raise StackError(
                    f"the recogniser did not take the language of {config.name}: {type(error).__name__}"
                ) from error
