"""Agents from files: what is read, and how what can't be read is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.adapters.config_files import FileConfigStore
from shared.errors import AgentConfigError, InvalidInputError, UnknownTenantError
from shared.ids import IdKind, new_id
from shared.ports import AgentRecord

AGENT = """
name = "Ada"
greeting = "Hello!"
instructions = "Be brief."
"""

LIMITED = '[limits]\nspend_usd = "1.00"\n'

TOOL = """
[[tools]]
name = "book"
description = "Books."
url = "${BUSINESS_URL}/book"
[tools.parameters]
type = "object"
"""


def write_tenant(folder: Path, directory: str, agent: str | bytes | None = AGENT, **changes: Any) -> None:
    fields: dict[str, object] = {
        "tenant_id": new_id(IdKind.TENANT),
        "slug": directory,
        "name": directory.title(),
        "tier": "starter",
        "isolation": "pool",
        "agent_id": new_id(IdKind.AGENT),
        "version_id": new_id(IdKind.AGENT_VERSION),
        "version_number": 3,
        **changes,
    }
    path = folder / directory
    path.mkdir()
    lines = [
        f"{name} = {value!r}" if isinstance(value, int) else f'{name} = "{value}"'
        for name, value in fields.items()
        if value is not None
    ]
    (path / "tenant.toml").write_text("\n".join(lines))
    if agent is not None:
        (path / "agent.toml").write_bytes(agent if isinstance(agent, bytes) else agent.encode())


def problem(folder: Path, slug: str = "acme", **placeholders: str) -> AgentConfigError:
    with pytest.raises(AgentConfigError) as raised:
        FileConfigStore(folder, placeholders).by_slug(slug)
    assert raised.value.message.startswith(f"{slug}/")
    assert raised.value.__cause__ is None
    return raised.value


async def asked(store: FileConfigStore, record: AgentRecord) -> AgentRecord:
    return await store.agent_for_call(
        tenant_id=record.tenant.tenant_id, agent_id=record.version.agent_id, caller="x"
    )


async def test_a_tenant_and_its_agent_are_read(tmp_path: Path) -> None:
    write_tenant(tmp_path, "acme", AGENT + TOOL)
    store = FileConfigStore(tmp_path, {"BUSINESS_URL": "http://127.0.0.1:8123"})
    record = store.by_slug("acme")
    assert (record.tenant.slug, record.tenant.tier, record.tenant.isolation) == ("acme", "starter", "pool")
    assert (record.version.number, record.version.config.greeting) == (3, "Hello!")
    assert str(record.version.config.tools[0].url) == "http://127.0.0.1:8123/book"
    assert await asked(store, record) == record
    assert store.all() == (record,)
    assert store.problems() == {}


def test_other_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    write_tenant(tmp_path, "acme")
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "assets").mkdir()
    assert [record.tenant.slug for record in FileConfigStore(tmp_path).all()] == ["acme"]


async def test_an_agent_of_another_tenant_is_refused_like_an_unknown_one(tmp_path: Path) -> None:
    for slug in ("acme", "other"):
        write_tenant(tmp_path, slug)
    store = FileConfigStore(tmp_path)
    mine, theirs = store.by_slug("acme"), store.by_slug("other")
    unknown = new_id(IdKind.TENANT)
    errors = []
    for tenant_id, agent_id in [
        (mine.tenant.tenant_id, theirs.version.agent_id),
        (unknown, mine.version.agent_id),
        (mine.tenant.tenant_id, new_id(IdKind.AGENT)),
    ]:
        with pytest.raises(UnknownTenantError) as raised:
            await store.agent_for_call(tenant_id=tenant_id, agent_id=agent_id)
        errors.append((raised.value.message, raised.value.hint))
    assert len(set(errors)) == 1


def test_an_unknown_slug_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    for slug in ("pizza", "dental"):
        write_tenant(tmp_path, slug)
    with pytest.raises(UnknownTenantError) as raised:
        FileConfigStore(tmp_path).by_slug("piza")
    assert raised.value.hint == "Known tenants: dental, pizza"


def test_a_folder_without_tenants_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnknownTenantError) as raised:
        FileConfigStore(tmp_path).by_slug("acme")
    assert "no tenants" in raised.value.hint


def test_a_folder_that_does_not_exist_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="does not exist"):
        FileConfigStore(tmp_path / "missing")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('greeting = "Hi"\ninstructions = "x"', {"name": "is missing"}),
        (AGENT + "[limits]\nminutes = 0\nturns = 1.5", {
            "limits.minutes": "must be greater than 0",
            "limits.turns": "must be a whole number",
        }),
        (AGENT + 'greting = "Hi"', {"greting": "is not a field that exists; did you mean greeting?"}),
        (AGENT + "[turn]\nmin_delay = 1", {
            "turn.min_delay": "is not a field that exists; did you mean min_delay_s?"
        }),
        (AGENT + 'language = "English"', {"language": "must match the pattern ^[a-z]{2}(-[A-Z]{2})?$"}),
        ('name = ""\ngreeting = "Hi"\ninstructions = 3', {
            "name": "must not be empty",
            "instructions": "must be text",
        }),
        (AGENT + "limits = 3", {"limits": "must be a table"}),
        (AGENT + 'keyterms = "x"', {"keyterms": "must be a list"}),
        (AGENT + "stt = []", {"stt": "must have at least 1 entries"}),
        (AGENT + '[[tts]]\nprovider = "acme-voices"', {
            "tts.0.provider": "must be 'deepgram', 'elevenlabs' or 'azure'"
        }),
        (AGENT + '[[llm]]\nprovider = "openai-compatible"', {
            "llm.0": "base_url goes with provider openai-compatible, and only with it"
        }),
        (AGENT + "[turn]\nmin_delay_s = nan", {"turn.min_delay_s": "must be a finite number"}),
        (AGENT + '[limits]\nspend_usd = "lots"', {"limits.spend_usd": 'must be an amount, such as "2.00"'}),
        (AGENT + 'built_in_tools = ["transfer_call"]', {
            "transfer_targets": "breaks a rule: transfer_call needs transfer_targets"
        }),
        (AGENT + TOOL.replace("${BUSINESS_URL}", "business") , {
            "tools.0.url": "must be a URL, such as https://example.com/path"
        }),
        (AGENT + TOOL.replace("object", "array"), {
            "tools.0.parameters": "must be a JSON Schema of type object"
        }),
        (AGENT + TOOL + "\nrequired = 3", {
            "tools.0.parameters": "is not valid JSON Schema (draft 2020-12), see required"
        }),
        (AGENT + LIMITED + '[[llm]]\nmodel = "llama"\n[[llm]]\nmodel = "gpt-4.1-mini"\n[[tts]]\nvoice = "voice"', {
            "llm.0.model": "has no price in the catalogue (openai/llama), so that limits.spend_usd could not be held",
            "tts.0.voice": "has no price in the catalogue (deepgram/voice), so that limits.spend_usd could not be held",
        }),
        (AGENT + TOOL + "\n[tools.parameters.properties.day]\ndefault = 2026-03-14", {
            "tools.0.parameters": "holds a value that JSON does not have (a date, nan or inf)"
        }),
        (AGENT + TOOL.replace("BUSINESS_URL", "BUSINES_URL"), {
            "tools.0.url": "uses ${BUSINES_URL}, which has no value here (known: ${BUSINESS_URL})"
        }),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_every_bad_field_is_named_with_its_reason(
    tmp_path: Path, text: str, expected: dict[str, str]
) -> None:
    write_tenant(tmp_path, "acme", text)
    error = problem(tmp_path, BUSINESS_URL="http://127.0.0.1:1")
    assert error.data["fields"] == tuple(expected)
    reasons = "; ".join(f"{field} {reason}" for field, reason in expected.items())
    assert error.message == f"acme/agent.toml: {reasons}"


def test_a_model_without_a_price_is_taken_where_the_tenant_set_no_spend_limit(tmp_path: Path) -> None:
    write_tenant(tmp_path, "acme", AGENT + '[[llm]]\nmodel = "llama"')
    assert FileConfigStore(tmp_path).by_slug("acme").version.config.llm[0].model == "llama"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "is missing"),
        (b"name = ", "is not valid TOML"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"x = " + b"[" * 50_000, "nested too deeply"),
        (b"#" * 2_000_000, "is longer than 1048576 bytes"),
    ],
    ids=["missing", "syntax", "bytes", "deep", "long"],
)
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    write_tenant(tmp_path, "acme", content)
    error = problem(tmp_path)
    assert reason in error.message
    assert error.data["fields"] == ("agent.toml",)


def test_no_value_of_the_file_is_repeated(tmp_path: Path) -> None:
    secret = "s3cr3t-t0ken"
    write_tenant(tmp_path, "acme", AGENT + TOOL.replace("${BUSINESS_URL}", f"ftp://user:{secret}@host"))
    error = problem(tmp_path)
    assert secret not in f"{error.message} {error.hint} {error.data}"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"slug": "another"}, "slug"),
        ({"tenant_id": "ten_1"}, "tenant_id"),
        ({"tier": "gold"}, "tier"),
        ({"version_number": 0}, "version_number"),
        ({"agent_id": None}, "agent_id"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
def test_a_bad_tenant_file_is_told_of(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    write_tenant(tmp_path, "acme", **changes)
    error = problem(tmp_path)
    assert error.message.startswith("acme/tenant.toml: ")
    assert error.data["fields"] == (field,)


def test_two_tenants_can_not_share_an_id(tmp_path: Path) -> None:
    tenant_id, agent_id = new_id(IdKind.TENANT), new_id(IdKind.AGENT)
    write_tenant(tmp_path, "aaa", tenant_id=tenant_id, agent_id=agent_id)
    write_tenant(tmp_path, "bbb", tenant_id=tenant_id)
    write_tenant(tmp_path, "ccc", agent_id=agent_id)
    store = FileConfigStore(tmp_path)
    assert [record.tenant.slug for record in store.all()] == ["aaa"]
    assert {slug: error.data["fields"] for slug, error in store.problems().items()} == {
        "bbb": ("tenant_id",),
        "ccc": ("agent_id",),
    }


async def test_one_broken_tenant_does_not_take_the_others_down(tmp_path: Path) -> None:
    write_tenant(tmp_path, "broken", "greeting = 3", tenant_id=(broken := new_id(IdKind.TENANT)))
    write_tenant(tmp_path, "fine")
    store = FileConfigStore(tmp_path)
    assert await asked(store, store.by_slug("fine")) == store.by_slug("fine")
    assert list(store.problems()) == ["broken"]
    with pytest.raises(AgentConfigError, match="broken/agent"):
        await store.agent_for_call(tenant_id=broken, agent_id=new_id(IdKind.AGENT))


def test_many_problems_are_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    write_tenant(tmp_path, "acme", AGENT + "\n".join(f"zzz{index} = 1" for index in range(30)))
    error = problem(tmp_path)
    assert error.message.endswith("; and 10 more")
    assert len(error.data["fields"]) == 30  # type: ignore[arg-type]
