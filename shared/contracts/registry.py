"""All event classes by type, and their JSON Schemas."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import shared.contracts
from shared.contracts.event import Event


def event_types() -> dict[str, type[Event]]:
    """Walk this package and return every concrete event class by its TYPE, sorted."""
    for module in pkgutil.iter_modules(shared.contracts.__path__):
        importlib.import_module(f"{shared.contracts.__name__}.{module.name}")
    found: dict[str, type[Event]] = {}
    pending: list[type[Event]] = [Event]
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if cls.TYPE:
            found[cls.TYPE] = cls
    return dict(sorted(found.items()))


def json_schema(event_type: type[Event]) -> dict[str, Any]:
    """JSON Schema (2020-12) of an event's body."""
    schema = event_type.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:parley:{event_type.TYPE}",
        "x-topic": event_type.TOPIC,
        **schema,
    }


def export_schemas(folder: Path) -> list[Path]:
    """Write one `<type>.json` per event class into `folder` and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, event_type in event_types().items():
        path = folder / f"{name}.json"
        text = json.dumps(json_schema(event_type), indent=2, sort_keys=True, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        written.append(path)
    return written
