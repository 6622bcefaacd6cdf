"""Plan -> SQL: the state after each event, in one pass over rows in fold order.

For window functions DuckDB sorts all rows once per PARTITION BY clause. Here rows are sorted once, by entity and fold
key. Windows without a partition (`OVER ()`) then see them in this order, which DuckDB keeps as no other is asked for.
Totals run on from entity to entity, so what they were before an entity's first row is subtracted.
"""

from __future__ import annotations

from esctl.index.pruning import NEVER
from esctl.projection.cells import FieldPlan
from esctl.projection.composed import compose, total_shape
from esctl.projection.fold import NotSetwiseError, Plan
from esctl.projection.sql import POSITION_OF_KEY, TIME_OF_KEY, EventRows, cells_sql, has_acc
from esctl.projection.values import MOST_DIGITS

_SO_FAR = "OVER (ROWS UNBOUNDED PRECEDING)"
_ROWS_DIGITS = 3
"""Digits to add to a total that runs over the rows of all entities, as an event has at most 250 rows."""
BEFORE = ", ".join(f"lag({name}) OVER () AS {name}_before" for name in ("kind", "entity", "key"))
"""Columns that BEGINS needs."""
AFTER = ", ".join(f"lead({name}) OVER () AS {name}_after" for name in ("kind", "entity"))
"""Columns that ENDS needs."""
ENDS = "(kind_after IS DISTINCT FROM kind OR entity_after IS DISTINCT FROM entity)"
"""Whether a row is the last of its entity."""
_UNORDERED = "error('rows of events are not in fold order')"
BEGINS = f"""CASE WHEN entity_before IS NOT DISTINCT FROM entity AND kind_before IS NOT DISTINCT FROM kind
    THEN CASE WHEN key_before < key THEN false ELSE {_UNORDERED} END
    WHEN kind < kind_before OR (kind = kind_before AND entity < entity_before) THEN {_UNORDERED} ELSE true END"""
"""Whether a row is the first of its entity; rows that are out of order raise an error."""


def can_run_along(plan: Plan, rows: EventRows) -> bool:
    """Return whether `running_sql` can fold a plan: events have one row per entity, and totals can be subtracted."""
    return not rows.twice and all(_can_subtract(field, rows.most_rows) for field in plan.fields)


def _can_subtract(field: FieldPlan, count: int) -> bool:
    if not field.family:
        return True
    if field.family != "sum" or not field.numeric:
        return False
    try:
        shape = total_shape(field, count)
    except NotSetwiseError:
        return False
    return not shape.is_float and shape.whole + shape.scale + _ROWS_DIGITS <= MOST_DIGITS


def running_sql(plan: Plan, rows: EventRows, columns: tuple[str, ...]) -> str:
    """Write the state after each event, in order: kind, entity, key, version, dead, `columns`, check0, after0, ..."""
    fields = list(enumerate(plan.fields))
    # What can be taken from the key is left out of the sort, where each column takes memory for every row.
    from_key = {"position": POSITION_OF_KEY, "time": TIME_OF_KEY} if rows.by_time else {}
    sorted_columns = [name for name in columns if name not in from_key]
    cells = f"SELECT * FROM ({cells_sql(plan, rows, sorted_columns)}) ORDER BY kind, entity, key"
    died = "false" if plan.dead == NEVER else "lag(dead, 1, false) OVER ()"
    totals = "".join(
        f", sum(acc{i}) {_SO_FAR} AS sum{i}, count(acc{i}) {_SO_FAR} AS number{i}"
        for i, field in fields
        if field.family
    )
    derived = "".join(f", {sql.format('key')} AS {name}" for name, sql in from_key.items())
    summed = f"SELECT *{derived}, {BEFORE}, {died} AS died, row_number() OVER () AS row{totals} FROM ({cells})"
    begun = f"SELECT *, {BEGINS} AS begins FROM ({summed})"
    spans = "".join(f", last_value({_span_start(i, field)} IGNORE NULLS) {_SO_FAR} AS span{i}" for i, field in fields)
    first = f"last_value(CASE WHEN begins THEN row END IGNORE NULLS) {_SO_FAR} AS first_row"
    spanned = f"SELECT *, {first}{spans} FROM ({begun})"
    names = ["kind", "entity", "key", "row - first_row + 1 AS version", "dead", *columns]
    names += [f"check{i}" for i in range(len(plan.checks))]
    names += [f"CASE WHEN NOT dead THEN {_value(i, field, rows.most_rows)} END AS after{i}" for i, field in fields]
    return f"SELECT {', '.join(names)} FROM ({spanned})"


def _span_start(i: int, field: FieldPlan) -> str:
    """Write, where a field starts anew, its base `v` and the sum `s` and count `c` before the row; else NULL."""
    members = [f"'v': CASE WHEN reset{i} THEN base{i} END" if field.resets else "'v': CAST(NULL AS VARCHAR)"]
    if field.family:
        members.append(f"'s': coalesce(sum{i}, 0) - coalesce(acc{i}, 0)")
        members.append(f"'c': number{i} - CASE WHEN {has_acc(i, field)} THEN 1 ELSE 0 END")
    anew = f"begins OR died OR reset{i}" if field.resets else "begins OR died"
    return f"CASE WHEN {anew} THEN {{{', '.join(members)}}} END"


def _value(i: int, field: FieldPlan, count: int) -> str:
    base = f"struct_extract(span{i}, 'v')"
    if not field.family:
        return base
    acc, number = f"(sum{i} - struct_extract(span{i}, 's'))", f"(number{i} - struct_extract(span{i}, 'c'))"
    return compose(field, base, acc, number, "position", count)
