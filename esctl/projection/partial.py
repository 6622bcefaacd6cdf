"""Partial states: the folds of some of an entity's events, kept so that later events can be joined to them.

An earlier and a later partial state are joined field by field. If the later one set the field, or deleted the entity,
it replaces the earlier one; else it adds to it. Usually the two cover ranges of the fold order that follow one another
(`low`, `high`). Events of the later one may also slip in among the earlier ones if their order makes no difference:
they only add to fields, and come after the last event that reset these fields (`settled`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

from msgspec import Struct

from esctl.index.pruning import NEVER
from esctl.projection.cells import FieldPlan
from esctl.projection.composed import compose, total_shape
from esctl.projection.fold import Plan
from esctl.projection.spec import Projection
from esctl.projection.sql import EventRows, field_column, started_sql

STATE_COLUMNS = ("kind", "entity", "version", "position", "time", "deleted")
FOLD_KEYS = ("high", "settled", "low")
"""The columns of partial states that hold fold keys."""
_BEFORE_ALL = "(-10000000000000000000000000000000000000)::HUGEINT"
"""Less than every fold key that is a number."""


class KeptField(Struct, frozen=True):
    """A field of kept partial states: what it was computed with, and the number in the names of its columns."""

    name: str
    meaning: str  # digest of the operations on it
    family: str
    numeric: bool
    scale: int  # digits after the point of what was accumulated
    number: int


class Meaning(Struct, frozen=True):
    """What a plan does with an event: a digest for each field, in order, and one for deletions."""

    fields: tuple[KeptField, ...]
    dead: str


def columns(plan: Plan) -> list[str]:
    """List the columns of kept partial states: STATE_COLUMNS, high, settled; per field start0, acc0, count0, first0."""
    return [
        *STATE_COLUMNS,
        "high",
        "settled",
        *(name for i, field in enumerate(plan.fields) for name in _columns(i, field)),
    ]


def _columns(i: int, field: FieldPlan) -> list[str]:
    return [f"start{i}", *((f"acc{i}", f"count{i}", f"first{i}") if field.family else ())]


def partial_sql(plan: Plan, rows: EventRows) -> str:
    """Write the partial states of some events: `columns`, low, and anew0, ... (the field replaces an earlier one).

    `low` and `high` are the first and the last fold key. `settled` is the key of the last event that deleted the entity
    or reset a field that accumulates (_BEFORE_ALL: none did); NULL if keys are not numbers.
    """
    dies = plan.dead != NEVER
    extra = ["min(key) AS low", "max(key) AS high", f"{_last_reset_sql(plan, rows, dies)} AS settled"]
    extra += [f"bool_or(reset{i}) AS again{i}" for i, field in enumerate(plan.fields) if field.resets]
    items = [*STATE_COLUMNS[:-1], f"{'coalesce(dead_at = last_event, false)' if dies else 'false'} AS deleted"]
    items += FOLD_KEYS
    for i, field in enumerate(plan.fields):
        items += [f"start{i}", f"({_is_anew_sql(i, field, dies)}) AS anew{i}"]
        if field.family:
            items += [f"{_cast_total(f'acc{i}', field, rows.most_rows)} AS acc{i}", f"count{i}", f"first{i}"]
    return f"SELECT {', '.join(items)} FROM ({started_sql(plan, rows, extra)})"


def _last_reset_sql(plan: Plan, rows: EventRows, dies: bool) -> str:
    if not rows.by_place:
        return "NULL::HUGEINT"
    tests = [*(["dead"] if dies else []), *(f"reset{i}" for i, f in enumerate(plan.fields) if f.family and f.resets)]
    last = f"max(CASE WHEN {' OR '.join(tests)} THEN key END)" if tests else "NULL"
    return f"coalesce({last}, {_BEFORE_ALL})"


def slips_in_sql(plan: Plan) -> str:
    """Write whether `b`, some of whose events may lie before events of `a`, can be joined as if all came after."""
    tests = ["b.low > a.settled", f"b.settled = {_BEFORE_ALL}"]
    for i, field in enumerate(plan.fields):
        tests += [f"NOT b.anew{i}"] if field.resets else []
        tests += [f"b.count{i} = 0"] if field.family == "list" else []
    return f"coalesce({' AND '.join(tests)}, false)"


def _is_anew_sql(i: int, field: FieldPlan, dies: bool) -> str:
    tests = (["dead_at IS NOT NULL"] if dies else []) + ([f"coalesce(again{i}, false)"] if field.resets else [])
    return " OR ".join(tests) or NEVER.sql


def _cast_total(acc: str, field: FieldPlan, events: int) -> str:
    """Write an accumulated value in the type that holds all totals of the field."""
    if field.family == "list" or not field.numeric:
        return acc
    return f"CAST({acc} AS {total_shape(field, events).sql_type})"


def joined_sql(plan: Plan, earlier: str, later: str, events: int, more: Sequence[str] = ()) -> str:
    """Write the join of two relations of partial states, for the entities of the later one, which may slip in.

    The two have at most `events` events. `more` are further columns over the earlier (`a`) and the later one (`b`).
    """
    items = ["b.kind", "b.entity", "coalesce(a.version, 0) + b.version AS version"]
    last = ("position", "time", "deleted", "high")
    items += [f"CASE WHEN a.high > b.high THEN a.{name} ELSE b.{name} END AS {name}" for name in last]
    settled = "CASE WHEN a.settled + b.settled IS NOT NULL THEN greatest(a.settled, b.settled) END"
    items += [f"CASE WHEN a.entity IS NULL THEN b.settled ELSE {settled} END AS settled", *more]
    for i, field in enumerate(plan.fields):
        fresh = f"(b.anew{i} OR a.entity IS NULL)"
        items.append(f"CASE WHEN {fresh} THEN b.start{i} ELSE a.start{i} END AS start{i}")
        if field.family:
            both = _combine_accs(i, field, events)
            items += [
                f"CASE WHEN {fresh} OR a.count{i} = 0 THEN b.acc{i} WHEN b.count{i} = 0 THEN a.acc{i} "
                f"ELSE {both} END AS acc{i}",
                f"b.count{i} + CASE WHEN {fresh} THEN 0 ELSE a.count{i} END AS count{i}",
                f"CASE WHEN {fresh} THEN b.first{i} ELSE least(a.first{i}, b.first{i}) END AS first{i}",
            ]
    return f"SELECT {', '.join(items)} FROM ({later}) b LEFT JOIN ({earlier}) a USING (kind, entity)"


def chained_sql(plan: Plan, parts: Sequence[str], events: int) -> str:
    """Write the partial states of all events, with `columns`, from those of successive ranges of the fold order.

    Each part is SQL as `partial_sql` writes it. An entity may have no event in some of them.
    """
    names = ", ".join(columns(plan))
    steps = [f"chain0 AS MATERIALIZED (SELECT {names} FROM ({parts[0]}))"]
    for number, part in enumerate(parts[1:], 1):
        earlier = f"SELECT * FROM chain{number - 1}"
        known = f"SELECT 1 FROM part{number} b WHERE b.kind = a.kind AND b.entity = a.entity"
        steps.append(f"part{number} AS MATERIALIZED ({part})")
        steps.append(
            f"""chain{number} AS MATERIALIZED (
            SELECT {names} FROM chain{number - 1} a WHERE NOT EXISTS ({known})
            UNION ALL SELECT {names} FROM ({joined_sql(plan, earlier, f"SELECT * FROM part{number}", events)}))"""
        )
    return f"WITH {', '.join(steps)} SELECT {names} FROM chain{len(parts) - 1}"


def _combine_accs(i: int, field: FieldPlan, events: int) -> str:
    a, b = f"a.acc{i}", f"b.acc{i}"
    if field.family == "list":
        return f"list_concat({a}, {b})"
    if field.family == "sum":
        return _cast_total(f"({a} + {b})", field, events)
    return f"{'least' if field.family == 'min' else 'greatest'}({a}, {b})"


def composed_sql(plan: Plan, cells: str, events: int, more: Sequence[str] = ()) -> str:
    """Write states from partial states: STATE_COLUMNS, field0, field1, ... (JSON text or NULL), and `more` columns."""
    items = [*STATE_COLUMNS, *more]
    for i, field in enumerate(plan.fields):
        parts = (f"start{i}", f"acc{i}", f"count{i}", f"first{i}")
        value = compose(field, *parts, events) if field.family else f"start{i}"
        items.append(f"{value} AS {field_column(i)}")
    return f"SELECT {', '.join(items)} FROM ({cells})"


def kept_sql(
    plan: Plan, fields: Sequence[KeptField], source: str, high: str, events: int, more: Sequence[str] = ()
) -> str:
    """Write kept partial states, read from `source`, in the columns of a plan; a field that was not kept is empty.

    `high` is SQL for the last fold key, `more` are further columns.
    """
    kept = {field.name: field.number for field in fields}
    items = [*STATE_COLUMNS, f"{high} AS high", "CAST(settled AS HUGEINT) AS settled", *more]
    for i, field in enumerate(plan.fields):
        j = kept.get(field.name)
        items.append(f"{'CAST(NULL AS VARCHAR)' if j is None else f'start{j}'} AS start{i}")
        if field.family:
            items.append(f"{_cast_total('NULL' if j is None else f'acc{j}', field, events)} AS acc{i}")
            items.append(f"{'0::BIGINT' if j is None else f'count{j}'} AS count{i}")
            items.append(f"{'NULL::BIGINT' if j is None else f'first{j}'} AS first{i}")
    return f"SELECT {', '.join(items)} FROM {source}"


def meaning(plan: Plan) -> Meaning:
    """Return what identifies a plan's fold: a digest of the operations on each field, and one of the deletions.

    The digests leave out what comes from the index (types of columns, digits of numbers), as it shows in no state.
    """
    written = _operations(plan.projection)
    fields = tuple(
        KeptField(
            field.name,
            _digest([field.declared, field.removes, *(written[order] for order in field.orders)]),
            field.family,
            field.numeric,
            field.shape.scale if field.shape is not None else 0,
            number,
        )
        for number, field in enumerate(plan.fields)
    )
    return Meaning(fields, _digest(operation for operation in written.values() if operation[3] == "delete"))


def _operations(projection: Projection) -> dict[int, tuple[str | tuple[str, ...] | None, ...]]:
    """Return each operation of a projection as it was written, with its condition, by its number."""
    pairs = [(rule, operation) for rule in projection.rules for operation in rule.operations]
    return {
        order: (
            rule.pattern,
            rule.role,
            rule.when.text if rule.when is not None else None,
            operation.name,
            operation.field,
            operation.value.text if operation.value is not None else None,
            *((rule.named[0].text,) if rule.named is not None else ()),
        )
        for order, (rule, operation) in enumerate(pairs, 1)
    }


def _digest(parts: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:16]


def can_continue(kept: Meaning, plan: Plan, events: int) -> bool:
    """Return whether a plan can continue from kept partial states.

    Each kept field must mean the same, in the same order, and lose no digits. A new field was in no event then.
    """
    now = meaning(plan)
    own = {field.name: field for field in now.fields}
    order = [field.name for field in now.fields if field.name in {known.name for known in kept.fields}]
    if kept.dead != now.dead or order != [field.name for field in kept.fields]:
        return False
    for known in kept.fields:
        field = own[known.name]
        if (known.meaning, known.family, known.numeric) != (field.meaning, field.family, field.numeric):
            return False
        planned = plan.fields[field.number]
        if known.family in ("sum", "min", "max") and known.numeric and known.scale > total_shape(planned, events).scale:
            return False
    return True
