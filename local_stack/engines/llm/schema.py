"""Tools of a request as forms to fill: the JSON Schema of each reduced to slots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_TOOLS = 128
"""OpenAI's own limit of functions in one request (API reference, `tools`, 2025)."""
_MAX_DEPTH = 8
_MAX_OPTIONS = 500

END_CALL = frozenset({"end_call", "hang_up", "hangup", "end_conversation", "finish_call"})
TRANSFER_CALL = frozenset(
    {"transfer_call", "transfer_to_human", "transfer_to_person", "transfer", "escalate"}
)
"""Tools that fixed phrases start, never likeness of words."""


class Kind(StrEnum):
    """What a slot holds, which decides how it is looked for."""

    CHOICE = "choice"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    WHEN = "when"
    DURATION = "duration"
    PHONE = "phone"
    EMAIL = "email"
    PERSON = "person"
    TEXT = "text"
    OBJECT = "object"


@dataclass(frozen=True)
class Slot:
    """One property of a tool's parameters."""

    name: str
    kind: Kind
    description: str
    options: tuple[object, ...] = ()
    """Values of an enum as the schema has them, without null."""
    many: bool = False
    """An array: several values may be taken from one utterance."""
    required: bool = False
    nullable: bool = False
    """A required property that may be null: sent as null, never asked for."""
    json_format: str = ""
    numeric: bool = False
    """A duration that the schema wants as a number (of minutes, or of hours if it says so)."""
    minimum: float | None = None
    maximum: float | None = None

    @property
    def words(self) -> str:
        """The property's name as words."""
        return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", self.name)).strip().lower()

    @property
    def question(self) -> str:
        """What to say to get the value: the description itself if it is a question."""
        description = " ".join(self.description.split())
        if description.endswith("?"):
            return description
        subject = description.rstrip(".!:; ") or self.words or "value"
        if not re.match(r"(?i)(the|a|an|your|their|his|her|this|which|what|how|who)\b", subject):
            subject = f"the {subject[0].lower()}{subject[1:]}"
        return f"What is {subject}?"

    @property
    def option_texts(self) -> tuple[str, ...]:
        """The enum's values as text."""
        return tuple(str(option) for option in self.options)

    @property
    def names_the_caller(self) -> bool:
        """Whether a name the caller gave for themselves belongs here (not a pet's, not a company's)."""
        own = {
            "name",
            "full",
            "customer",
            "caller",
            "guest",
            "patient",
            "client",
            "your",
            "contact",
            "user",
            "my",
        }
        return self.kind is Kind.PERSON and set(self.words.split()) <= own


