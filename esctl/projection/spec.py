"""Read [projections.*] of esctl.toml into rules; every mistake is one error that names file and key."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.engine.quoting import literal
from esctl.errors import UsageError
from esctl.model import TOMBSTONE
from esctl.projection.expressions import Expression
from esctl.projection.values import parse_declared_type

MOST_NAMES = 500
"""Field names that one expression may give over all events of a log."""
ADDITIVE = ("add", "subtract", "count")
LISTS = ("append", "remove")
FIELD_OPERATIONS = ("set", *ADDITIVE, "min", "max", *LISTS)
OBJECT_OPERATIONS = ("merge", "merge_patch", "replace")
OPERATIONS = (*FIELD_OPERATIONS, "unset", *OBJECT_OPERATIONS, "delete")
RULE_KEYS = (*OPERATIONS, "when")
PROJECTION_KEYS = ("entities", "kinds", "types", "on", "sql", "python")


class Operation(Struct, frozen=True):
    """One operation of a rule. `field` is empty if it is on the whole state, `value` is None for unset and delete.

    `lenient`: a value that should be an object and is not is skipped. That is so for whole payloads, because those that
    are not objects are counted, and every answer says how many there are.
    """

    name: str
    field: str = ""
    value: Expression | None = None
    lenient: bool = False
    without: frozenset[str] = frozenset()  # members of a merged object that are left out
    named: Expression | None = None  # gives the field's name for each event; `field` is as it was written


class Rule(Struct, frozen=True):
    """What events of one type do. `role`: None for any role, a tuple for one of several, "" for no role."""

    pattern: str
    role: str | tuple[str, ...] | None
    when: Expression | None
    operations: tuple[Operation, ...]
    where: str
    named: tuple[Expression, str] | None = None  # only events for which this expression gives this text
    stanzas: frozenset[int] | None = None  # numbers of the stanzas whose events it is for; None: all

    @property
    def is_glob(self) -> bool:
        """Return whether the pattern has wildcards."""
        return "*" in self.pattern or "?" in self.pattern


Names = Callable[[Rule, Expression], Sequence[str]]
"""Lists the names that an expression gives for the events of a rule, at most MOST_NAMES + 1."""


class Projection(Struct, frozen=True):
    """Named fold rules. Without rules, sql or python, a projection has the rules of DEFAULT, which merge `data`."""

    name: str
    entities: str = ""  # glob, "" = all
    kinds: tuple[str, ...] = ()
    types: tuple[tuple[str, str], ...] = ()
    rules: tuple[Rule, ...] = ()
    sql: str = ""
    python: str = ""
    digest: str = ""

    @property
    def claims_all(self) -> bool:
        """Return whether the projection is for every entity."""
        return not self.entities and not self.kinds


def family(operation: str) -> str:
    """Return how an operation accumulates: sum, list, min or max; empty if it does not."""
    if operation in ADDITIVE:
        return "sum"
    return "list" if operation in LISTS else operation if operation in ("min", "max") else ""


DEFAULT = Projection(
    name="(merge)",
    rules=(
        Rule(
            "*",
            None,
            None,
            (Operation("merge", "", Expression("data", "the default projection"), lenient=True),),
            "the default projection",
        ),
    ),
    digest="merge",
)
"""Merges the payloads of all events, last write wins per key; one that is not an object is a finding, and skipped."""
TOMBSTONES = Rule(TOMBSTONE, None, None, (Operation("delete"),), "the default projection")
"""One more rule of the default projection, for logs that have tombstones."""


def with_tombstones(projection: Projection) -> Projection:
    """Return a projection in which a tombstone deletes its entity, if the rules are the default ones."""
    return replace(projection, rules=(*DEFAULT.rules, TOMBSTONES)) if projection.rules is DEFAULT.rules else projection


def with_names(projection: Projection, names: Names) -> Projection:
    """Return a projection in which a rule for each name replaces each operation whose field is named by events.

    Raises UsageError for too many names, and for a field that is accumulated in two ways.
    """
    rules = tuple(part for rule in projection.rules for part in _split_rule(rule, names))
    check_families(rules, f"projections.{projection.name}")
    return replace(projection, rules=rules)


def _split_rule(rule: Rule, names: Names) -> Iterator[Rule]:
    if all(operation.named is None for operation in rule.operations):
        yield rule
        return
    for operation in rule.operations:
        if operation.named is None:
            yield replace(rule, operations=(operation,))
            continue
        found = names(rule, operation.named)
        if len(found) > MOST_NAMES:
            raise UsageError(
                f"{operation.named.where}: events name more than {MOST_NAMES} fields",
                "name fewer: by a rule for events of one type, or with the names as values: "
                "append = { changes = \"{'field': data.field, 'value': data.value}\" }",
            )
        for name in found:
            own = replace(operation, field=name, named=None)
            yield replace(rule, named=(operation.named, name), operations=(own,))


def parse_projections(table: Mapping[str, Any], file: str) -> tuple[Projection, ...]:
    """Read the [projections] table of a configuration file. Raises UsageError naming `file` and key."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{file}: [projections] is not a table")
    return tuple(parse_projection(name, body, file) for name, body in table.items())


