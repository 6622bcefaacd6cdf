"""Plan -> SQL: the states of all entities as one aggregation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from esctl.engine.quoting import literal, may_fail
from esctl.index.pruning import NEVER
from esctl.projection.cells import FieldPlan
from esctl.projection.composed import compose
from esctl.projection.fold import Plan


class EventRows(Struct, frozen=True):
    """The bounded events to fold: a SELECT that gives `key`, `event_key`, the envelope columns and the plan's reads."""

    sql: str
    twice: bool  # an event may have several rows of one entity
    most_rows: int  # the events have no more rows than this
    by_place: bool = False  # `key` is a number that ends in position and role
    by_time: bool = False  # and that begins with the time
    few: bool = False  # so few that keeping their cells is cheaper than reading them again

    @property
    def event(self) -> str:
        """Return the name of the column that orders events; all rows of an event have the same value in it."""
        return "event_key" if self.twice else "key"


POSITION_OF_KEY = f"CAST({{}} & {2**63 - 1}::HUGEINT AS BIGINT) >> 8"
TIME_OF_KEY = "make_timestamp(CAST({} >> 63 AS BIGINT))"
"""SQL for the position in a fold key that ends in position and role, and for the time in one that begins with it."""


def field_column(number: int) -> str:
    """Return the name of the column with a field's JSON text in the SQL of states and trails."""
    return f"field{number}"


def only_where(value: str, condition: str) -> str:
    """Write a value that is NULL unless a condition holds, for an aggregate that ignores NULLs.

    FILTER does the same at a price: DuckDB hands each one all columns that any aggregate of the SELECT takes, so the
    cost grows with the square of the number of fields.
    """
    return f"CASE WHEN {condition} THEN {value} END"


def states_sql(plan: Plan, rows: EventRows, *, traced: bool = False) -> str:
    """Write the states: kind, entity, version, position, time, deleted, field0, field1, ... (JSON text or NULL).

    `traced` adds the rows that made each field (the columns of `_traces`) and `dead_key`.
    """
    dies = plan.dead != NEVER
    outer = ["kind", "entity", "version", "position", "time"]
    outer.append(f"{'(dead_at IS NOT NULL AND dead_at = last_event)' if dies else 'false'} AS deleted")
    for i, field in enumerate(plan.fields):
        value = (
            compose(field, f"start{i}", f"acc{i}", f"count{i}", f"first{i}", rows.most_rows)
            if field.family
            else f"start{i}"
        )
        outer.append(f"{value} AS {field_column(i)}")
    outer += (
        ["dead_key", *(item for i, field in enumerate(plan.fields) for item in _traces(i, field))] if traced else []
    )
    return f"SELECT {', '.join(outer)} FROM ({started_sql(plan, rows, traced=traced)})"


def started_sql(plan: Plan, rows: EventRows, extra: Sequence[str] = (), *, traced: bool = False) -> str:
    """Write the folded cells of each entity: kind, entity, version, position, time, start0, acc0, ...

    If events may delete entities, also `last_event` and `dead_at`. `extra` are aggregates over the rows of `cells_sql`.
    """
    dies = plan.dead != NEVER
    limited = any(field.family and (field.resets or dies) for field in plan.fields)
    version = "count(DISTINCT position)" if rows.twice else "count(*)"
    # Counting the checks, which are NULL, keeps DuckDB from leaving them out.
    checks = "".join(f" + count(check{i})" for i in range(len(plan.checks)))
    items = ["kind", "entity", f"{version}{checks} AS version", *_last_event_items(rows, dies=dies), *extra]
    if dies:
        items.append("max(dead_before) AS dead_at" if limited else f"max({only_where(rows.event, 'dead')}) AS dead_at")
    items += [f"max({only_where('key', 'dead')}) AS dead_key"] if traced else []
    for i, field in enumerate(plan.fields):
        filled = filled_sql(i, field, dies=dies)
        items += _aggregates(i, field, filled, rows, dies=dies, limited=limited)
        items += _trace_aggregates(i, field, filled) if traced else []
    starts = [
        _start_item(i, field, dies=dies, limited=limited, twice=rows.twice) for i, field in enumerate(plan.fields)
    ]
    shown = [*_place_items(rows, dies=dies), *starts]
    cells = cells_sql(plan, rows, ("position", "time", *(["event_key"] if rows.twice else [])))
    first, source = "", f"({cells})"
    if limited:
        alive = [f"(dead_before IS NULL OR {rows.event} > dead_before) AS alive"] if dies else []
        first, source = limited_sql(plan, rows, cells, alive)
    folds = f"SELECT {', '.join(items)} FROM {source} GROUP BY kind, entity"
    return f"{first}SELECT *{''.join(', ' + item for item in shown)} FROM ({folds})"


