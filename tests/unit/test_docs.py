"""What the documents say is what the code has."""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.core import TyperGroup

import shared.errors
from edge_agents.providers.timeouts import DEADLINES
from edge_agents.settings import AgentSettings
from local_stack.cli.main import app
from shared.contracts.registry import event_types
from shared.domain.agent import (
    AgentConfig,
    CallLimits,
    HttpTool,
    KnowledgeItem,
    LlmChoice,
    Phrases,
    SttChoice,
    TtsChoice,
    TurnSettings,
)
from shared.domain.call import EndReason, RefusalReason
from shared.names import Header, Topic
from tests.parts import ROOT

API = ROOT / "docs" / "api"
OURS = ("shared", "edge_agents", "lambdas", "infra_cdk", "local_stack")
NOT_OURS = {".venv", ".git", "node_modules", "bench-out", "demo-out", "call-out", ".parley"}

# --- reading documents -----------------------------------------------------------------------------


@functools.cache
def repository_files() -> tuple[Path, ...]:
    """Files that are committed or may be: what git knows and does not ignore; without git, the tree."""
    found = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode == 0:
        paths = (ROOT / line for line in found.stdout.splitlines())
    else:
        paths = (path for path in ROOT.rglob("*") if not NOT_OURS & {*path.relative_to(ROOT).parts})
    return tuple(sorted(path for path in paths if path.is_file()))


def documents() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".md"]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tables(path: Path) -> dict[str, list[dict[str, str]]]:
    """Rows of the table that follows each heading, cells by column name."""
    found: dict[str, list[dict[str, str]]] = {}
    heading = ""
    columns: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("#"):
            heading, columns = line.lstrip("# "), []
        elif line.startswith("|"):
            cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not columns:
                columns = cells
            elif set(cells[0]) != {"-"}:
                assert len(cells) == len(columns), f"{path.name}: {line}"
                found.setdefault(heading, []).append(dict(zip(columns, cells, strict=True)))
        else:
            columns = []
    return found


def code_words(path: Path) -> set[str]:
    """Everything in the document that stands between single back ticks."""
    return set(re.findall(r"`([^`\n]+)`", path.read_text("utf-8")))


def commands(path: Path) -> Iterator[str]:
    """Command lines: inline code, and lines of fenced blocks without their comments."""
    text = path.read_text("utf-8")
    for block in re.findall(r"^```(?:sh|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from (re.sub(r"(^|\s)#.*", "", line).strip() for line in block.splitlines())
    yield from code_words(path)


# --- settings and agent configuration --------------------------------------------------------------


def default_of(field: FieldInfo) -> str:
    """A field's default as the tables write it."""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, tuple):
        return "one, as below" if isinstance(value[0], BaseModel) else f"`{', '.join(value)}`"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if value != "" else '`""`'


def limits_of(schema: Mapping[str, Any]) -> str:
    """What a field's JSON Schema asks for, as the tables write it."""
    schema = next(iter(schema.get("anyOf", [schema])))
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "pattern" in schema:
        return f"`{schema['pattern']}`"
    if schema.get("format") == "uri":
        return "a URL"
    match schema.get("type"):
        case "string":
            limits = span(schema, "minLength", "maxLength", " characters")
        case "integer" | "number":
            limits = span(schema, "minimum", "maximum")
        case "array":
            each = limits_of(schema["items"])
            entries = span(schema, "minItems", "maxItems", " entries")
            limits = ", ".join(filter(None, (entries, each and f"each {each}")))
        case _:
            limits = span(schema, "minProperties", "maxProperties", " entries")
    return limits


def span(schema: Mapping[str, Any], low: str, high: str, unit: str = "") -> str:
    if schema.get("exclusiveMinimum") is not None:
        return f"over {schema['exclusiveMinimum']:g}, up to {schema[high]:g}"
    if low in schema:
        return f"{schema[low]} to {schema[high]}{unit}"
    return f"up to {schema[high]}{unit}" if high in schema else ""


