"""Plan -> SQL: the states of all entities as one aggregation, the trail of an entity as window functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from esctl.engine.exact_text import json_string_sql
from esctl.engine.quoting import literal
from esctl.index.scan import read_json
from esctl.model import MARK
from esctl.projection.cells import FieldPlan
from esctl.projection.fold import NeedsStreamError, Plan
from esctl.projection.values import MOST_DIGITS, Shape, event_error, number_text


@dataclass(frozen=True, slots=True)
class EventRows:
    """The bounded events to fold: a SELECT that gives `key`, `event_key`, the envelope columns and the plan's reads."""

    sql: str
    roles: bool  # an event may have several rows of one entity
    count: int  # no more rows than this

    @property
    def event(self) -> str:
        """Name the column that orders events; the rows of one event share it."""
        return "event_key" if self.roles else "key"


TRAIL_COLUMNS = ("position", "time", "recorded_at", "role", "type", "actor", "id", "correlation", "causation")


def field_column(number: int) -> str:
    """Name the column of a field's JSON text in the SQL of states and trails."""
    return f"field{number}"


def total_shape(field: FieldPlan, count: int) -> Shape:
    """Give the shape that surely holds a field's total over `count` events. Raises NeedsStreamError if none does."""
    shape = field.shape or Shape(19, 0)
    if field.family == "sum":
        shape = Shape(shape.whole + len(str(max(count, 1))), shape.scale)
    if not shape.fits and not field.declared:
        raise NeedsStreamError
    return shape if shape.fits else Shape(MOST_DIGITS - shape.scale, shape.scale)


def states_sql(plan: Plan, rows: EventRows, *, traced: bool = False) -> str:
    """Write the states: kind, entity, version, position, time, deleted, field0, field1, ... (JSON text or NULL).

    `traced`: with which rows did it, as the columns of `_traces`.
    """
    dies = plan.dead != "false"
    started = started_sql(plan, rows, traced=traced)
    outer = ["kind", "entity", "version", "position", "time"]
    outer.append(f"{'(dead_at IS NOT NULL AND dead_at = last_event)' if dies else 'false'} AS deleted")
    for i, field in enumerate(plan.fields):
        value = (
            compose(field, f"start{i}", f"acc{i}", f"count{i}", f"first{i}", rows.count)
            if field.family
            else f"start{i}"
        )
        outer.append(f"{value} AS {field_column(i)}")
    outer += (
        ["dead_key", *(item for i, field in enumerate(plan.fields) for item in _traces(i, field))] if traced else []
    )
    return f"SELECT {', '.join(outer)} FROM ({started})"


def started_sql(plan: Plan, rows: EventRows, extra: Sequence[str] = (), *, traced: bool = False) -> str:
    """Write the cells that each entity's events come to: kind, entity, version, position, time, start0, acc0, ...

    With `last_event` and `dead_at` where entities are deleted; `extra` are more aggregates over what `cells_sql` gives.
    """
    dies = plan.dead != "false"
    folded = [i for i, field in enumerate(plan.fields) if field.family and (field.resets or dies)]
    limits = _limits(plan, folded, rows)
    join = " LEFT JOIN limits USING (kind, entity)" if limits else ""
    version = "count(DISTINCT position)" if rows.roles else "count(*)"
    # Counting the checks, which are NULL, keeps DuckDB from leaving them out.
    checks = "".join(f" + count(check{i})" for i in range(len(plan.checks)))
    items = ["kind", "entity", f"{version}{checks} AS version", "arg_max(position, key) AS position"]
    items += ["arg_max(time, key) AS time", *extra]
    if dies:
        items += [f"max({rows.event}) AS last_event", f"max({rows.event}) FILTER (dead) AS dead_at"]
    items += ["max(key) FILTER (dead) AS dead_key"] if traced else []
    for i, field in enumerate(plan.fields):
        filled = _filled(i, field, i in folded, rows, dies=dies)
        items += _aggregates(i, field, filled, rows, dies=dies)
        items += _trace_aggregates(i, field, filled) if traced else []
    folds = f"SELECT {', '.join(items)} FROM cell{join} GROUP BY kind, entity"
    starts = [f"{start_sql(i, field, dies=dies)} AS start{i}" for i, field in enumerate(plan.fields)]
    cells = cells_sql(plan, rows, ("position", "time", *(["event_key"] if rows.roles else [])))
    return f"WITH cell AS ({cells}){limits} SELECT *{''.join(', ' + item for item in starts)} FROM ({folds})"