def parse_projection(name: str, body: Any, file: str) -> Projection:
    """Read one projection."""
    where = f"{file}: projections.{name}"
    if not isinstance(body, Mapping):
        raise UsageError(f"{where} is not a table")
    _check_keys(body, PROJECTION_KEYS, where)
    ways = [key for key in ("on", "sql", "python") if key in body]
    if len(ways) > 1:
        raise UsageError(f"{where}: has both {ways[0]} and {ways[1]}", "a projection is written in one way")
    rules = _rules(body.get("on", {}), f"{where}.on")
    types = {
        field: _type(kind, f"{where}.types.{field}")
        for field, kind in _table(body.get("types", {}), f"{where}.types").items()
    }
    check_families(rules, where)
    digest = hashlib.sha256(json.dumps(body, default=str).encode()).hexdigest()[:16]
    return Projection(
        name=name,
        entities=_text(body.get("entities", ""), f"{where}.entities"),
        kinds=_texts(body.get("kinds", []), f"{where}.kinds"),
        types=tuple(types.items()),
        rules=rules or (DEFAULT.rules if not ways else ()),
        sql=_text(body.get("sql", ""), f"{where}.sql"),
        python=_text(body.get("python", ""), f"{where}.python"),
        digest=digest,
    )


def _rules(value: Any, where: str) -> tuple[Rule, ...]:
    """Read rules in the order of the file: a table of one or more rules per pattern, or a list of rules with `type`."""
    if isinstance(value, list):
        return tuple(_rule_with_type(item, f"{where}[{i}]") for i, item in enumerate(value))
    if not isinstance(value, Mapping):
        name = where.partition(": ")[2]
        raise UsageError(f"{where} is not a table", f'write [{name}."TYPE"], or [[{name}]] with type = "TYPE"')
    found: list[Rule] = []
    for pattern, rule in value.items():
        place = f'{where}."{pattern}"'
        several = isinstance(rule, list)
        found += [_rule(pattern, each, f"{place}[{i}]" if several else place) for i, each in enumerate(_as_list(rule))]
    return tuple(found)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _rule_with_type(body: Any, where: str) -> Rule:
    table = dict(_table(body, where))
    if "type" not in table:
        raise UsageError(f"{where} has no type", 'say which events it is for: type = "Money*", or type = "*" for all')
    return _rule(_text(table.pop("type"), f"{where}.type"), table, where)


def _rule(pattern: str, body: Any, where: str) -> Rule:
    table = _table(body, where)
    _check_keys(table, RULE_KEYS, where)
    match = re.fullmatch(r"(.*?)(?:\[([^\[\]]*)\])?", pattern, re.DOTALL)
    assert match is not None
    operations: list[Operation] = []
    for name, value in table.items():
        if name != "when":
            operations += _operations(name, value, f"{where}.{name}")
    when = Expression(_text(table["when"], f"{where}.when"), f"{where}.when") if "when" in table else None
    return Rule(match[1], match[2], when, tuple(operations), where)


def _operations(name: str, value: Any, where: str) -> list[Operation]:
    if name == "delete":
        if value is not True:
            raise UsageError(f"{where} is {value!r}", "write delete = true")
        return [Operation("delete")]
    if name == "unset":
        return [_field_operation("unset", field, None, where) for field in _texts(value, where)]
    if name in OBJECT_OPERATIONS:
        expression = Expression(_text(value, where), where)
        return [Operation(name, "", expression, lenient=expression.path == ("data",))]
    if name == "count" and isinstance(value, str):
        value = {value: True}
    if name == "count" and isinstance(value, list):
        value = dict.fromkeys(value, True)
    fields = _table(value, where)
    return [
        _field_operation(name, field, Expression(_expression_text(item, f"{where}.{field}"), f"{where}.{field}"), where)
        for field, item in fields.items()
    ]


_NAME_PART = re.compile(r"(\{\{|\}\}|\{[^{}]+\})")


def _field_operation(name: str, field: str, value: Expression | None, where: str) -> Operation:
    """Return an operation on a field, whose name may have expressions in braces (`{{` and `}}` are braces)."""
    parts = [part for part in _NAME_PART.split(field) if part]
    plain = {"{{": "{", "}}": "}"}
    if not any(part not in plain and _NAME_PART.fullmatch(part) for part in parts):
        return Operation(name, "".join(plain.get(part, part) for part in parts), value)
    texts = [
        f"({part[1:-1]}\n)" if part not in plain and _NAME_PART.fullmatch(part) else literal(plain.get(part, part))
        for part in parts
    ]
    return Operation(name, field, value, named=Expression(" || ".join(["''", *texts]), f"{where}.{json.dumps(field)}"))


def _expression_text(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return _text(value, where)


def check_families(rules: tuple[Rule, ...], where: str) -> None:
    """Raise UsageError if a field is accumulated in two ways."""
    families: dict[str, str] = {}
    for rule in rules:
        for operation in rule.operations:
            kind = family(operation.name)
            other = families.setdefault(operation.field, kind) if kind else kind
            if other != kind:
                raise UsageError(
                    f"{where}: field {operation.field!r} is accumulated in two ways ({other} and {kind})",
                    "use one accumulating operation per field",
                )


def _type(value: Any, where: str) -> str:
    """Read a declared type, whose name is then without blanks wherever it stands in SQL or in a message."""
    name = parse_declared_type(_text(value, where))
    if name is None:
        raise UsageError(
            f"{where}: unknown type {value!r}", "one of: decimal(p,s), bigint, double, varchar, boolean, timestamp"
        )
    return name


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            import difflib

            near = difflib.get_close_matches(key, known, 1)
            what = "operation" if known is RULE_KEYS else "key"
            raise UsageError(
                f"{where}: unknown {what} {key!r}",
                f"did you mean {near[0]}?" if near else f"one of: {', '.join(known)}",
            )


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} is not a table")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{where} is {value!r}, not a text")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise UsageError(f"{where} is not a list of texts")
    return tuple(items)