def _last_event_items(rows: EventRows, *, dies: bool) -> list[str]:
    """Write the aggregates that identify the last event."""
    if rows.by_place:
        return ["max(key) AS last_key", *([] if rows.by_time else ["arg_max(time, key) AS time"])]
    last = [f"max({rows.event}) AS last_event"] if dies else []
    return ["arg_max(position, key) AS position", "arg_max(time, key) AS time", *last]


def _place_items(rows: EventRows, *, dies: bool) -> list[str]:
    """Write the columns that follow from the fold key of the last event."""
    if not rows.by_place:
        return []
    event = "last_key - (last_key & 255)" if rows.twice else "last_key"
    return [
        f"{POSITION_OF_KEY.format('last_key')} AS position",
        *([f"{TIME_OF_KEY.format('last_key')} AS time"] if rows.by_time else []),
        *([f"{event} AS last_event"] if dies else []),
    ]


def _start_item(i: int, field: FieldPlan, *, dies: bool, limited: bool, twice: bool) -> str:
    # With limits, or where a deletion is a reset, base only comes from resets since the last deletion.
    return (
        f"base{i} AS start{i}"
        if field.resets and (limited or (dies and not twice))
        else f"{start_sql(i, field, dies=dies)} AS start{i}"
    )


def cells_sql(plan: Plan, rows: EventRows, columns: Sequence[str], *, touch: bool = False) -> str:
    """Write the cells of each event's rows: kind, entity, key, `columns`, dead, and per field reset0, base0, acc0."""
    items = ["kind", "entity", "key", *columns, f"{plan.dead.sql} AS dead"]
    for i, field in enumerate(plan.fields):
        items.append(f"{field.reset.sql} AS reset{i}")
        items.append(f"{field.base} AS base{i}")
        items += [f"{field.acc} AS acc{i}"] if field.family else []
        items += [f"{field.touch.sql} AS touch{i}"] if touch else []
    items += [f"{check} AS check{i}" for i, check in enumerate(plan.checks)]
    return _select_cells(plan, rows, items)


def _select_cells(plan: Plan, rows: EventRows, items: Sequence[str]) -> str:
    listed = ", ".join(items)
    return f"SELECT {listed} FROM ({plan.layers.add_columns(rows.sql, listed)})"