def cells_sql(plan: Plan, rows: EventRows, columns: Sequence[str], *, touch: bool = False) -> str:
    """Write what every row of an event does: kind, entity, key, dead, and reset0, base0, acc0, ... for the fields."""
    items = ["kind", "entity", "key", *columns, f"{plan.dead} AS dead"]
    for i, field in enumerate(plan.fields):
        items.append(f"{field.reset} AS reset{i}")
        items.append(f"{field.base} AS base{i}")
        items += [f"{field.acc} AS acc{i}"] if field.family else []
        items += [f"{field.touch} AS touch{i}"] if touch else []
    items += [f"{check} AS check{i}" for i, check in enumerate(plan.checks)]
    return f"SELECT {', '.join(items)} FROM ({plan.layers.over(rows.sql)})"


def _limits(plan: Plan, folded: Sequence[int], rows: EventRows) -> str:
    """Write pass 1: the last deletion, and the last reset of each field that accumulates."""
    if not folded:
        return ""
    items = ["kind", "entity"]
    items += [f"max({rows.event}) FILTER (dead) AS dead_before"] if plan.dead != "false" else []
    items += [f"max(key) FILTER (reset{i}) AS from{i}" for i in folded if plan.fields[i].resets]
    return f", limits AS (SELECT {', '.join(items)} FROM cell GROUP BY kind, entity)"


def _filled(i: int, field: FieldPlan, limited: bool, rows: EventRows, *, dies: bool) -> str:
    """Write whether a row accumulates to what a field is in the end."""
    alive = [f"(dead_before IS NULL OR {rows.event} > dead_before)"] if limited and dies else []
    alive += [f"(from{i} IS NULL OR key >= from{i})"] if limited and field.resets else []
    return " AND ".join([has_acc(i, field), *alive])


def has_acc(i: int, field: FieldPlan) -> str:
    """Write whether a row accumulates to a field."""
    return f"len(acc{i}) > 0" if field.family == "list" else f"acc{i} IS NOT NULL"


def _aggregates(i: int, field: FieldPlan, filled: str, rows: EventRows, *, dies: bool) -> list[str]:
    items = []
    if field.resets:
        items.append(f"arg_max_null(base{i}, key) FILTER (reset{i}) AS base{i}")
        if dies:
            items.append(f"max({rows.event}) FILTER (reset{i}) AS reset_at{i}")
    if not field.family:
        return items
    if field.family == "list":
        items.append(f"flatten(list(acc{i} ORDER BY key) FILTER ({filled})) AS acc{i}")
    else:
        items.append(f"{field.family}(acc{i}) FILTER ({filled}) AS acc{i}")
    items += [f"count(*) FILTER ({filled}) AS count{i}", f"min(position) FILTER ({filled}) AS first{i}"]
    return items


def _trace_aggregates(i: int, field: FieldPlan, filled: str) -> list[str]:
    items = [f"max(key) FILTER (reset{i}) AS reset_key{i}"] if field.resets else []
    items += [f"max(key) FILTER ({filled}) AS last_key{i}"] if field.family else []
    items += [f"bool_or(reset{i}) FILTER ({filled}) AS mixed{i}"] if field.family and field.resets else []
    return items


def _traces(i: int, field: FieldPlan) -> list[str]:
    """Write by0 (key of the row that last concerned field 0), anew0 (it set it), made0 (rows it is made of)."""
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


def compose(field: FieldPlan, base: str, acc: str, count: str, position: str, events: int) -> str:
    """Write a cell's value as JSON text from what it started with and what was added since."""
    if field.family == "list":
        return _composed_list(field, base, acc, count, position)
    if not field.numeric:
        better = "least" if field.family == "min" else "greatest"
        text = read_json(base, (), "text", marked=True)
        best = f"{better}({acc}, coalesce({text}, {acc}))"
        return f"CASE WHEN {count} = 0 THEN {base} ELSE {json_string_sql(best)} END"
    shape = total_shape(field, events)
    alone = f"CAST({acc} AS {shape.sql_type})"
    if not field.resets:
        return f"CASE WHEN {count} > 0 THEN {number_text(_declared(alone, field, position), shape)} END"
    start = _base_number(base, field.name, shape, position)
    if field.family == "sum":
        total = f"{alone} + {start}"
    else:
        total = f"{'least' if field.family == 'min' else 'greatest'}({alone}, {start})"
    fresh, text = (number_text(_declared(number, field, position), shape) for number in (alone, total))
    return f"CASE WHEN {count} = 0 THEN {base} WHEN {base} IS NULL THEN {fresh} ELSE {text} END"


