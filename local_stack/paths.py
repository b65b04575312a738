"""Where things are on this machine: state of a running stack, the user's cache, optional programs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
"""Root of the checkout."""
TENANTS = Path(__file__).resolve().parent / "tenants"
"""Sample tenants."""


def state_dir() -> Path:
    """State and logs of a running stack: $PARLEY_HOME, or `.parley` in the working directory."""
    return Path(os.environ.get("PARLEY_HOME") or Path.cwd() / ".parley").absolute()


def cache_dir() -> Path:
    """What takes long to build, shared by all checkouts of a user: $PARLEY_CACHE, or ~/.cache/parley."""
    if configured := os.environ.get("PARLEY_CACHE"):
        return Path(configured).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "parley"


def livekit_server_binary() -> Path:
    """Where `make servers` puts livekit-server."""
    return cache_dir() / "servers" / "livekit-server"


def chromium_executable() -> Path | None:
    """Debian's chromium, or Chrome where that is installed; None without either."""
    names = ("chromium", "chromium-browser", "google-chrome")
    macos = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    return macos if macos.exists() else None
