"""Plan -> SQL: the states of entities within two bounds, and the events in one of them only, as one aggregation."""

from __future__ import annotations

from esctl.index.pruning import NEVER
from esctl.projection.cells import FieldPlan
from esctl.projection.composed import compose
from esctl.projection.fold import Plan
from esctl.projection.sql import EventRows, accumulation_items, cells_sql, filled_sql, limited_sql, only_where

SIDES = {"_a": "in_a", "_b": "in_b"}
"""For each side, the suffix of its columns, and the column that says whether a row is in it."""


def pair_sql(plan: Plan, rows: EventRows) -> str:
    """Write both states of each entity: kind, entity, there_a, there_b; per field before0, after0, touched0, resets0.

    `rows` must give in_a and in_b. Values are JSON text (NULL: absent). `touched0` lists the positions of the rows in
    one side only that have an operation on the field; `resets0`: one of them sets or removes it, whatever its value
    was. Entities without rows in one side only are left out.
    """
    dies = plan.dead != NEVER
    names = ("position", *SIDES.values(), *(["event_key"] if rows.twice else []))
    cells = cells_sql(plan, rows, names, touch=True)
    first, source = "", f"({cells})"
    if dies or any(field.family and field.resets for field in plan.fields):
        first, source = limited_sql(plan, rows, cells, _alive_items(rows) if dies else [], SIDES)
    items, values = ["kind", "entity", "bool_or(in_a <> in_b) AS apart"], ["kind", "entity", "there_a", "there_b"]
    for side, test in SIDES.items():
        items.append(f"{_exists_sql(rows, side, test, dies=dies)} AS there{side}")
        for i, field in enumerate(plan.fields):
            items += _side_items(i, field, side, test, dies=dies)
    for i, field in enumerate(plan.fields):
        touches = f"in_a <> in_b AND (dead OR reset{i} OR touch{i})"
        items.append(f"{_positions(touches, len(plan.fields))} AS touched{i}")
        items.append(f"bool_or({only_where(f'dead OR reset{i}', touches)}) AS resets{i}")
        before, after = (_value(i, field, rows, side) for side in SIDES)
        values += [f"{before} AS before{i}", f"{after} AS after{i}", f"touched{i}", f"resets{i}"]
    folds = f"SELECT {', '.join(items)} FROM {source} GROUP BY kind, entity"
    return f"{first}SELECT {', '.join(values)} FROM ({folds}) WHERE apart"


FEW_LISTS = 32
"""Up to this many lists are made by a FILTER each, which is fastest for a few (see `only_where`)."""


def _positions(touches: str, fields: int) -> str:
    """Write the list of the positions of rows for which a condition holds; NULL where there are none."""
    if fields <= FEW_LISTS:
        return f"list(position) FILTER ({touches})"
    # Unlike `list`, `string_agg` takes no NULLs.
    return f"CAST(string_split(string_agg({only_where('CAST(position AS VARCHAR)', touches)}, ','), ',') AS BIGINT[])"


def _alive_items(rows: EventRows) -> list[str]:
    return [f"(dead_before{side} IS NULL OR {rows.event} > dead_before{side}) AS alive{side}" for side in SIDES]


def _exists_sql(rows: EventRows, side: str, test: str, *, dies: bool) -> str:
    """Write whether an entity has a state on a side: it has events, and its last one is not a deletion."""
    if not dies:
        return f"count({only_where('1', test)}) > 0"
    last = f"max({only_where(rows.event, test)})"
    return f"coalesce({last} IS DISTINCT FROM max(dead_before{side}) AND {last} IS NOT NULL, false)"


def _side_items(i: int, field: FieldPlan, side: str, test: str, *, dies: bool) -> list[str]:
    alive = f" AND alive{side}" if dies else ""
    items = []
    if field.resets:
        items.append(f"arg_max_null(base{i}, {only_where('key', f'reset{i} AND {test}{alive}')}) AS base{i}{side}")
    filled = f"{filled_sql(i, field, dies=dies, side=side)} AND {test}"
    return [*items, *accumulation_items(i, field, filled, side)]


def _value(i: int, field: FieldPlan, rows: EventRows, side: str) -> str:
    base = f"base{i}{side}" if field.resets else "CAST(NULL AS VARCHAR)"
    parts = (f"acc{i}{side}", f"count{i}{side}", f"first{i}{side}")
    value = compose(field, base, *parts, rows.most_rows) if field.family else base
    return f"CASE WHEN there{side} THEN {value} END"