def limited_sql(
    plan: Plan, rows: EventRows, cells: str, alive: Sequence[str], within: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """Write cells joined with the limits of their entities: a WITH clause (or nothing), and what to select from.

    `alive` are more columns. `within` has, by the suffix of each side, the column that says which rows are in it; each
    side then has its own limits.
    """
    first, cell, limiting = f"WITH cell AS MATERIALIZED ({cells}) ", "cell", "cell"
    if not rows.few:
        # Pass 1 reads few columns and mostly few rows, which is cheaper than keeping all cells for pass 2.
        first, cell, limiting = "", f"({cells})", f"({_limiting_sql(plan, rows, within or {})})"
    limits = limits_sql(plan, rows, limiting, within)
    return first, f"(SELECT {', '.join(['*', *alive])} FROM {cell} LEFT JOIN ({limits}) USING (kind, entity))"


def _limited_fields(plan: Plan) -> list[int]:
    """Return the numbers of the fields that accumulate and can start anew."""
    return [i for i, field in enumerate(plan.fields) if field.family and field.resets]


def _limiting_sql(plan: Plan, rows: EventRows, within: Mapping[str, str]) -> str:
    resets = [f"{plan.fields[i].reset.sql} AS reset{i}" for i in _limited_fields(plan)]
    columns = ["kind", "entity", "key", *within.values(), *(["event_key"] if rows.twice else [])]
    return _select_cells(plan, rows, [*columns, f"{plan.dead.sql} AS dead", *resets])


def limits_sql(plan: Plan, rows: EventRows, cell: str, within: Mapping[str, str] | None = None) -> str:
    """Write pass 1: the last deletion `dead_before`, and the last reset `from0`, ... of each field that accumulates."""
    dies = plan.dead != NEVER
    sided = within or {"": ""}
    folded = _limited_fields(plan)
    items = ["kind", "entity"]
    for side, test in sided.items():
        inside = f" AND {test}" if test else ""
        items += [f"max({only_where(rows.event, f'dead{inside}')}) AS dead_before{side}"] if dies else []
        items += [f"max({only_where('key', f'reset{i}{inside}')}) AS from{i}{side}" for i in folded]
    resetting = [*(["dead"] if dies else []), *(f"reset{i}" for i in folded)]
    guards = [plan.dead, *(plan.fields[i].reset for i in folded)]
    failing = any(guard.may_fail for guard in guards) or any(map(may_fail, plan.layers.names))
    # No filter has a condition that may raise an error: DuckDB might test it on rows that another one excludes.
    where = "" if failing else f" WHERE {' OR '.join(resetting)}"
    return f"SELECT {', '.join(items)} FROM {cell}{where} GROUP BY kind, entity"


def filled_sql(i: int, field: FieldPlan, *, dies: bool, side: str = "") -> str:
    """Write whether a row adds to the final value of a field."""
    alive = [f"alive{side}"] if dies else []
    alive += [f"(from{i}{side} IS NULL OR key >= from{i}{side})"] if field.resets else []
    return " AND ".join([has_acc(i, field), *alive]) if field.family else NEVER.sql


def has_acc(i: int, field: FieldPlan) -> str:
    """Write whether a row adds to a field, whatever comes later."""
    return f"len(acc{i}) > 0" if field.family == "list" else f"acc{i} IS NOT NULL"


def _aggregates(i: int, field: FieldPlan, filled: str, rows: EventRows, *, dies: bool, limited: bool) -> list[str]:
    items = []
    if field.resets:
        alive = " AND alive" if dies and limited else ""
        if dies and not limited and not rows.twice:
            # An event is one row, so a deletion resets the field to nothing, whatever else the event did.
            reset = only_where("key", f"reset{i} OR dead")
            return [
                f"arg_max_null({only_where(f'base{i}', 'dead IS NOT true')}, {reset}) AS base{i}",
                *accumulation_items(i, field, filled),
            ]
        items.append(f"arg_max_null(base{i}, {only_where('key', f'reset{i}{alive}')}) AS base{i}")
        if dies and not limited:
            items.append(f"max({only_where(rows.event, f'reset{i}')}) AS reset_at{i}")
    return [*items, *accumulation_items(i, field, filled)]


def accumulation_items(i: int, field: FieldPlan, filled: str, side: str = "") -> list[str]:
    """Write aggregates of the rows where `filled` holds: acc0, count0 (of rows), first0 (their first position)."""
    if not field.family:
        return []
    if field.family == "list":
        total = f"flatten(list(acc{i} ORDER BY key) FILTER ({filled}))"
    else:
        total = f"{field.family}({only_where(f'acc{i}', filled)})"
    return [
        f"{total} AS acc{i}{side}",
        f"count({only_where('1', filled)}) AS count{i}{side}",
        f"min({only_where('position', filled)}) AS first{i}{side}",
    ]


def _trace_aggregates(i: int, field: FieldPlan, filled: str) -> list[str]:
    items = [f"max({only_where('key', f'reset{i}')}) AS reset_key{i}"] if field.resets else []
    items += [f"max({only_where('key', filled)}) AS last_key{i}"] if field.family else []
    items += [f"bool_or({only_where(f'reset{i}', filled)}) AS mixed{i}"] if field.family and field.resets else []
    return items


def _traces(i: int, field: FieldPlan) -> list[str]:
    """Write by0 (key of the row that last concerned field 0), anew0 (that row set it), made0 (rows it is made of)."""
    if not field.family:
        return [f"reset_key{i} AS by{i}", f"true AS anew{i}", f"1::BIGINT AS made{i}"]
    if not field.resets:
        return [f"last_key{i} AS by{i}", f"false AS anew{i}", f"count{i} AS made{i}"]
    # The row that set it counts once, also where it adds to it as well.
    set_apart = f"(start{i} IS NOT NULL AND NOT coalesce(mixed{i}, false))"
    return [
        f"coalesce(last_key{i}, reset_key{i}) AS by{i}",
        f"(start{i} IS NOT NULL AND (last_key{i} IS NULL OR last_key{i} = reset_key{i})) AS anew{i}",
        f"count{i} + {set_apart}::BIGINT AS made{i}",
    ]


def start_sql(i: int, field: FieldPlan, *, dies: bool) -> str:
    """Write what a field was last set to in the present incarnation."""
    if not field.resets:
        return "CAST(NULL AS VARCHAR)"
    # A deletion takes effect at the end of its event, whatever else the event did.
    return f"CASE WHEN dead_at IS NULL OR reset_at{i} > dead_at THEN base{i} END" if dies else f"base{i}"


def touched_sql(plan: Plan, rows: EventRows) -> str:
    """Write which fields each event's operations concern: kind, entity, position, field, resets.

    A deletion concerns all fields. `resets`: the field is set or removed, whatever its value was.
    """
    touches = [
        f"""CASE WHEN dead OR reset{i} OR touch{i} THEN {{'field': {literal(field.name)},
            'resets': dead OR reset{i}}} END"""
        for i, field in enumerate(plan.fields)
    ]
    none = "{'field': CAST(NULL AS VARCHAR), 'resets': false}"
    cells = cells_sql(plan, rows, ("position",), touch=True)
    listed = f"SELECT kind, entity, position, unnest([{', '.join([none, *touches])}]) AS f FROM ({cells})"
    return f"SELECT DISTINCT kind, entity, position, f.field, f.resets FROM ({listed}) WHERE f.field IS NOT NULL"
