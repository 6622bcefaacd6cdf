"""Rules -> plan: per field, what one event does to its cell.

The algebra: per field a cell is (reset, base, acc). `set` makes (k, v, nothing), `add x` makes (none, -, x). Joining an
earlier cell with a later one: the later one's reset wins and starts over, else accumulations add up. That join is
associative over contiguous ranges of the fold order. A plan gives the three parts as SQL over one event's row; `sql.py`
folds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.engine.exact_text import shown_json_sql
from esctl.engine.quoting import like_pattern, literal, may_fail
from esctl.errors import UsageError
from esctl.index.files.manifest import PayloadPath
from esctl.index.pruning import ALWAYS, Predicate
from esctl.projection.arithmetic import negated
from esctl.projection.cells import FieldPlan, FieldStep, TypeAndRole, any_guard, field_plan
from esctl.projection.conversions import convert, declared_scale
from esctl.projection.expressions import Expression
from esctl.projection.layers import Layers
from esctl.projection.query_reads import Reads
from esctl.projection.spec import Operation, Projection, Rule, family
from esctl.projection.values import (
    INTEGER,
    MOST_DIGITS,
    QUOTIENT_SCALE,
    WIDE,
    Shape,
    Value,
    element_json,
    event_error,
    from_json,
    json_text,
    naming_place,
    scaled_text,
    to_number,
    to_text,
)

MOST_FIELDS = 500
"""A state with more fields than this is stepped."""

Keys = Callable[[PayloadPath], Sequence[str]]
"""Lists the keys that objects at a payload path have had."""


class NotSetwiseError(Exception):
    """Raised if a projection cannot be folded set-wise: too many fields, too wide numbers, a deep patch."""


class Plan(Struct, frozen=True):
    """A projection compiled against an index, as SQL over the columns of `reads` and `layers`."""

    projection: Projection
    reads: Reads
    layers: Layers
    fields: tuple[FieldPlan, ...]
    dead: Predicate  # whether the event deletes the entity
    checks: tuple[str, ...]  # SQL that is NULL or raises an error naming the event

    @property
    def may_fail(self) -> bool:
        """Return whether SQL other than the checks may raise an error for a row."""
        guards = [self.dead, *(guard for field in self.fields for guard in (field.reset, field.touch))]
        parts = [part for field in self.fields for part in (field.base, field.acc)]
        return any(guard.may_fail for guard in guards) or any(map(may_fail, (*parts, *self.layers.names)))


class _Builder(Struct):
    projection: Projection
    reads: Reads
    keys: Keys
    layers: Layers = field(default_factory=Layers)
    steps: dict[str, list[FieldStep]] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    replaced: list[tuple[int, str, TypeAndRole, dict[str, Value]]] = field(default_factory=list)
    order: int = 0
    stepped: bool = False


def plan(projection: Projection, reads: Reads, keys: Keys, *, stepped: bool = False) -> Plan:
    """Compile a projection's rules.

    `stepped`: the plan is only used to know the fields of states that are folded event by event. Raises UsageError for
    a wrong projection, NotSetwiseError for one that is not a set-wise fold or whose fields are not known beforehand.
    """
    builder = _Builder(projection, reads, keys, stepped=stepped)
    for rule in projection.rules:
        guard = builder.layers.guard(guard_sql(rule, reads))
        for operation in rule.operations:
            builder.order += 1
            with naming_place(operation.value.where if operation.value else rule.where):
                _add_operation(builder, rule, guard, operation)
    _spread_replacements(builder)
    if len(builder.steps) > MOST_FIELDS:
        raise NotSetwiseError
    types = dict(projection.types)
    fields = tuple(
        field_plan(name, sorted(steps, key=lambda s: s.order), types.get(name, ""))
        for name, steps in builder.steps.items()
    )
    if not stepped and any(
        field.numeric and field.family not in ("", "list") and field.shape == WIDE for field in fields
    ):
        raise NotSetwiseError
    made = Plan(projection, reads, builder.layers, fields, any_guard(builder.dead), tuple(builder.checks))
    parts = [part for field in fields for part in (field.reset.sql, field.base, field.acc, field.touch.sql)]
    reads.drop_unused(" ".join([*parts, *builder.layers.names, made.dead.sql, *made.checks]))
    return made


def guard_sql(rule: Rule, reads: Reads) -> str:
    """Write whether a rule matches an event's row; never NULL."""
    tests = []
    if rule.pattern != "*":
        reads.columns["type"] = None
        test = f"type LIKE {like_pattern(rule.pattern)}" if rule.is_glob else f"type = {literal(rule.pattern)}"
        tests.append(f"coalesce({test}, false)")
    if rule.role is not None:
        reads.columns["role"] = None
        tests.append(role_test(rule.role))
    if rule.stanzas is not None:
        reads.columns["stanza"] = None
        tests.append(f"stanza IN ({', '.join(map(str, sorted(rule.stanzas)))})")
    if rule.named is not None:
        expression, name = rule.named
        with naming_place(expression.where):
            tests.append(f"coalesce({to_text(expression.compile(reads.resolve)).sql} = {literal(name)}, false)")
    if rule.when is not None:
        with naming_place(rule.when.where):
            condition = rule.when.condition(reads.resolve).sql
        # The type is tested first: a value of another type's event must not be read as a boolean or number.
        matched = " AND ".join(tests) or ALWAYS.sql
        return f"(CASE WHEN {matched} THEN coalesce({condition}, false) ELSE false END)"
    return "(" + " AND ".join(tests) + ")" if tests else ALWAYS.sql


