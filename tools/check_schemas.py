"""Compares docs/api/events/ with the JSON Schemas of the event models; `--write` renews them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from shared.contracts.registry import export_schemas

FOLDER = Path("docs/api/events")


def main() -> int:
    """Return 0 when the committed schemas are those of the models."""
    if "--write" in sys.argv[1:]:
        for path in export_schemas(FOLDER):
            print(path)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        fresh = {path.name: path.read_text("utf-8") for path in export_schemas(Path(scratch))}
    committed = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.json")}
    changed = sorted(
        name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name)
    )
    if changed:
        print(f"docs/api/events/ is out of date: {', '.join(changed)}. Run `make schemas`.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
