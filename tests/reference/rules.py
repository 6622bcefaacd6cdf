"""A projection's TOML table as rules: patterns, conditions, operations; ConfigError where it means nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .expressions import Literal, Node, Path, parse_expression
from .mapping import Event
from .values import ConfigError

FAMILIES = {"add": "additive", "subtract": "additive", "count": "additive", "min": "min", "max": "max"}
FAMILIES |= {"append": "list", "remove": "list"}
WHOLE = ("merge", "merge_patch", "replace")


@dataclass(frozen=True)
class Operation:
    """`field` is empty for operations on the whole state, `value` is None for unset and delete."""

    name: str
    field: str = ""
    value: Node | None = None
    lenient: bool = False  # what is not an object is passed over
    named: tuple[str | Node, ...] = ()  # texts and expressions that make the field's name, which the event tells


@dataclass(frozen=True)
class Rule:
    pattern: str | None  # None: every event, also one without a type
    role: str | None
    when: Node
    operations: tuple[Operation, ...]

    def matches(self, event: Event) -> bool:
        if self.pattern is None:
            return True
        if event.type is None or (self.role is not None and self.role != event.role):
            return False
        return event.type == self.pattern or glob(self.pattern, event.type)


@dataclass(frozen=True)
class Projection:
    rules: tuple[Rule, ...]
    entities: tuple[str, ...] | None
    kinds: tuple[str, ...] | None
    types: Mapping[str, str]

    def concerns(self, event: Event) -> bool:
        entity = event.entity or ""
        named = self.entities is None or any(glob(pattern, entity) for pattern in self.entities)
        return named and (self.kinds is None or event.kind in self.kinds)


def glob(pattern: str, text: str) -> bool:
    """Match `*` (any text) and `?` (one character), case and all."""
    wild = {"*": ".*", "?": "."}
    return re.fullmatch("".join(wild.get(char) or re.escape(char) for char in pattern), text, re.DOTALL) is not None


def parse_projection(table: Mapping[str, Any] | None) -> Projection:
    """Read a projection's table; None is `merge` of data for every event of every entity."""
    if table is None:
        everything = Rule(None, None, Literal(True), (Operation("merge", "", Path(()), lenient=True),))
        gone = Rule("(tombstone)", None, Literal(True), (Operation("delete"),))
        return Projection((everything, gone), None, None, {})
    unknown = set(table) - {"entities", "kinds", "types", "on"}
    if unknown:
        raise ConfigError(f"unknown key {sorted(unknown)[0]!r}")
    rules = tuple(_rules(table.get("on", {})))
    _one_family(rules)
    return Projection(rules, _names(table.get("entities")), _names(table.get("kinds")), table.get("types", {}))


def _names(value: Any) -> tuple[str, ...] | None:
    return None if value is None else (value,) if isinstance(value, str) else tuple(value)


def _rules(on: Any) -> Iterator[Rule]:
    """Give the rules in the order of the file, however they are listed."""
    if isinstance(on, list):
        for body in on:
            yield _rule(body["type"], {name: value for name, value in body.items() if name != "type"})
        return
    for pattern, bodies in on.items():
        for body in bodies if isinstance(bodies, list) else [bodies]:
            yield _rule(pattern, body)


def _rule(pattern: str, body: Mapping[str, Any]) -> Rule:
    match = re.fullmatch(r"(.*)\[([^\[\]]*)\]", pattern, re.DOTALL)
    operations = [op for name, value in body.items() if name != "when" for op in _operations(name, value)]
    when = parse_expression(body.get("when", True))
    return Rule(match[1] if match else pattern, match[2] if match else None, when, tuple(operations))


def _operations(name: str, value: Any) -> list[Operation]:
    if name == "set" or name in FAMILIES:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name} takes a table of fields")
        return [_named(Operation(name, field, parse_expression(item))) for field, item in value.items()]
    if name == "unset":
        return [_named(Operation("unset", field)) for field in ([value] if isinstance(value, str) else value)]
    if name == "delete" and value is True:
        return [Operation("delete")]
    if name in WHOLE:
        return [Operation(name, "", parse_expression(value), lenient=value == "data")]
    raise ConfigError(f"unknown operation {name!r}")


def _named(operation: Operation) -> Operation:
    pieces = re.split(r"\{([^{}]+)\}", operation.field)
    parts = tuple(parse_expression(piece) if i % 2 else piece for i, piece in enumerate(pieces))
    return operation if len(parts) == 1 else replace(operation, named=parts)


def _one_family(rules: tuple[Rule, ...]) -> None:
    found: dict[str, str] = {}
    for operation in (op for rule in rules for op in rule.operations if op.name in FAMILIES):
        family = FAMILIES[operation.name]
        if found.setdefault(operation.field, family) != family:
            raise ConfigError(f"{operation.field!r} is accumulated in two ways: {found[operation.field]}, {family}")