def role_test(role: str | tuple[str, ...]) -> str:
    """Write whether an event's row has the role of a rule, or one of its roles."""
    if isinstance(role, tuple):
        # Most rows of tables have no role, and need no other test.
        named = ", ".join(literal(name) for name in role if name)
        return f"(CASE WHEN role IS NULL THEN {literal('' in role)} ELSE role IN ({named}) END)"
    return f"coalesce(role = {literal(role)}, false)" if role else "role IS NULL"


def _add_operation(builder: _Builder, rule: Rule, guard: str, operation: Operation) -> None:
    only = (None if rule.is_glob else rule.pattern, rule.role if isinstance(rule.role, str) else None)
    if operation.name == "delete":
        builder.dead.append(guard)
    elif operation.name == "merge_patch" and not builder.stepped:
        raise NotSetwiseError
    elif operation.name in ("merge", "replace", "merge_patch"):
        _add_object_operation(builder, guard, only, operation)
    else:
        step = _step(builder, guard, only, operation)
        builder.steps.setdefault(operation.field, []).append(step)


def _step(builder: _Builder, guard: str, only: TypeAndRole, operation: Operation) -> FieldStep:
    if operation.value is None:
        return FieldStep(builder.order, guard, only, "unset")
    expression, name = operation.value, operation.name
    value = expression.compile(builder.reads.resolve)
    declared = dict(builder.projection.types).get(operation.field, "")
    bare = value.type == "dynamic" and expression.path is not None
    present = f"({guard} AND {value.sql} IS NOT NULL)" if bare else guard
    if name == "set":
        json = builder.layers.value(guard, set_json(value, declared, bare=bare))
        return FieldStep(builder.order, present, only, "set", value, json)
    if family(name) == "list":
        kind: Literal["append", "remove"] = "append" if name == "append" else "remove"
        if kind == "remove" and not builder.stepped and _may_be_container(builder, expression, value):
            raise NotSetwiseError  # elements are compared as texts, and equal objects may differ in the order of keys
        element = builder.layers.value(guard, element_json(value))
        return FieldStep(builder.order, present, only, kind, value, element)
    if name == "count":
        counted = builder.layers.value(guard, f"CASE WHEN {truthy(value)} THEN true END")
        return FieldStep(builder.order, f"({counted} IS NOT NULL)", only, "sum", Value("1", "number", Shape(1, 0)))
    return _accumulation(builder, guard, only, operation, value)


