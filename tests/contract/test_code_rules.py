"""The rules of size and of waiting, checked over every module of ours and every test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("shared", "edge_agents", "lambdas", "infra_cdk", "local_stack")
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60

MAY_SLEEP = {"tests/fakes/waiting.py"}
"""The one place where tests wait by asking."""

VIRTUAL_TIME = ".virtual_time"
"""How the name of the virtual clock's module ends. What runs on it may sleep: no time passes, instants are exact."""


def _modules(*folders: str) -> list[str]:
    found = (
        path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob("*.py")
    )
    return sorted(name for name in found if "cdk.out" not in name)


OURS = _modules(*PACKAGES, "tools")
TESTS = _modules("tests")


def _text(module: str) -> str:
    return (ROOT / module).read_text(encoding="utf-8")


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_text(module), filename=module)


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _imports(tree: ast.Module) -> set[str]:
    return {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def bare_sleeps(tree: ast.Module) -> list[ast.Call]:
    """Calls of `time.sleep`, and of `asyncio.sleep` with a number that is not 0.

    A length with a name, or one that is computed, is a modelled delay: a provider's first byte, a microphone's pace.
    """
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (_is_sleep(node, "time") or (_is_sleep(node, "asyncio") and _is_a_number(node)))
    ]


def _is_sleep(call: ast.Call, module: str) -> bool:
    return ast.unparse(call.func) == f"{module}.sleep"


def _is_a_number(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value != 0


def test_the_walk_finds_our_modules() -> None:
    assert len(OURS) > 200
    assert len(TESTS) > 100


@pytest.mark.parametrize("module", [*OURS, *TESTS])
def test_a_module_fits_into_400_lines(module: str) -> None:
    lines = len(_text(module).splitlines())
    assert lines <= MAX_MODULE_LINES, "split it by idea"


@pytest.mark.parametrize("module", [*OURS, *TESTS])
def test_a_function_fits_into_60_lines(module: str) -> None:
    sizes = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in _functions(_tree(module))}
    assert {name: size for name, size in sizes.items() if size > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("module", [name for name in TESTS if name not in MAY_SLEEP])
def test_no_test_waits_by_sleeping(module: str) -> None:
    tree = _tree(module)
    if any(name.endswith(VIRTUAL_TIME) for name in _imports(tree)):
        return
    assert [f"line {call.lineno}: {ast.unparse(call)}" for call in bare_sleeps(tree)] == [], (
        "await what happens, use tests.fakes.waiting.until, or run on virtual time"
    )


@pytest.mark.parametrize("module", [name for name in [*OURS, *TESTS] if name.endswith("__init__.py")])
def test_a_package_s_init_is_empty(module: str) -> None:
    assert _text(module) == ""


@pytest.mark.parametrize("module", [name for name in OURS if not name.endswith("__init__.py")])
def test_a_module_of_ours_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(_tree(module))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("time.sleep(0.1)", 1),
        ("await asyncio.sleep(0.1)", 1),
        ("await asyncio.sleep(0)", 0),
        ("await asyncio.sleep(FIRST_BYTE_S)", 0),
        ("await asyncio.sleep(frame.duration)", 0),
    ],
)
def test_a_bare_sleep_is_told_from_a_modelled_delay(code: str, found: int) -> None:
    assert len(bare_sleeps(ast.parse(code))) == found
