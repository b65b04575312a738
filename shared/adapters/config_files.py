"""Published agents from a folder, one sub-folder per tenant. All files are read when the store is made.

    agents/
      harbor-clinic/        the tenant's slug
        tenant.toml         TenantFile
        agent.toml          AgentConfig (shared/domain/agent.py)

One broken tenant does not take the others down: it is left out of `all`, and whoever asks for it is told what
is wrong.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

from shared.adapters.clock import SystemClock
from shared.adapters.config_problems import Problem, config_error, problems_of
from shared.domain.agent import AgentConfig, AgentVersion
from shared.domain.tenant import Tenant
from shared.errors import AgentConfigError, InvalidInputError, UnknownTenantError
from shared.ports import AgentRecord, Clock
from shared.pricing.agent_items import unpriced_choices
from shared.pricing.catalogue import PriceCatalogue, packaged_catalogue

_TENANT_FILE: Final = "tenant.toml"
_AGENT_FILE: Final = "agent.toml"
_MAX_FILE_BYTES: Final = 1_048_576
_MAX_HINTED: Final = 20
_NO_PRICE: Final = "has no price in the catalogue ({}/{}), so that limits.spend_usd could not be held"
_PLACEHOLDER: Final = re.compile(r"\$\{([^}]*)\}")


class TenantFile(Tenant):
    """What `tenant.toml` holds: the tenant, and the ids under which its agent is published."""

    agent_id: str = Field(pattern=r"^agt_[0-9A-HJKMNP-TV-Z]{26}$")
    """The tenant's one agent."""
    version_id: str = Field(pattern=r"^ver_[0-9A-HJKMNP-TV-Z]{26}$")
    """The version that `agent.toml` is."""
    version_number: int = Field(default=1, ge=1)
    """Its number."""

    def tenant(self) -> Tenant:
        """The tenant alone."""
        return Tenant(**{name: getattr(self, name) for name in Tenant.model_fields})