def _may_be_container(builder: _Builder, expression: Expression, value: Value) -> bool:
    """Return whether a value may be an object or list in some row."""
    if value.type not in ("dynamic", "json") or value.static:
        return value.type == "json" or value.static == "CONTAINER"
    path = expression.path or ()
    return path[:1] != ("data",) or builder.reads.may_be_container(tuple(path[1:]))


def _accumulation(builder: _Builder, guard: str, only: TypeAndRole, operation: Operation, value: Value) -> FieldStep:
    assert operation.value is not None
    order, name = builder.order, operation.name
    kind: Literal["sum", "min", "max"] = "sum" if name in ("add", "subtract") else "min" if name == "min" else "max"
    amount = operand(operation, value, dict(builder.projection.types).get(operation.field, ""))
    if amount.shape == WIDE and not builder.stepped:
        raise NotSetwiseError
    if name == "subtract":
        amount = negated(amount)
    if not (value.static == "NUMBER" and amount.sql == value.number):
        amount = replace(amount, sql=builder.layers.value(guard, amount.sql))
    return FieldStep(order, f"({guard} AND {amount.sql} IS NOT NULL)", only, kind, amount)


def operand(operation: Operation, value: Value, declared: str) -> Value:
    """Read a value as an operation accumulates it: a number, or for `min` and `max` also a text (times become text).

    A path is read as a number unless its field is declared otherwise. Raises UsageError for a type that fits neither.
    """
    assert operation.value is not None
    try:
        amount = convert(value, declared) if declared and value.type != "null" else value
        if operation.name in ("min", "max") and amount.type in ("text", "time"):
            return to_text(amount) if amount.type == "time" else amount
        number = to_number(amount)
    except UsageError as error:
        raise UsageError(f"{operation.value.where}: {error.message}", error.hint) from None
    shape = number.shape or INTEGER
    if shape.is_float:
        sql = f"CAST({number.sql} AS {SUMMED_QUOTIENT.sql_type})"
        wrong = event_error("{} is too large a quotient to be added up", f"CAST({number.sql} AS VARCHAR)")
        large = f"abs({number.sql}) >= 1e{SUMMED_QUOTIENT.whole - 1} OR NOT isfinite({number.sql})"
        return Value(f"CASE WHEN {large} THEN {wrong} ELSE {sql} END", "number", SUMMED_QUOTIENT)
    read = to_number(value).shape if value.type in ("number", "dynamic") else None
    if read is None or read.is_float or read.is_wide or shape.is_wide:
        return number
    # The declared type may be far wider than the numbers.
    return replace(number, shape=Shape(min(read.whole, shape.whole), shape.scale))


SUMMED_QUOTIENT = Shape(MOST_DIGITS - QUOTIENT_SCALE, QUOTIENT_SCALE)
"""The shape of quotients that are added up."""


def truthy(value: Value) -> str:
    """Write whether `count` counts a value: present, and neither null nor false."""
    if value.type == "boolean":
        return f"coalesce({value.sql}, false)"
    if value.type == "dynamic":
        is_false = f"({value.json_type} = 'BOOLEAN' AND {value.text} = 'false')"
        return f"coalesce({value.json_type} <> 'NULL' AND NOT {is_false}, false)"
    return f"({value.sql} IS NOT NULL)"


def set_json(value: Value, declared: str, *, bare: bool) -> str:
    """Write the JSON text that `set` gives a field; NULL only for a bare path that is missing."""
    if declared and value.type not in ("null", "json"):
        converted = convert(value, declared)
        scale = declared_scale(declared)
        text = json_text(converted) if scale is None else scaled_text(converted.sql, scale)
        if value.type == "dynamic":
            return f"CASE WHEN {value.json_type} = 'NULL' THEN 'null' ELSE {text} END"
        return f"coalesce({text}, 'null')"
    text = json_text(value)
    return text if bare and value.type == "dynamic" else f"coalesce({text}, 'null')"


