"""Plan -> SQL: the states of all entities as one aggregation, the trail of an entity as window functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from esctl.engine.quoting import literal
from esctl.index.scan import read_json
from esctl.model import MARK
from esctl.projection.fold import FieldPlan, NeedsStreamError, Plan
from esctl.projection.values import MOST_DIGITS, Shape, event_error, number_text


@dataclass(frozen=True, slots=True)
class EventRows:
    """The bounded events to fold: a SELECT that gives `key`, `event_key`, the envelope columns and the plan's reads."""

    sql: str
    roles: bool  # an event may have several rows of one entity
    count: int  # no more rows than this


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


def states_sql(plan: Plan, rows: EventRows) -> str:
    """Write the states: kind, entity, version, position, time, deleted, field0, field1, ... (JSON text, NULL where absent)."""
    folded = [i for i, field in enumerate(plan.fields) if field.family and (field.resets or plan.dead != "false")]
    limits = _limits(plan, folded)
    join = " LEFT JOIN limits USING (kind, entity)" if limits else ""
    version = "count(DISTINCT position)" if rows.roles else "count(*)"
    # Counting the checks, which are NULL, keeps DuckDB from leaving them out.
    checks = "".join(f" + count(check{i})" for i in range(len(plan.checks)))
    items = [
        "kind",
        "entity",
        f"{version}{checks} AS version",
        "arg_max(position, key) AS position",
        "arg_max(time, key) AS time",
    ]
    items += ["max(key) AS last_key", f"max(key) FILTER ({'dead' if plan.dead != 'false' else 'false'}) AS dead_at"]
    for i, field in enumerate(plan.fields):
        items += _aggregates(i, field, i in folded, dead=plan.dead != "false")
    outer = ["kind", "entity", "version", "position", "time", "(dead_at IS NOT NULL AND dead_at = last_key) AS deleted"]
    outer += [
        f"{_final(i, field, rows.count, plan.dead != 'false', i in folded)} AS {field_column(i)}"
        for i, field in enumerate(plan.fields)
    ]
    return f"""WITH cell AS ({_cells(plan, rows)}){limits}
        SELECT {", ".join(outer)} FROM (SELECT {", ".join(items)} FROM cell{join} GROUP BY kind, entity)"""


def _cells(plan: Plan, rows: EventRows, columns: Sequence[str] = ("position", "time")) -> str:
    items = ["kind", "entity", "key", *columns, f"{plan.dead} AS dead"]
    for i, field in enumerate(plan.fields):
        items.append(f"{field.reset} AS reset{i}")
        items.append(f"{field.base} AS base{i}")
        if field.family:
            items.append(f"{field.acc} AS acc{i}")
    items += [f"{check} AS check{i}" for i, check in enumerate(plan.checks)]
    return f"SELECT {', '.join(items)} FROM ({rows.sql})"


def _limits(plan: Plan, folded: Sequence[int]) -> str:
    """Write pass 1: the last deletion, and the last reset of each field that accumulates."""
    if not folded:
        return ""
    items = ["kind", "entity", f"max(key) FILTER ({'dead' if plan.dead != 'false' else 'false'}) AS dead_key"]
    items += [f"max(key) FILTER (reset{i}) AS from{i}" for i in folded]
    return f", limits AS (SELECT {', '.join(items)} FROM cell GROUP BY kind, entity)"


def _aggregates(i: int, field: FieldPlan, limited: bool, *, dead: bool) -> list[str]:
    items = []
    if field.resets:
        items.append(f"arg_max_null(base{i}, key) FILTER (reset{i}) AS base{i}")
        if dead or field.family:
            items.append(f"max(key) FILTER (reset{i}) AS reset_at{i}")
    if not field.family:
        return items
    alive = "true"
    if limited:
        alive = f"(dead_key IS NULL OR key > dead_key) AND (from{i} IS NULL OR key >= from{i})"
    if field.family == "list":
        filled = f"len(acc{i}) > 0 AND {alive}"
        items.append(f"flatten(list(acc{i} ORDER BY key) FILTER ({filled})) AS acc{i}")
    else:
        filled = f"acc{i} IS NOT NULL AND {alive}"
        items.append(f"{field.family}(acc{i}) FILTER ({filled}) AS acc{i}")
    items += [f"count(*) FILTER ({filled}) AS count{i}", f"min(position) FILTER ({filled}) AS first{i}"]
    return items


