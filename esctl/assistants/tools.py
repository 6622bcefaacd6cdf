"""The tools: which questions an assistant may ask, with which arguments."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from msgspec import Struct

from esctl.engine.quoting import is_text
from esctl.errors import UsageError

MOST_ROWS = 500
ROWS = 50
"""Rows of an answer: the most, and the default."""

Schema = Mapping[str, Any]

_POINT = "a time, a date (its end), @POSITION, seq:N, version:N, id:EVENT, now, '2h ago'"
_NAMES: Schema = {"type": "array", "items": {"type": "string"}}


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _texts(description: str) -> Schema:
    return {**_NAMES, "description": description}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _count(description: str, least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most, "description": description}


PARAMETERS: Mapping[str, Schema] = {
    "a": _text(f"The one point: {_POINT}."),
    "actor": _texts("Only events by these actors (globs)."),
    "all": _flag("List every event that contributed to a value."),
    "at": _text(f"Fold events up to and including this point: {_POINT}."),
    "b": _text("The other point."),
    "before": _text("Fold events before this point only."),
    "by": _text("One value per field, entity or kind."),
    "checks": _texts("List the events that fail these checks, by the names that doctor gives them (late, gaps, ...)."),
    "deleted": _flag("Entities that were deleted, too."),
    "depth": _count("Follow at most so many links.", 0, 1000),
    "each_event": _flag("Test after each event, also between events at the same time."),
    "entities": _texts("Names or globs of entities; none: all."),
    "every": _text("The step of the grid: 15m, 1h, 1d, 1w, 1mo, 1y."),
    "expression": _text("An aggregate over the states: sum(balance), count(*) filter (status = 'open')."),
    "field": _texts("Only these fields."),
    "from": _text("Only what is from this time on (a date: from its start)."),
    "known_at": _text("Use only what had been recorded by this point."),
    "name": _text("The id of an event, a correlation id, an alias's value, or @POSITION."),
    "predicate": _text("An SQL condition on the state: its fields, entity, kind, version, position, time."),
    "projection": _text("Fold with this projection."),
    "query": _text("One SELECT over events, entities, types and PROJECTION('2024-02-01'); try: describe events."),
    "summary": _flag("Count the differences instead of listing them."),
    "to": _text("Only what is up to this time (a date: to its end)."),
    "type": _texts("Only events of these types (globs)."),
    "where": _text("Only states for which this SQL condition on their fields holds."),
    "which": {"type": "string", "enum": ["first", "last", "every"], "description": "Which moments of each entity."},
    "without": _texts("Suppose that these events (id, @POSITION, or a condition) never happened."),
    "limit": _count(f"At most so many rows; {ROWS} where it is left out.", 1, MOST_ROWS),
    "offset": _count("Leave out so many rows from the front: to go on where an answer was cut.", 0, 10**9),
}
PAGING = ("limit", "offset")


class Tool(Struct, frozen=True):
    """A question: a method of Store, and which of its arguments may be given."""

    name: str
    description: str
    parameters: tuple[str, ...]
    required: tuple[str, ...] = ()  # these in their order, before the entities

    @property
    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of its arguments."""
        names = (*self.required, *self.parameters, *PAGING)
        properties = {name: dict(PARAMETERS[name]) for name in names}
        return {
            "type": "object", "properties": properties, "required": list(self.required), "additionalProperties": False,
        }  # fmt: skip


_FOLD = ("known_at", "projection")
_BOUND = ("at", "before", *_FOLD)
TOOLS = {
    tool.name: tool
    for tool in (
        Tool("entities", "List entities with their numbers of events.", ("entities", "known_at")),
        Tool("types", "List event types with counts, times and payload fields.", ("known_at",)),
        Tool(
            "replay", "Show the state of entities at a point in time.",
            ("entities", "where", "deleted", "without", *_BOUND),
        ),
        Tool(
            "diff", "Show what differs between the states at two points, and by which events.",
            ("entities", "summary", "without", *_FOLD), ("a", "b"),
        ),
        Tool(
            "audit", "Show the trail: when, who, which event, and what it changed from what to what.",
            ("entities", "actor", "type", "field", "from", "to", *_BOUND),
        ),
        Tool(
            "blame", "Show each field of a state with the event that set it, when, and by whom.",
            ("entities", "field", "all", *_BOUND),
        ),
        Tool(
            "when", "Show when a condition on the state turned true, by which event, and until when.",
            ("entities", "which", "from", "to", "each_event", "without", *_FOLD), ("predicate",),
        ),
        Tool(
            "series", "Show an aggregate over all states at each point of a grid of times.",
            ("entities", "every", "by", "from", "to", *_FOLD), ("expression",),
        ),
        Tool(
            "trace", "Show the events tied to one by causation, correlation or alias.",
            ("depth", "known_at"), ("name",),
        ),
        Tool("doctor", "Look for what is wrong with the log.", ("entities", "checks", "from", "to", *_FOLD)),
        Tool("sql", "Run one SELECT in DuckDB's SQL; it sees the store's events and states only.", _FOLD, ("query",)),
    )
}  # fmt: skip


def find_tool(name: str, arguments: Mapping[str, Any]) -> Tool:
    """Return a tool after checking its arguments. Raises UsageError naming the one at fault."""
    tool = TOOLS.get(name)
    if tool is None:
        raise UsageError(f"there is no tool {name!r}", f"the tools are: {', '.join(TOOLS)}")
    known = tool.schema["properties"]
    for key, value in arguments.items():
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it takes: {', '.join(known)}"
            raise UsageError(f"{name} takes no argument {key!r}", hint)
        _check(key, value, known[key])
    if missing := [key for key in tool.required if not arguments.get(key)]:
        raise UsageError(f"{name} needs {missing[0]}", str(known[missing[0]]["description"]))
    return tool


def _check(key: str, value: Any, schema: Schema) -> None:
    kind = schema["type"]
    right = {
        "string": isinstance(value, str) and is_text(value),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "array": isinstance(value, list) and all(isinstance(each, str) and is_text(each) for each in value),
    }[kind]
    if not right:
        raise UsageError(f"{key} is not {'a list of strings' if kind == 'array' else f'of type {kind}'}")
    if kind == "integer" and not schema["minimum"] <= value <= schema["maximum"]:
        raise UsageError(f"{key} is {value}", f"give {schema['minimum']} to {schema['maximum']}")
    if "enum" in schema and value not in schema["enum"]:
        raise UsageError(f"{key} is {value!r}", f"it is one of: {', '.join(schema['enum'])}")