def _add_object_operation(builder: _Builder, guard: str, only: TypeAndRole, operation: Operation) -> None:
    expression = operation.value
    assert expression is not None
    value = expression.compile(builder.reads.resolve)
    if value.type == "dynamic" and (builder.reads.view.may_be_loose(()) or expression.path != ("data",)):
        wrong = event_error(
            f"{operation.name} takes an object, and {value.label or 'the value'} is {{}}", shown_json_sql(value.sql)
        )
        kind = value.json_type
        other = "" if operation.lenient else f" WHEN {kind} <> 'NULL' THEN {wrong}"
        test = f"CASE WHEN {kind} = 'OBJECT' THEN true{other} END"
        guard = f"({builder.layers.value(guard, test)} IS NOT NULL)"
        if not operation.lenient:
            builder.checks.append(f"CASE WHEN {guard} THEN NULL END")
    elif value.type == "dynamic" and operation.name == "replace":
        guard = builder.layers.value(guard, f"CASE WHEN {value.json_type} = 'OBJECT' THEN true END")
        guard = f"({guard} IS NOT NULL)"
    members = _members(builder, expression, value)
    members = {name: member for name, member in members.items() if name not in operation.without}
    if len(members) > MOST_FIELDS:
        raise NotSetwiseError
    if operation.name == "replace":
        builder.replaced.append((builder.order, guard, only, members))
        for name in members:
            builder.steps.setdefault(name, [])
        return
    for name, member in members.items():
        bare = member.type == "dynamic"
        present = f"({guard} AND {member.sql} IS NOT NULL)" if bare else guard
        json = builder.layers.value(guard, set_json(member, dict(builder.projection.types).get(name, ""), bare=bare))
        builder.steps.setdefault(name, []).append(FieldStep(builder.order, present, only, "set", member, json))


def _members(builder: _Builder, expression: Expression, value: Value) -> dict[str, Value]:
    path = expression.path
    if path is not None and path[0] == "data":
        inner = tuple(path[1:])
        names = builder.reads.view.fields if not inner else builder.keys(inner)
        if len(names) > MOST_FIELDS:
            raise NotSetwiseError
        return {name: builder.reads.payload((*inner, name)) for name in names}
    if (members := expression.members(builder.reads.resolve)) is not None:
        return {name: _or_null(member) for name, member in members.items()}
    if value.type == "dynamic":
        raise NotSetwiseError
    raise UsageError(
        f"{expression.where}: {expression.text!r} is not an object", "merge takes a path or {'key': value}"
    )


def declared_members(projection: Projection, reads: Reads, expression: Expression) -> dict[str, Value]:
    """Return the members of a merged object that have a declared type; none unless it is a path or written out."""
    types = dict(projection.types)
    path = expression.path
    if path is not None and path[0] == "data":
        inner = tuple(path[1:])
        names = [name for name in types if inner or name in reads.view.fields]
        return {name: reads.payload((*inner, name)) for name in names}
    members = expression.members(reads.resolve, types) or {}
    return {name: _or_null(member) for name, member in members.items()}


def _or_null(value: Value) -> Value:
    """Return the value of a member that is written out; a missing one becomes null, as in any other expression."""
    if value.type != "dynamic":
        return value
    return from_json(f"coalesce({value.sql}, 'null')", value.label, value.shape)


def _spread_replacements(builder: _Builder) -> None:
    """Make each `replace` set or unset every field of the plan."""
    types = dict(builder.projection.types)
    for order, guard, only, members in builder.replaced:
        for name, steps in builder.steps.items():
            member, json = members.get(name), "CAST(NULL AS VARCHAR)"
            if member is not None:
                value = set_json(member, types.get(name, ""), bare=member.type == "dynamic")
                json = builder.layers.value(guard, value)
            steps.append(FieldStep(order, guard, only, "set", member, json, drops=True))