def schema_of(model: type[BaseModel], name: str) -> Mapping[str, Any]:
    schema = model.model_json_schema()
    field: Mapping[str, Any] = schema["properties"][name]
    if "$ref" in field:
        field = schema["$defs"][field["$ref"].rsplit("/", 1)[-1]]
    return field


AGENT_TABLES: dict[str, type[BaseModel]] = {
    "The agent": AgentConfig,
    "`[turn]`": TurnSettings,
    "`[[stt]]`": SttChoice,
    "`[[llm]]`": LlmChoice,
    "`[[tts]]`": TtsChoice,
    "`[[knowledge]]`": KnowledgeItem,
    "`[[tools]]`": HttpTool,
    "`[limits]`": CallLimits,
    "`[phrases]`": Phrases,
}


@pytest.mark.parametrize("heading", AGENT_TABLES)
def test_every_field_of_an_agent_is_documented_with_its_default_and_limits(heading: str) -> None:
    model = AGENT_TABLES[heading]
    expected = [
        (f"`{name}`", default_of(field), limits_of(schema_of(model, name)))
        for name, field in model.model_fields.items()
    ]
    rows = tables(API / "agent_configuration.md")[heading]
    assert [(row["field"], row["default"], row["limits"]) for row in rows] == expected
    assert all(row["meaning"] for row in rows)


def test_every_setting_of_the_agent_process_is_documented_with_its_default() -> None:
    expected = [
        (f"`PARLEY_{name.upper()}`", default_of(field)) for name, field in AgentSettings.model_fields.items()
    ]
    rows = tables(API / "agent_configuration.md")["Settings of the agent process"]
    assert [(row["variable"], row["default"]) for row in rows] == expected
    assert all(row["meaning"] for row in rows)


def test_every_variable_that_the_code_reads_is_documented() -> None:
    read = {
        name
        for path in repository_files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in OURS
        for name in re.findall(r"\"(PARLEY_[A-Z_]+[A-Z])\"", path.read_text("utf-8"))
    }
    documented = {
        name
        for path in documents()
        for word in code_words(path)
        for name in re.findall(r"PARLEY_[A-Z_]+", word)
    }
    assert read - documented == set()


# --- events, errors, protocols, providers ----------------------------------------------------------


def test_every_event_is_documented_with_its_topic_and_key() -> None:
    rows = tables(API / "events.md")["Types"]
    expected = {
        (
            f"[`{name}`](events/{name}.json)",
            f"`{cls.TOPIC}`",
            "call id" if "call_id" in cls.model_fields else "",
        )
        for name, cls in event_types().items()
    }
    assert {(row["type"], row["topic"], row["key"]) for row in rows} == expected


@pytest.mark.parametrize(
    "names", [Topic, Header, EndReason, RefusalReason], ids=lambda cls: str(cls.__name__)
)
def test_every_topic_header_and_reason_is_documented(names: type) -> None:
    values = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    assert values
    assert values - code_words(API / "events.md") == set()


def error_classes() -> dict[str, tuple[str, bool]]:
    """Class name -> its code and whether trying again can help, of all errors in the tree, read from the source."""
    found: dict[str, tuple[str, bool]] = {}
    retryable: dict[str, bool] = {}
    sources = [path for path in repository_files() if path.suffix == ".py"]
    # the tree's own module first: the others build on it
    for path in sorted(sources, key=lambda path: path != Path(shared.errors.__file__)):
        if path.relative_to(ROOT).parts[0] not in OURS:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ClassDef):
                continue
            base = next((base.id for base in node.bases if isinstance(base, ast.Name)), "")
            if node.name != "ParleyError" and base not in found:
                continue
            own = class_constants(node)
            again = retryable[node.name] = bool(own.get("retryable", retryable.get(base, False)))
            found[node.name] = (str(own.get("code", "")), again)
    return found


def class_constants(node: ast.ClassDef) -> dict[str, object]:
    constants: dict[str, object] = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.Constant):
            target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
            constants[ast.unparse(target)] = statement.value.value
    return constants


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [code for code, _ in error_classes().values()]
    assert all(codes)
    assert len(set(codes)) == len(codes)