def _declared(total: str, field: FieldPlan, position: str) -> str:
    if not field.declared.lower().startswith(("decimal", "numeric", "bigint", "int")):
        return total
    overflow = event_error(
        f"{field.name} is {{}}, which does not fit {field.declared}", f"CAST({total} AS VARCHAR)", position=position
    )
    return f"CASE WHEN try_cast({total} AS {field.declared}) IS NULL THEN {overflow} ELSE {total} END"


def _base_number(base: str, name: str, shape: Shape, position: str) -> str:
    wrong = event_error(f"{name} is no number to add to: {{}}", f"left({base}, 60)", position=position)
    marked = f"({base}[1:2] = {literal(chr(34) + MARK)} AND {base}[3:3] <> {literal(MARK)})"
    text = read_json(base, (), "text", marked=True)
    return f"""CASE
        WHEN {base}[1:1] IN ('-','0','1','2','3','4','5','6','7','8','9') THEN CAST({base} AS {shape.sql_type})
        WHEN {marked} THEN CAST({text} AS {shape.sql_type})
        ELSE {wrong} END"""


def _composed_list(field: FieldPlan, base: str, acc: str, count: str, position: str) -> str:
    wrong = event_error(f"{field.name} is no list to append to: {{}}", f"left({base}, 60)", position=position)
    if not field.removes:
        joined = f"array_to_string(list_transform({acc}, lambda e: e.json), ',')"
        fresh = f"'[' || {joined} || ']'"
        longer = f"left({base}, length({base}) - 1) || CASE WHEN {base} = '[]' THEN '' ELSE ',' END || {joined} || ']'"
    else:
        fresh = _reduced("CAST([] AS VARCHAR[])", acc)
        longer = _reduced(f"CAST(json_extract({base}, '$[*]') AS VARCHAR[])", acc)
    if not field.resets:
        return f"CASE WHEN {count} > 0 THEN {fresh} END"
    return f"""CASE WHEN {count} = 0 THEN {base} WHEN {base} IS NULL THEN {fresh}
        WHEN {base}[1:1] = '[' THEN {longer} ELSE {wrong} END"""


def _reduced(start: str, acc: str) -> str:
    kept_or_gone = "{'kept': CASE WHEN e.remove THEN [] ELSE [e.json] END, 'gone': CASE WHEN e.remove THEN e.json END}"
    steps = f"list_transform({acc}, lambda e: {kept_or_gone})"
    kept = "CASE WHEN x.gone IS NULL THEN s.kept ELSE list_filter(s.kept, lambda e: e <> x.gone) END"
    step = f"{{'kept': list_concat({kept}, x.kept), 'gone': CAST(NULL AS VARCHAR)}}"
    first = f"{{'kept': {start}, 'gone': CAST(NULL AS VARCHAR)}}"
    return f"'[' || array_to_string(list_reduce({steps}, lambda s, x: {step}, {first}).kept, ',') || ']'"


def trail_sql(plan: Plan, rows: EventRows) -> str:
    """Write the trail: a row per event and entity, with kind, entity, key, version, dead and TRAIL_COLUMNS.

    after0, before0, ...: each field's JSON text after and before the event (NULL: absent); touched0, ...: whether an
    operation of the event concerned it. Where an entity has several roles in an event, `role` is the first.
    """
    fields = list(enumerate(plan.fields))
    events = _values(plan, rows)
    if rows.roles:
        events = _one_row_per_event(plan, events)
    after = "".join(f", CASE WHEN NOT dead THEN value{i} END AS after{i}" for i, _ in fields)
    before = "".join(f", lag(after{i}) OVER ({_OVER}, life ORDER BY {rows.event}) AS before{i}" for i, _ in fields)
    touched = "".join(f", (touch{i} OR (clear{i} AND before{i} IS NOT NULL)) AS touched{i}" for i, _ in fields)
    return f"SELECT *{touched} FROM (SELECT *{before} FROM (SELECT *{after} FROM ({events})))"


def history_sql(plan: Plan, rows: EventRows) -> str:
    """Write the states that events left: kind, entity, key, version, dead, check0, ..., TRAIL_COLUMNS, after0, ...

    As `trail_sql` with nothing of what was before, which is cheaper: the last row of an event has all its effects.
    """
    events = _values(plan, rows)
    if rows.roles:
        first = f"first_value(role) OVER ({_OVER}, event_key ORDER BY key)"
        events = f"SELECT * REPLACE ({first} AS role) FROM ({events})"
        events = f"SELECT * FROM ({events}) WHERE closes"
    after = "".join(f", CASE WHEN NOT dead THEN value{i} END AS after{i}" for i, _ in enumerate(plan.fields))
    return f"SELECT *{after} FROM ({events})"


