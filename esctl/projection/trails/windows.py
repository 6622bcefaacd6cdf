"""Plan -> SQL: the trail of each entity as window functions."""

from __future__ import annotations

from esctl.index.pruning import NEVER
from esctl.projection.cells import FieldPlan
from esctl.projection.composed import compose
from esctl.projection.fold import Plan
from esctl.projection.sql import EventRows, cells_sql, has_acc
from esctl.projection.trails.running import can_run_along, running_sql

TRAIL_COLUMNS = ("position", "time", "recorded_at", "role", "type", "actor", "id", "correlation", "causation")


def trail_sql(plan: Plan, rows: EventRows) -> str:
    """Write the trail: a row per event and entity, with kind, entity, key, version, dead and TRAIL_COLUMNS.

    after0, before0, ...: each field's JSON text after and before the event (NULL: absent); touched0, ...: whether an
    operation of the event concerned the field. If an entity has several roles in an event, `role` is the first.
    """
    fields = list(enumerate(plan.fields))
    events = _values_sql(plan, rows)
    if rows.twice:
        events = _one_row_per_event_sql(plan, events)
    after = "".join(f", CASE WHEN NOT dead THEN value{i} END AS after{i}" for i, _ in fields)
    before = "".join(f", lag(after{i}) OVER ({_OVER}, life ORDER BY {rows.event}) AS before{i}" for i, _ in fields)
    touched = "".join(f", (touch{i} OR (clear{i} AND before{i} IS NOT NULL)) AS touched{i}" for i, _ in fields)
    return f"SELECT *{touched} FROM (SELECT *{before} FROM (SELECT *{after} FROM ({events})))"


def history_sql(plan: Plan, rows: EventRows, more: tuple[str, ...] = ()) -> str:
    """Write the state after each event: kind, entity, key, version, dead, check0, ..., TRAIL_COLUMNS, after0, ...

    This is cheaper than `trail_sql`, which also has the state before. `more` are further columns of events. Rows come
    in the order of kind, entity and key if `can_run_along`.
    """
    return (
        running_sql(plan, rows, (*TRAIL_COLUMNS, *more)) if can_run_along(plan, rows) else windows_sql(plan, rows, more)
    )


def windows_sql(plan: Plan, rows: EventRows, more: tuple[str, ...] = ()) -> str:
    """Write the rows of `history_sql` for any plan, in no particular order."""
    events = _values_sql(plan, rows, more)
    if rows.twice:
        first = f"first_value(role) OVER ({_OVER}, event_key ORDER BY key)"
        events = f"SELECT * REPLACE ({first} AS role) FROM ({events})"
        events = f"SELECT * FROM ({events}) WHERE closes"
    after = "".join(f", CASE WHEN NOT dead THEN value{i} END AS after{i}" for i, _ in enumerate(plan.fields))
    return f"SELECT *{after} FROM ({events})"


_OVER = "PARTITION BY kind, entity"


def _values_sql(plan: Plan, rows: EventRows, more: tuple[str, ...] = ()) -> str:
    """Write the fields after each row: value0, value1, ...; `closes`: whether the row is the last of its event."""
    fields = list(enumerate(plan.fields))
    spans = [
        f"count(*) FILTER (reset{i}) OVER ({_OVER}, life ORDER BY key) AS span{i}"
        for i, field in fields
        if field.resets and field.family
    ]
    spans.append(f"lead(event_key) OVER ({_OVER}, life ORDER BY key) IS DISTINCT FROM event_key AS closes")
    spanned = f"SELECT *{''.join(', ' + item for item in spans)} FROM ({_lives_sql(plan, rows, more)})"
    values = [item for i, field in fields for item in _window_items(i, field)]
    valued = f"SELECT * {_exclude_bases(plan)}{''.join(', ' + item for item in values)} FROM ({spanned})"
    names = ["kind", "entity", "key", rows.event, "version", "life", "dead", "closes", *TRAIL_COLUMNS, *more]
    names += [f"check{i}" for i in range(len(plan.checks))]
    names += [f"(reset{i} OR dead) AS clear{i}" for i, _ in fields]
    names += [f"touch{i}" for i, _ in fields]
    names += [f"{_value_after(i, field, rows.most_rows)} AS value{i}" for i, field in fields]
    return f"SELECT {', '.join(dict.fromkeys(names))} FROM ({valued})"