def _final(i: int, field: FieldPlan, count: int, dead: bool, limited: bool) -> str:
    base = f"base{i}" if field.resets else "CAST(NULL AS VARCHAR)"
    if field.resets and dead:
        base = f"CASE WHEN dead_at IS NULL OR reset_at{i} > dead_at THEN base{i} END"
    return compose(field, base, f"acc{i}", f"count{i}", f"first{i}", count) if field.family else base


def compose(field: FieldPlan, base: str, acc: str, count: str, position: str, events: int) -> str:
    """Write a cell's value as JSON text from what it started with and what was added since."""
    if field.family == "list":
        return _composed_list(field, base, acc, count, position)
    if not field.numeric:
        better = "least" if field.family == "min" else "greatest"
        text = read_json(base, (), "text", marked=True)
        return f"CASE WHEN {count} = 0 THEN {base} ELSE CAST(to_json({better}({acc}, coalesce({text}, {acc}))) AS VARCHAR) END"
    shape = total_shape(field, events)
    start = _base_number(base, field.name, shape, position)
    if field.family == "sum":
        total = f"CAST({acc} AS {shape.sql_type}) + {start}" if field.resets else f"CAST({acc} AS {shape.sql_type})"
    else:
        better = "least" if field.family == "min" else "greatest"
        total = (
            f"{better}(CAST({acc} AS {shape.sql_type}), {start})"
            if field.resets
            else f"CAST({acc} AS {shape.sql_type})"
        )
    text = number_text(_declared(total, field, shape, position), shape)
    if not field.resets:
        return f"CASE WHEN {count} > 0 THEN {text} END"
    alone = number_text(f"CAST({acc} AS {shape.sql_type})", shape)
    return f"CASE WHEN {count} = 0 THEN {base} WHEN {base} IS NULL THEN {alone} ELSE {text} END"


def _declared(total: str, field: FieldPlan, shape: Shape, position: str) -> str:
    if not field.declared or not field.declared.lower().startswith(("decimal", "numeric", "bigint", "int")):
        return total
    kind = "HUGEINT" if field.declared.lower() == "hugeint" else field.declared
    overflow = event_error(
        f"{field.name} is {{}}, which does not fit {field.declared}", f"CAST({total} AS VARCHAR)", position=position
    )
    return f"CASE WHEN try_cast({total} AS {kind}) IS NULL THEN {overflow} ELSE {total} END"


def _base_number(base: str, name: str, shape: Shape, position: str) -> str:
    wrong = event_error(f"{name} is no number to add to: {{}}", f"left({base}, 60)", position=position)
    marked = f"({base}[1:2] = {literal(chr(34) + MARK)} AND {base}[3:3] <> {literal(MARK)})"
    text = read_json(base, (), "text", marked=True)
    return f"""CASE WHEN {base}[1:1] IN ('-','0','1','2','3','4','5','6','7','8','9') THEN CAST({base} AS {shape.sql_type})
        WHEN {marked} THEN CAST({text} AS {shape.sql_type}) ELSE {wrong} END"""


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
    steps = f"list_transform({acc}, lambda e: {{'kept': CASE WHEN e.remove THEN [] ELSE [e.json] END, 'gone': CASE WHEN e.remove THEN e.json END}})"
    kept = "CASE WHEN x.gone IS NULL THEN s.kept ELSE list_filter(s.kept, lambda e: e <> x.gone) END"
    step = f"{{'kept': list_concat({kept}, x.kept), 'gone': CAST(NULL AS VARCHAR)}}"
    first = f"{{'kept': {start}, 'gone': CAST(NULL AS VARCHAR)}}"
    return f"'[' || array_to_string(list_reduce({steps}, lambda s, x: {step}, {first}).kept, ',') || ']'"