class FileConfigStore:
    """ConfigStore over a folder.

    Args:
        folder: holds the tenants' folders.
        placeholders: what `${NAME}` in a tool's `url` stands for.
        catalogue: has the prices without which a spend limit can't be held; None is the packaged one.
        clock: says which prices hold.

    Raises:
        InvalidInputError: there is no such folder.
    """

    def __init__(
        self,
        folder: Path,
        placeholders: Mapping[str, str] | None = None,
        *,
        catalogue: PriceCatalogue | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not folder.is_dir():
            raise InvalidInputError(
                f"the agents folder does not exist: {folder}",
                hint="PARLEY_AGENTS_DIR must name a folder with one folder per tenant.",
            )
        self._placeholders = dict(placeholders or {})
        self._catalogue = catalogue or packaged_catalogue()
        self._clock = clock or SystemClock()
        self._records: dict[str, AgentRecord] = {}
        self._problems: dict[str, AgentConfigError] = {}
        self._slugs: dict[str, str] = {}
        """tenant_id -> slug, for every tenant.toml that could be read."""
        for path in sorted(folder.iterdir()):
            if (path / _TENANT_FILE).exists() or (path / _AGENT_FILE).exists():
                self._load(path)

    def all(self) -> tuple[AgentRecord, ...]:
        """Every tenant whose files are in order, by slug."""
        return tuple(self._records.values())

    def problems(self) -> Mapping[str, AgentConfigError]:
        """Slug -> what is wrong, for every tenant whose files are not in order."""
        return dict(self._problems)

    def by_slug(self, slug: str) -> AgentRecord:
        """The agent of the tenant with that slug.

        Raises:
            UnknownTenantError: no such folder; the hint lists those that exist.
            AgentConfigError: its files can't be read; `data["fields"]` names each bad field.
        """
        if slug in self._problems:
            raise self._problems[slug]
        record = self._records.get(slug)
        if record is None:
            raise self._unknown()
        return record

    async def agent_for_call(self, *, tenant_id: str, agent_id: str, caller: str = "") -> AgentRecord:
        """The agent that a call runs; from memory. There is one version, so `caller` splits nothing.

        Raises:
            UnknownTenantError: no such tenant, or the agent is not that tenant's (nobody is told which).
            AgentConfigError: the tenant's files can't be read.
        """
        slug = self._slugs.get(tenant_id)
        if slug is None:
            raise self._unknown()
        record = self.by_slug(slug)
        if record.version.agent_id != agent_id:
            raise self._unknown()
        return record

    def _unknown(self) -> UnknownTenantError:
        known = sorted({*self._records, *self._problems})
        more = ", …" if len(known) > _MAX_HINTED else ""
        hint = (
            f"Known tenants: {', '.join(known[:_MAX_HINTED])}{more}"
            if known
            else "The folder has no tenants."
        )
        return UnknownTenantError("no such tenant or agent", hint=hint)

    def _load(self, path: Path) -> None:
        slug = path.name
        try:
            tenant = _read_tenant(path)
            self._check_new(tenant, slug)
            self._slugs[tenant.tenant_id] = slug
            config = self._read_agent(path)
        except AgentConfigError as error:
            self._problems[slug] = error
            return
        version = AgentVersion(
            agent_id=tenant.agent_id,
            version_id=tenant.version_id,
            number=tenant.version_number,
            config=config,
        )
        self._records[slug] = AgentRecord(tenant=tenant.tenant(), version=version)

    def _check_new(self, tenant: TenantFile, slug: str) -> None:
        file = f"{slug}/{_TENANT_FILE}"
        if tenant.slug != slug:
            raise config_error(file, [Problem("slug", "must be the name of its folder")])
        if tenant.tenant_id in self._slugs:
            raise config_error(file, [Problem("tenant_id", "is another tenant's already")])
        if any(tenant.agent_id == record.version.agent_id for record in self._records.values()):
            raise config_error(file, [Problem("agent_id", "is another tenant's already")])

    def _read_agent(self, path: Path) -> AgentConfig:
        file = f"{path.name}/{_AGENT_FILE}"
        fields = _read_toml(path / _AGENT_FILE, file)
        problems = self._substitute(fields)
        try:
            config = AgentConfig.model_validate(fields)
        except ValidationError as error:
            named = {problem.field for problem in problems}
            found = [problem for problem in problems_of(error, AgentConfig) if problem.field not in named]
            raise config_error(file, problems + found) from None
        problems += self._price_problems(config)
        if problems:
            raise config_error(file, problems)
        return config

    def _price_problems(self, config: AgentConfig) -> list[Problem]:
        """Choices without a price, where the tenant set what a call may cost: that limit would not hold."""
        if "spend_usd" not in config.limits.model_fields_set:
            return []
        unpriced = unpriced_choices(config, self._catalogue, self._clock.now())
        return [Problem(choice.field, _NO_PRICE.format(choice.provider, choice.sku)) for choice in unpriced]

    def _substitute(self, fields: dict[str, Any]) -> list[Problem]:
        """Replace placeholders in the tools' URLs, in place."""
        problems: list[Problem] = []
        tools = fields.get("tools")
        for position, tool in enumerate(tools if isinstance(tools, list) else []):
            if not isinstance(tool, dict) or not isinstance(tool.get("url"), str):
                continue
            unknown = [name for name in _PLACEHOLDER.findall(tool["url"]) if name not in self._placeholders]
            if unknown:
                known = ", ".join(f"${{{name}}}" for name in sorted(self._placeholders)) or "none"
                reason = f"uses ${{{unknown[0]}}}, which has no value here (known: {known})"
                problems.append(Problem(f"tools.{position}.url", reason))
            else:
                tool["url"] = _PLACEHOLDER.sub(lambda match: self._placeholders[match[1]], tool["url"])
        return problems


def _read_tenant(path: Path) -> TenantFile:
    file = f"{path.name}/{_TENANT_FILE}"
    try:
        return TenantFile.model_validate(_read_toml(path / _TENANT_FILE, file))
    except ValidationError as error:
        raise config_error(file, problems_of(error, TenantFile)) from None


def _read_toml(path: Path, file: str) -> dict[str, Any]:
    """Read a TOML file of at most 1 MiB, or say in one problem why not."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            reason = f"is longer than {_MAX_FILE_BYTES} bytes"
        else:
            return tomllib.loads(data.decode())
    except FileNotFoundError:
        reason = "is missing"
    except OSError as error:
        reason = f"can't be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "is not UTF-8 text"
    except RecursionError:
        reason = "is nested too deeply"
    except tomllib.TOMLDecodeError as error:
        reason = f"is not valid TOML: {error}"
    raise config_error(file, [Problem(path.name, reason)])