def _lives_sql(plan: Plan, rows: EventRows, more: tuple[str, ...]) -> str:
    """Write the cells of each row with the numbers of its event (`version`) and incarnation (`life`) in the entity."""
    cells = cells_sql(plan, rows, (*TRAIL_COLUMNS, *more, "event_key"), touch=True)
    version = f"dense_rank() OVER ({_OVER} ORDER BY event_key) AS version"
    if plan.dead == NEVER:
        return f"SELECT *, {version}, 0 AS life FROM ({cells})"
    if not rows.twice:
        earlier = f"OVER ({_OVER} ORDER BY key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        return f"SELECT *, {version}, count(*) FILTER (dead) {earlier} AS life FROM ({cells})"
    # Frames over the same order: for a partition of their own DuckDB would read all events twice.
    earlier = f"OVER ({_OVER} ORDER BY event_key RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE GROUP)"
    same = f"OVER ({_OVER} ORDER BY event_key RANGE BETWEEN CURRENT ROW AND CURRENT ROW)"
    dead = f"bool_or(dead) {same} AS dead"
    return f"SELECT * REPLACE ({dead}), {version}, count(*) FILTER (dead) {earlier} AS life FROM ({cells})"


def _one_row_per_event_sql(plan: Plan, events: str) -> str:
    same = ["kind", "entity", "event_key", "version", "life"]
    items = [*same, "max(key) AS key", "bool_or(dead) AS dead"]
    items += [f"arg_min_null({name}, key) AS {name}" for name in TRAIL_COLUMNS]
    items += [f"any_value(check{i}) AS check{i}" for i in range(len(plan.checks))]
    for i, _ in enumerate(plan.fields):
        items += [f"bool_or(clear{i}) AS clear{i}", f"bool_or(touch{i}) AS touch{i}"]
        items.append(f"arg_max_null(value{i}, key) AS value{i}")
    return f"SELECT {', '.join(items)} FROM ({events}) GROUP BY {', '.join(same)}"


def _exclude_bases(plan: Plan) -> str:
    columns = [f"base{i}" for i, _ in enumerate(plan.fields)] + [
        f"acc{i}" for i, field in enumerate(plan.fields) if field.family
    ]
    return f"EXCLUDE ({', '.join(columns)})" if columns else ""


def _window_items(i: int, field: FieldPlan) -> list[str]:
    span = f"({_OVER}, life{f', span{i}' if field.resets and field.family else ''} ORDER BY key)"
    items = []
    if field.resets:
        # One window for all fields: a partition per field would sort and copy the whole row once for each.
        lasting = (
            f"last_value(CASE WHEN reset{i} THEN {{'v': base{i}}} END IGNORE NULLS) OVER ({_OVER}, life ORDER BY key)"
        )
        items.append(f"struct_extract({lasting}, 'v') AS base{i}")
    if field.family:
        total = (
            f"flatten(list(acc{i}) OVER {span})" if field.family == "list" else f"{field.family}(acc{i}) OVER {span}"
        )
        items += [f"{total} AS acc{i}", f"count(*) FILTER ({has_acc(i, field)}) OVER {span} AS count{i}"]
    return items


def _value_after(i: int, field: FieldPlan, count: int) -> str:
    base = f"base{i}" if field.resets else "CAST(NULL AS VARCHAR)"
    return compose(field, base, f"acc{i}", f"count{i}", "position", count) if field.family else base