@dataclass(frozen=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str
    slots: tuple[Slot, ...]

    @property
    def words(self) -> str:
        """The function's name as words."""
        return re.sub(r"[\W_]+", " ", self.name).strip().lower()

    @property
    def confirms_first(self) -> bool:
        """Whether values are read back before the call: the description says "confirm first"."""
        return "confirm first" in self.description.lower()

    @property
    def is_end_call(self) -> bool:
        """Whether this tool hangs up."""
        return self.name.lower() in END_CALL

    @property
    def is_transfer(self) -> bool:
        """Whether this tool hands the caller to a person."""
        return self.name.lower() in TRANSFER_CALL

    @property
    def takes_message(self) -> bool:
        """Whether this tool records a message for someone."""
        return bool({"message", "messages"} & set(self.words.split()))

    def slot(self, name: str | None) -> Slot | None:
        """The slot of that name."""
        return next((slot for slot in self.slots if slot.name == name), None)


def parse_tools(tools: object) -> tuple[Tool, ...]:
    """Read the `tools` of a request; entries that are no functions are left out. Never raises."""
    if not isinstance(tools, Sequence) or isinstance(tools, str | bytes):
        return ()
    parsed = (_tool(entry) for entry in tools[:MAX_TOOLS])
    return tuple(tool for tool in parsed if tool is not None)


def _tool(entry: object) -> Tool | None:
    function = entry.get("function") if isinstance(entry, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        return None
    parameters = _mapping(function.get("parameters"))
    required = parameters.get("required")
    required_names = required if isinstance(required, list) else []
    slots = [
        _slot(name, _resolve(_mapping(body), parameters), required=name in required_names)
        for name, body in _mapping(parameters.get("properties")).items()
    ]
    return Tool(function["name"], _text(function.get("description")), tuple(slots))


def _mapping(value: object) -> dict[str, object]:
    return {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _types(schema: Mapping[str, object]) -> list[str]:
    declared = schema.get("type")
    listed = declared if isinstance(declared, list) else [declared]
    return [entry for entry in listed if isinstance(entry, str)]


def _resolve(schema: dict[str, object], root: Mapping[str, object], depth: int = 0) -> dict[str, object]:
    """One flat schema: `$ref` followed, a union with null reduced to its other branch (marked `nullable`)."""
    if depth >= _MAX_DEPTH:
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        target: object = root
        for key in reference[2:].split("/"):
            target = _mapping(target).get(key)
        rest = {k: v for k, v in schema.items() if k != "$ref"}
        schema = {**_resolve(_mapping(target), root, depth + 1), **rest}
    for union in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(union)
        if isinstance(branches, list) and branches:
            candidates = [_mapping(branch) for branch in branches]
            chosen = next((c for c in candidates if _types(c) != ["null"]), {})
            rest = {k: v for k, v in schema.items() if k != union}
            flat = {**_resolve(chosen, root, depth + 1), **rest}
            schema = {**flat, "nullable": True} if any(_types(c) == ["null"] for c in candidates) else flat
    items = schema.get("items")
    return {**schema, "items": _resolve(_mapping(items), root, depth + 1)} if items is not None else schema


def _slot(name: str, schema: dict[str, object], *, required: bool) -> Slot:
    types = _types(schema)
    many = "array" in types
    value = _mapping(schema.get("items")) if many else schema
    enum = value.get("enum", [value["const"]] if "const" in value else [])
    listed = enum[:_MAX_OPTIONS] if isinstance(enum, list) else []
    options = tuple(o for o in listed if isinstance(o, str | int | float))
    description = _text(schema.get("description")) or _text(value.get("description"))
    json_type = next((t for t in _types(value) if t != "null"), "string")
    json_format = _text(value.get("format"))
    kind = Kind.CHOICE if options else _kind(name, description, json_type, json_format)
    return Slot(
        name=name,
        kind=kind,
        description=description or _text(schema.get("title")),
        options=options,
        many=many,
        required=required,
        nullable=schema.get("nullable") is True or "null" in types or None in listed,
        json_format=json_format,
        numeric=json_type in {"integer", "number"},
        minimum=_number(value.get("minimum")),
        maximum=_number(value.get("maximum")),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e15 else None


_FORMATS = {
    "date": Kind.DATE,
    "time": Kind.TIME,
    "date-time": Kind.WHEN,
    "duration": Kind.DURATION,
    "email": Kind.EMAIL,
    "phone": Kind.PHONE,
}
# Looked for in the property's name first and in its description second, in this order.
_WORDS = (
    (Kind.EMAIL, {"email", "mail"}),
    (Kind.PHONE, {"phone", "telephone", "mobile", "callback"}),
    (Kind.DURATION, {"duration", "long", "length"}),
    (Kind.WHEN, {"when", "datetime"}),
    (Kind.DATE, {"date", "day"}),
    (Kind.TIME, {"time", "hour"}),
    (Kind.PERSON, {"name"}),
)
_PLAIN_TEXT = {"reason", "message", "note", "notes", "comment", "comments", "address", "details", "symptoms"}


def _kind(name: str, description: str, json_type: str, json_format: str) -> Kind:
    own = set(Slot(name, Kind.TEXT, "").words.split())
    if json_type in {"integer", "number"}:
        if own & {"duration", "minutes", "hours", "length"}:
            return Kind.DURATION
        return Kind.INTEGER if json_type == "integer" else Kind.NUMBER
    if json_type in {"boolean", "object"}:
        return Kind(json_type)
    if json_format in _FORMATS:
        return _FORMATS[json_format]
    described = set() if own & _PLAIN_TEXT else set(re.findall(r"[a-z]+", description.lower()))
    for words in (own, described):
        for kind, marks in _WORDS:
            if words & marks:
                return kind
    return Kind.TEXT