def trail_sql(plan: Plan, rows: EventRows) -> str:
    """Write the trail: a row per event's row, with kind, entity, key, version, dead and TRAIL_COLUMNS.

    after0, before0, ...: each field's JSON text after and before the event (NULL: absent); touched0, ...: whether an operation
    of the event concerned it.
    """
    over = "PARTITION BY kind, entity"
    cells = _cells(plan, rows, (*TRAIL_COLUMNS, "event_key"))
    life = f"""SELECT *, dense_rank() OVER ({over} ORDER BY event_key) AS version,
        count(*) FILTER (dead) OVER ({over} ORDER BY key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS life FROM ({cells})"""
    fields = list(enumerate(plan.fields))
    spans = [
        f"count(*) FILTER (reset{i}) OVER ({over}, life ORDER BY key) AS span{i}"
        for i, field in fields
        if field.resets and field.family
    ]
    spanned = f"SELECT *{''.join(', ' + item for item in spans)} FROM ({life})"
    values = [item for i, field in fields for item in _windows(i, field, over)]
    valued = f"SELECT * {_but_bases(plan)}{''.join(', ' + item for item in values)} FROM ({spanned})"
    afters = [f"CASE WHEN NOT dead THEN {_after(i, field, rows.count)} END AS after{i}" for i, field in fields]
    checks = "".join(f", check{i}" for i in range(len(plan.checks)))
    touched = "".join(f", touched{i}" for i, _ in fields)
    names = "kind, entity, key, version, life, dead, " + ", ".join(TRAIL_COLUMNS)
    after = f"SELECT {names}{checks}{touched}{''.join(', ' + item for item in afters)} FROM ({valued})"
    befores = "".join(f", lag(after{i}) OVER ({over}, life ORDER BY key) AS before{i}" for i, _ in fields)
    return f"SELECT *{befores} FROM ({after})"


def _but_bases(plan: Plan) -> str:
    columns = [f"base{i}" for i, _ in enumerate(plan.fields)] + [
        f"acc{i}" for i, field in enumerate(plan.fields) if field.family
    ]
    return f"EXCLUDE ({', '.join(columns)})" if columns else ""


def _windows(i: int, field: FieldPlan, over: str) -> list[str]:
    span = f"({over}, life{f', span{i}' if field.resets and field.family else ''} ORDER BY key)"
    touched = f"reset{i} OR dead"
    items = []
    if field.resets:
        # One window for all fields: a partition per field would sort and copy the whole row once for each.
        lasting = (
            f"last_value(CASE WHEN reset{i} THEN {{'v': base{i}}} END IGNORE NULLS) OVER ({over}, life ORDER BY key)"
        )
        items.append(f"struct_extract({lasting}, 'v') AS base{i}")
    if field.family:
        filled = f"len(acc{i}) > 0" if field.family == "list" else f"acc{i} IS NOT NULL"
        touched += f" OR {filled}"
        total = (
            f"flatten(list(acc{i}) OVER {span})" if field.family == "list" else f"{field.family}(acc{i}) OVER {span}"
        )
        items += [f"{total} AS acc{i}", f"count(*) FILTER ({filled}) OVER {span} AS count{i}"]
    return [*items, f"({touched}) AS touched{i}"]


def _after(i: int, field: FieldPlan, count: int) -> str:
    base = f"base{i}" if field.resets else "CAST(NULL AS VARCHAR)"
    return compose(field, base, f"acc{i}", f"count{i}", "position", count) if field.family else base


def touched_sql(plan: Plan, rows: EventRows) -> str:
    """Write which fields each event's operations concern: kind, entity, position, field. A deletion concerns all."""
    names = []
    for i, field in enumerate(plan.fields):
        tests = ["dead", f"reset{i}"]
        if field.family:
            tests.append(f"len(acc{i}) > 0" if field.family == "list" else f"acc{i} IS NOT NULL")
        names.append(f"CASE WHEN {' OR '.join(tests)} THEN {literal(field.name)} END")
    listed = f"unnest([{', '.join(names)}]::VARCHAR[])"
    return f"SELECT DISTINCT * FROM (SELECT kind, entity, position, {listed} AS field FROM ({_cells(plan, rows)})) WHERE field IS NOT NULL"
