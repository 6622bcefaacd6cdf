"""series: an aggregate over the states of all entities, sampled on a grid of times.

A state holds at a range of points. Its contribution to sums and counts is added where the range starts and subtracted
where it ends, and a running total gives all points; minima, maxima and distinct values look at each point of a range.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.over_time.aggregates import (
    Aggregate,
    AggregateExpression,
    is_summed_wide,
    parse_aggregates,
    total,
    unified,
)
from esctl.ask.over_time.grid import grid, parse_step
from esctl.ask.over_time.sampling import scopes_apart, states_on_grid
from esctl.ask.scope.fold_order import check_order
from esctl.ask.scope.lookups import DIRECT
from esctl.ask.scope.scope import Claim, Scope, check_entities, counted, projection_notes
from esctl.ask.states.history import historic_claims
from esctl.ask.states.replay import known_fields, state_names
from esctl.ask.states.state_fields import States
from esctl.engine.duckdb import explained, single_row
from esctl.errors import UsageError
from esctl.index.decode.times.epochs import FIRST
from esctl.model import Answer, AsOf, Column, Totals
from esctl.projection.expressions import Expression
from esctl.projection.values import Value, json_text, to_text
from esctl.projection.wide import key_scale, key_units


class Sampling(Struct, frozen=True):
    """What to compute, by which groups, how often, and between which times (None: of the first and last event)."""

    expression: str
    every: str
    by: str = ""
    start: AsOf | None = None
    end: AsOf | None = None


def series(scope: Scope, wanted: Sampling) -> Answer:
    """Return the value of an aggregate at each point of a grid, over the states that `replay` gives there.

    With groups, each group that has a state at any point has a row for every point.
    """
    expression = parse_aggregates(wanted.expression)
    adds_up = scope.view.orderings <= {"time"} and all(one.kind != "distinct" for one in expression.aggregates.values())
    if not adds_up:
        scope = replace(scope, lookups=DIRECT)
    check_entities(scope)
    check_order(scope)
    shared = historic_claims(scope)
    points = _points(scope, shared, wanted)
    words = expression.words() | (Expression(wanted.by, "--by").words() if wanted.by else frozenset())
    own = scopes_apart(scope, points)
    parts = [part for claim in shared for part in states_on_grid(scope, claim, points or [0], words, own)]
    known = known_fields(parts)
    inputs = unified([expression.inputs(state_names(scope, part, known)) for part in parts])
    samples = " UNION ALL ".join(
        _samples(part, _group(scope, wanted.by, part, known), values)
        for part, values in zip(parts, inputs, strict=True)
    )
    value, column = _value(expression, inputs[0], scope.view.manifest.rows)
    if column.kind == "number" and _is_declared(expression, parts):
        column = Column("value", "number", scaled=True)
    aggregates = list(expression.aggregates.values())
    wide = [i for i, one in enumerate(aggregates) if is_summed_wide(one, inputs[0][i])]
    totals = _totals(samples, aggregates, wide, points or [0], grouped=bool(wanted.by))
    columns = (Column("time", "time"), *([Column("group", "text")] if wanted.by else []), column)
    names = "time, g, value" if wanted.by else "time, value"

    def finish(rows: str) -> str:
        return f"""SELECT {names} FROM (SELECT make_timestamp(instant) AS time, g, {value} AS value FROM ({rows}))
            ORDER BY time, g NULLS LAST{"" if points else " LIMIT 0"}"""

    apart = Totals(totals, ("instant", "g"), _functions(aggregates), finish) if adds_up and not wide else None
    return Answer(
        scope.session, finish(totals), columns, notes=projection_notes(scope), title="series", totals=apart
    )  # fmt: skip


def _functions(aggregates: Sequence[Aggregate]) -> dict[str, str]:
    """Return how to combine the columns of `_totals` over parts of the entities; not for distinct values."""
    found: dict[str, str] = {}
    for i, one in enumerate(aggregates):
        if one.additive:
            found |= {f"n{i}": "sum", **({} if one.kind == "count" else {f"x{i}": "sum"})}
        else:
            found[f"x{i}"] = one.kind
    return found


def _is_declared(expression: AggregateExpression, parts: Sequence[States]) -> bool:
    """Return whether values are sums or extremes of a field whose declared type has a scale in all projections."""
    field = expression.field_kept
    known = [{each.name: each.scaled for each in part.fields} for part in parts]
    return bool(field) and all(names.get(field, False) for names in known)


def _points(scope: Scope, shared: Sequence[Claim], wanted: Sampling) -> list[int]:
    """Return the grid: from the first event to the first point that no event is after, or between the bounds."""
    step = parse_step(wanted.every)
    for point in (wanted.start, wanted.end):
        if point is not None and point.kind != "time":
            raise UsageError(f"{point.text!r} is not a bound of a grid of times", "give a time or a date")
    first, last = scope.lookups.once(lambda: _first_and_last(scope, shared))
    if wanted.start is not None:
        first = wanted.start.instant
    if wanted.end is not None:
        last = wanted.end.instant
    if first is None or last is None:
        return []
    return grid(step, first, last, scope.tz, beyond=wanted.end is None)


def _first_and_last(scope: Scope, shared: Sequence[Claim]) -> tuple[int | None, int | None]:
    claimed = " OR ".join(f"({claim.condition})" for claim in shared)
    events = scope.view.relation(["time", "undated"], None, [*counted(scope), claimed])
    # An undated event with none before it in its source is folded at the beginning of time: no grid starts there.
    first = f"coalesce(min(us) FILTER (undated IS NULL OR us > {FIRST}), min(us))"
    sql = f"SELECT {first}, max(us) FROM (SELECT epoch_us(time) AS us, undated FROM ({events}))"
    with explained():
        return single_row(scope.connection, sql) or (None, None)


def _group(scope: Scope, by: str, part: States, known: frozenset[str]) -> str:
    return (
        to_text(Expression(by, "--by").compile(state_names(scope, part, known))).sql if by else "CAST(NULL AS VARCHAR)"
    )


def _samples(part: States, group: str, inputs: Sequence[Value]) -> str:
    """Select the live states that hold at a point: g, low, high and the inputs of the aggregates, x0, x1, ..."""
    # A state that holds at no point is not looked at: what is wrong with it is no error.
    items = [f"CASE WHEN sampled THEN {sql} END AS {name}" for name, sql in [("g", group), *_columns(inputs)]]
    live = f"SELECT *, (NOT deleted AND low < high) AS sampled FROM ({part.sql})"
    return f"SELECT low, high, {', '.join(items)} FROM ({live}) WHERE sampled"


def _columns(inputs: Sequence[Value]) -> list[tuple[str, str]]:
    return [(f"x{i}", value.sql) for i, value in enumerate(inputs)]


def _scale_ctes(samples: str, wide: Sequence[int]) -> str:
    """Write the CTEs `sample`, in which numbers that no DECIMAL holds share their units, and `scales`: s0, ..."""
    if not wide:
        return f"sample AS ({samples}), scales AS (SELECT 1)"
    scales = ", ".join(f"greatest(max({key_scale(f'x{i}')}), 0) AS s{i}" for i in wide)
    units = ", ".join(f"{key_units(f'x{i}', f's{i}')} AS x{i}" for i in wide)
    shared = f"SELECT * EXCLUDE ({', '.join(f's{i}' for i in wide)}) REPLACE ({units}) FROM given CROSS JOIN scales"
    return f"given AS MATERIALIZED ({samples}), scales AS (SELECT {scales} FROM given), sample AS ({shared})"


def _totals(
    samples: str, aggregates: Sequence[Aggregate], wide: Sequence[int], points: Sequence[int], *, grouped: bool
) -> str:
    """Select instant, g, and per aggregate n0, x0, ... (see `aggregates.total`) for all points and groups.

    `wide`: the indexes of the aggregates that add up numbers no DECIMAL holds; s0, ... are the scales of their units.
    """
    names = ", ".join(f"x{i}" for i, _ in enumerate(aggregates))
    changes, reached, items = ["g", "i"], ["g", "i"], ["instant", "s.g"]
    running = "OVER (PARTITION BY s.g ORDER BY p.i)"
    for i, aggregate in enumerate(aggregates):
        if aggregate.additive:
            changes.append(f"sum(CASE WHEN x{i} IS NOT NULL THEN sign END) AS n{i}")
            items.append(f"sum(n{i}) {running} AS n{i}")
            if aggregate.kind != "count":
                changes.append(f"sum(CASE WHEN sign > 0 THEN x{i} ELSE -x{i} END) AS x{i}")
                items.append(f"sum(x{i}) {running} AS x{i}")
        elif aggregate.kind == "distinct":
            reached.append(f"count(DISTINCT x{i}) AS n{i}")
            items.append(f"n{i}")
        else:
            reached.append(f"{aggregate.kind}(x{i}) AS x{i}")
            items.append(f"r.x{i}")
    groups = "SELECT DISTINCT g FROM sample" if grouped else "SELECT CAST(NULL AS VARCHAR) AS g"
    turns = f"SELECT g, unnest([low, high]) AS i, unnest([1, -1]) AS sign, {names} FROM sample"
    spread = f"SELECT g, unnest(range(low, high)) AS i, {names} FROM sample"
    same = "ON {0}.i = p.i AND {0}.g IS NOT DISTINCT FROM s.g"
    joins = [f"LEFT JOIN (SELECT {', '.join(changes)} FROM ({turns}) GROUP BY g, i) c {same.format('c')}"]
    if len(reached) > 2:
        joins.append(f"LEFT JOIN (SELECT {', '.join(reached)} FROM ({spread}) GROUP BY g, i) r {same.format('r')}")
    times = f"SELECT unnest(range({len(points)})) AS i, unnest({list(points)}) AS instant"
    items += [f"s{i}" for i in wide]
    return f"""WITH {_scale_ctes(samples, wide)} SELECT {", ".join(items)}
        FROM ({groups}) s CROSS JOIN ({times}) p CROSS JOIN scales {" ".join(joins)}"""


def _value(expression: AggregateExpression, inputs: Sequence[Value], states: int) -> tuple[str, Column]:
    totals = [
        total(aggregate, i, value, states)
        for i, (aggregate, value) in enumerate(zip(expression.aggregates.values(), inputs, strict=True))
    ]
    value = expression.result(totals)
    if value.type == "number" and value.shape is not None and value.shape.scale == 0 and 0 <= value.shape.whole < 19:
        return f"CAST({value.sql} AS BIGINT)", Column("value", "integer")
    if value.type == "number" and value.shape is not None and value.shape.is_wide:
        return json_text(value), Column("value", "json")
    if value.type in ("number", "text", "time", "boolean"):
        return value.sql, Column("value", value.type)
    raise UsageError(f"EXPR: {expression.text!r} gives no single value", "give a number, a text or a time")
