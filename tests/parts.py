"""Which optional parts of a machine a test needs, and whether they are here."""

from __future__ import annotations

import os
import shutil
from ctypes.util import find_library
from pathlib import Path

from local_stack.paths import chromium_executable, livekit_server_binary

ROOT = Path(__file__).resolve().parent.parent


def data_folder() -> Path:
    """Folder of recordings and public test vectors: PARLEY_TEST_DATA, or `shared` beside the repository."""
    return Path(os.environ.get("PARLEY_TEST_DATA") or ROOT.parent / "shared")


def _library(name: str) -> str | None:
    return find_library(name)


PARTS = {
    "recordings": lambda: data_folder().joinpath("speech", "manifest.json").is_file(),
    "vectors": lambda: data_folder().joinpath("vectors", "manifest.json").is_file(),
    "redis": lambda: shutil.which("redis-server") is not None,
    "flite": lambda: _library("flite") is not None,
    "chromium": lambda: chromium_executable() is not None,
    "livekit": lambda: livekit_server_binary().is_file(),
}
"""Name of a part -> whether it is here."""


def missing(names: tuple[str, ...]) -> list[str]:
    """Those of `names` that are not here."""
    return [name for name in names if not PARTS[name]()]


def required() -> bool:
    """Whether a test that can't run must fail instead of being skipped (PARLEY_REQUIRE=all, as CI sets it)."""
    return os.environ.get("PARLEY_REQUIRE") == "all"