def test_every_error_code_is_documented_and_none_that_does_not_exist() -> None:
    rows = tables(API / "errors.md")["Codes"]
    documented = {(row["code"], row["again"]) for row in rows}
    expected = {(f"`{code}`", "yes" if again else "no") for code, again in error_classes().values()}
    assert documented == expected
    assert all(row["meaning"] and row["what to do"] for row in rows)


def test_every_code_that_a_media_client_may_get_is_documented() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "edge_agents/transport").glob("*.py"))
    sent = set(re.findall(r"(?:MediaProtocolError\(|_problem\(\d+,)\s*\"(\w+)\"", source))
    assert len(sent) > 10
    assert sent - code_words(API / "media_protocol.md") == set()


def test_every_endpoint_and_deadline_of_providers_is_documented() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "edge_agents/providers").rglob("*.py"))
    endpoints = set(re.findall(r"\.endpoint\(\"([\w-]+)\"", source))
    found = tables(API / "providers.md")
    assert {row["endpoint"].strip("`") for row in found["Endpoints"]} == endpoints
    deadlines = {f"`{name}`": f"{value:g}" for name, value in dataclasses.asdict(DEADLINES).items()}
    assert {row["deadline"]: row["seconds"] for row in found["Deadlines"]} == deadlines


def test_versions_in_the_documents_are_those_that_are_pinned() -> None:
    lock = (ROOT / "requirements/demo.txt").read_text("utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==(\S+)", lock, re.MULTILINE))
    rows = tables(ROOT / "docs/references.md")["What it is built on"]
    stated = {row["package"].strip("`"): row["version"] for row in rows}
    assert {name: pinned.get(name) for name in stated} == stated


# --- commands and links ----------------------------------------------------------------------------


def parley_lines() -> list[tuple[str, str]]:
    return [
        (name_of(path), line)
        for path in documents()
        for line in commands(path)
        if re.match(r"(\.venv/bin/)?parley( |$)", line)
    ]


def test_every_parley_command_in_the_documents_exists_with_its_options() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    named: set[str] = set()
    for where, line in parley_lines():
        words = shlex.split(line.split("|")[0])[1:]
        if not words or words[0].startswith("-"):
            continue
        assert words[0] in root.commands, f"{where}: {line}"
        named.add(words[0])
        options = {option for param in root.commands[words[0]].params for option in param.opts} | {"--help"}
        unknown = {word.split("=")[0] for word in words[1:] if word.startswith("-")} - options
        assert not unknown, f"{where}: {line}"
    assert named == set(root.commands), "a command that no document names"


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in documents():
        for line in commands(path):
            if match := re.match(r"make ([a-z-]+)", line):
                assert match[1] in targets, f"{name_of(path)}: {line}"


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?:src|srcset|href)=\"([^\"]+)\"", text)
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.exists(), f"{name_of(path)}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{name_of(path)}: {link}"


def test_every_decision_is_numbered_dated_and_in_the_index() -> None:
    decisions = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    index = (ROOT / "docs/README.md").read_text("utf-8")
    for path in decisions:
        text = path.read_text("utf-8")
        assert re.match(rf"# {path.name[:4]} .+\n\nDate: \d{{4}}-\d\d-\d\d\n", text), path.name
        assert f"(adr/{path.name})" in index, path.name


# --- what no file may hold -------------------------------------------------------------------------

FORBIDDEN = {
    "a package registry's host": re.compile(
        r"pypi\.org|pythonhosted\.org|proxy\.golang\.org|sum\.golang\.org|registry\.npmjs\.org"
        r"|repo1?\.maven\.(?:apache\.)?org|--(?:extra-)?index-url|--find-link[s]"
    ),
    "a path of one machine": re.compile(r"(?<![\w.}\])])/(?:root|work|home|Users)/\w"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    found = []
    for path in repository_files():
        data = path.read_bytes()
        if b"\0" not in data and (match := FORBIDDEN[what].search(data.decode("utf-8", "replace"))):
            found.append(f"{name_of(path)}: {match[0]}")
    assert found == []
