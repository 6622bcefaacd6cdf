"""Plan -> SQL: which rows of events made each field of the states."""

from __future__ import annotations

from esctl.engine.quoting import literal
from esctl.projection.cells import FieldPlan
from esctl.projection.composed import compose
from esctl.projection.fold import Plan
from esctl.projection.sql import EventRows, cells_sql, field_column, has_acc, only_where, start_sql, states_sql

_SELECT_MEMBERS = "SELECT kind, entity, f.field, f.value, f.key, f.anew, f.made"


def blame_sql(plan: Plan, rows: EventRows) -> str:
    """Write a row per field of the states: kind, entity, field, value (JSON text), key, anew, made.

    `key` is that of the event's row that last had an operation on the field; `anew`: it set the field, whatever its
    value was; `made` is the number of rows that make up the value: the one that set it and those that accumulated
    since. A deleted entity has one row, without a field, for its deletion.
    """
    fields = [
        _member(literal(field.name), field_column(i), f"by{i}", f"anew{i}", f"made{i}")
        for i, field in enumerate(plan.fields)
    ]
    members = ", ".join([_null_member("dead_key"), *fields])
    listed = f"CASE WHEN deleted THEN [{_deletion_member('dead_key')}] ELSE [{members}] END"
    # Asking for the version keeps DuckDB from leaving out the plan's checks.
    listed = (
        f"SELECT kind, entity, unnest({listed}) AS f FROM ({states_sql(plan, rows, traced=True)}) WHERE version > 0"
    )
    return f"{_SELECT_MEMBERS} FROM ({listed}) WHERE f.key IS NOT NULL AND (f.field IS NULL OR f.value IS NOT NULL)"


def contributions_sql(plan: Plan, rows: EventRows) -> str:
    """Write a row for each event's row that the value of a field is made of, with the value after it.

    The columns are those of `blame_sql`; `made` counts the rows up to this one.
    """
    fields = list(enumerate(plan.fields))
    cells = cells_sql(plan, rows, ("position", *(["event_key"] if rows.twice else [])))
    alive = f"SELECT * FROM cell JOIN ends USING (kind, entity) WHERE dead_at IS NULL OR {rows.event} > dead_at"
    taking = "".join(f", {_takes_sql(i, field)} AS takes{i}" for i, field in fields)
    running = "".join(f", {item}" for i, field in fields for item in _running_items(i, field))
    members = [
        _member(literal(field.name), _value(i, field, rows), "key", f"set{i}", f"made{i}") for i, field in fields
    ]
    members = [f"CASE WHEN takes{i} THEN {member} END" for i, member in enumerate(members)]
    listed = f"""SELECT kind, entity, unnest([{", ".join([_null_member("key"), *members])}]) AS f
        FROM (SELECT *{running} FROM (SELECT *{taking} FROM ({alive})))"""
    ended = f"SELECT kind, entity, {_deletion_member('dead_key')} AS f FROM ends WHERE dead_at = last_event"
    return f"""WITH cell AS ({cells}), ends AS ({_ends_sql(plan, rows)})
        {_SELECT_MEMBERS} FROM ({listed}) WHERE f.key IS NOT NULL
        UNION ALL {_SELECT_MEMBERS} FROM ({ended})"""


def _member(field: str, value: str, key: str, anew: str, made: str) -> str:
    return f"{{'field': {field}, 'value': {value}, 'key': {key}, 'anew': {anew}, 'made': {made}}}"


def _deletion_member(key: str) -> str:
    return _member("CAST(NULL AS VARCHAR)", "CAST(NULL AS VARCHAR)", key, "true", "0::BIGINT")


def _null_member(key: str) -> str:
    """Write a member that is always NULL, so that a list without members has a type."""
    return f"CASE WHEN false THEN {_deletion_member(key)} END"


def _ends_sql(plan: Plan, rows: EventRows) -> str:
    """Write where each entity's fields begin: the last deletion, and what each was last set to since."""
    checks = "".join(f" + count(check{i})" for i in range(len(plan.checks)))
    items = [f"count(*){checks} AS version", f"max({rows.event}) AS last_event"]
    items += [f"max({rows.event}) FILTER (dead) AS dead_at", "max(key) FILTER (dead) AS dead_key"]
    kept = ["kind", "entity", "last_event", "dead_at", "dead_key"]
    for i, field in enumerate(plan.fields):
        if field.resets:
            items += [
                f"max({only_where('key', f'reset{i}')}) AS from{i}",
                f"max({only_where(rows.event, f'reset{i}')}) AS reset_at{i}",
            ]
            items.append(f"arg_max_null(base{i}, {only_where('key', f'reset{i}')}) AS base{i}")
            kept += [f"from{i}", f"{start_sql(i, field, dies=True)} AS start{i}"]
    folds = f"SELECT kind, entity, {', '.join(items)} FROM cell GROUP BY kind, entity"
    return f"SELECT {', '.join(kept)} FROM ({folds}) WHERE version > 0"


def _takes_sql(i: int, field: FieldPlan) -> str:
    """Write whether a row is one of those that make up a field's value."""
    if not field.resets:
        return f"({has_acc(i, field)})"
    sets = f"(key = from{i} AND start{i} IS NOT NULL)"
    adds = f" OR {has_acc(i, field)}" if field.family else ""
    return f"coalesce((from{i} IS NULL OR key >= from{i}) AND ({sets}{adds}), false)"


def _running_items(i: int, field: FieldPlan) -> list[str]:
    so_far = "OVER (PARTITION BY kind, entity ORDER BY key)"
    items = [f"count(*) FILTER (takes{i}) {so_far} AS made{i}"]
    items.append(f"(start{i} IS NOT NULL AND key = from{i}) AS set{i}" if field.resets else f"false AS set{i}")
    if field.family:
        taken = f"FILTER (takes{i} AND {has_acc(i, field)}) {so_far}"
        total = f"flatten(list(acc{i}) {taken})" if field.family == "list" else f"{field.family}(acc{i}) {taken}"
        items += [f"{total} AS total{i}", f"count(*) {taken} AS count{i}"]
    return items


def _value(i: int, field: FieldPlan, rows: EventRows) -> str:
    start = f"start{i}" if field.resets else "CAST(NULL AS VARCHAR)"
    return compose(field, start, f"total{i}", f"count{i}", "position", rows.most_rows) if field.family else start