_OVER = "PARTITION BY kind, entity"


def _values(plan: Plan, rows: EventRows) -> str:
    """Fold up to and including each row: value0, value1, ...; `closes`: the row is the last of its event."""
    fields = list(enumerate(plan.fields))
    spans = [
        f"count(*) FILTER (reset{i}) OVER ({_OVER}, life ORDER BY key) AS span{i}"
        for i, field in fields
        if field.resets and field.family
    ]
    spans.append(f"lead(event_key) OVER ({_OVER}, life ORDER BY key) IS DISTINCT FROM event_key AS closes")
    spanned = f"SELECT *{''.join(', ' + item for item in spans)} FROM ({_lives(plan, rows)})"
    values = [item for i, field in fields for item in _windows(i, field)]
    valued = f"SELECT * {_but_bases(plan)}{''.join(', ' + item for item in values)} FROM ({spanned})"
    names = ["kind", "entity", "key", rows.event, "version", "life", "dead", "closes", *TRAIL_COLUMNS]
    names += [f"check{i}" for i in range(len(plan.checks))]
    names += [f"(reset{i} OR dead) AS clear{i}" for i, _ in fields]
    names += [f"touch{i}" for i, _ in fields]
    names += [f"{_after(i, field, rows.count)} AS value{i}" for i, field in fields]
    return f"SELECT {', '.join(dict.fromkeys(names))} FROM ({valued})"


def _lives(plan: Plan, rows: EventRows) -> str:
    """Number each entity's events and incarnations."""
    cells = cells_sql(plan, rows, (*TRAIL_COLUMNS, "event_key"), touch=True)
    version = f"dense_rank() OVER ({_OVER} ORDER BY event_key) AS version"
    if plan.dead == "false":
        return f"SELECT *, {version}, 0 AS life FROM ({cells})"
    if not rows.roles:
        earlier = f"OVER ({_OVER} ORDER BY key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        return f"SELECT *, {version}, count(*) FILTER (dead) {earlier} AS life FROM ({cells})"
    # Framed by order, not by a partition of their own, which DuckDB would compute by reading all events twice.
    earlier = f"OVER ({_OVER} ORDER BY event_key RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE GROUP)"
    same = f"OVER ({_OVER} ORDER BY event_key RANGE BETWEEN CURRENT ROW AND CURRENT ROW)"
    dead = f"bool_or(dead) {same} AS dead"
    return f"SELECT * REPLACE ({dead}), {version}, count(*) FILTER (dead) {earlier} AS life FROM ({cells})"


def _one_row_per_event(plan: Plan, events: str) -> str:
    same = ["kind", "entity", "event_key", "version", "life"]
    items = [*same, "max(key) AS key", "bool_or(dead) AS dead"]
    items += [f"arg_min_null({name}, key) AS {name}" for name in TRAIL_COLUMNS]
    items += [f"any_value(check{i}) AS check{i}" for i in range(len(plan.checks))]
    for i, _ in enumerate(plan.fields):
        items += [f"bool_or(clear{i}) AS clear{i}", f"bool_or(touch{i}) AS touch{i}"]
        items.append(f"arg_max_null(value{i}, key) AS value{i}")
    return f"SELECT {', '.join(items)} FROM ({events}) GROUP BY {', '.join(same)}"


def _but_bases(plan: Plan) -> str:
    columns = [f"base{i}" for i, _ in enumerate(plan.fields)] + [
        f"acc{i}" for i, field in enumerate(plan.fields) if field.family
    ]
    return f"EXCLUDE ({', '.join(columns)})" if columns else ""


def _windows(i: int, field: FieldPlan) -> list[str]:
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


def _after(i: int, field: FieldPlan, count: int) -> str:
    base = f"base{i}" if field.resets else "CAST(NULL AS VARCHAR)"
    return compose(field, base, f"acc{i}", f"count{i}", "position", count) if field.family else base


def touched_sql(plan: Plan, rows: EventRows) -> str:
    """Write which fields each event's operations concern: kind, entity, position, field, resets.

    A deletion concerns all. `resets`: the field is set or removed, whatever it was.
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
