"""The states that events left: one pass in fold order gives what window functions give."""

from __future__ import annotations

from collections import Counter
from typing import Any

import duckdb
import pytest
from msgspec.structs import replace

from esctl.ask.scope.plans import plan_for
from esctl.ask.scope.scope import claims, event_rows
from esctl.engine.duckdb import connect, explained
from esctl.errors import UsageError
from esctl.index.pruning import Predicate
from esctl.projection.cells import FieldPlan
from esctl.projection.fold import NotSetwiseError, Plan
from esctl.projection.layers import Layers
from esctl.projection.sql import EventRows
from esctl.projection.trails.running import can_run_along, running_sql
from esctl.projection.trails.windows import TRAIL_COLUMNS, windows_sql
from esctl.projection.values import Shape
from tests.ask.states.test_engine_reference import hold
from tests.support.engine_harness import Engine, engine, session
from tests.support.strategies import Log

COLUMNS = tuple(name for name in TRAIL_COLUMNS if name not in ("position", "time"))


def roads(made: Engine, seen: Counter[str]) -> None:
    """Compare both ways for each claim of a log; an error of one is an error of the other."""
    scope = made.scope()
    for claim in claims(scope):
        try:
            plan = plan_for(scope, claim.projection, calculating=True)
        except (NotSetwiseError, UsageError):
            continue
        rows = event_rows(scope, plan.reads, [claim.condition], None, COLUMNS)
        fields = tuple(field for field in plan.fields if can_run_along(replace(plan, fields=(field,)), rows))
        plan = replace(plan, fields=fields)
        if not can_run_along(plan, rows):
            continue
        names = ["kind", "entity", "key", "version", "dead", *TRAIL_COLUMNS]
        names += [f"after{i}" for i in range(len(plan.fields))]
        running, windows = (
            told(sql, names) for sql in (running_sql(plan, rows, TRAIL_COLUMNS), windows_sql(plan, rows))
        )
        assert running == windows
        seen.update("sum" for field in plan.fields if field.family and field.resets)
        seen.update(["error"] if running is None else ["rows"] if running else [])
        seen.update("dies" for row in running or () if row[4])


def told(sql: str, names: list[str]) -> list[tuple[object, ...]] | None:
    """Give the rows in fold order, None where an event is at fault."""
    connection = session().connection
    try:
        with explained():
            found = connection.execute(f"SELECT {', '.join(names)} FROM ({sql})").fetchall()
    except UsageError:
        return None
    return sorted(found, key=repr)


def test_both_ways_leave_the_same_states() -> None:
    seen: Counter[str] = Counter()

    def check(log: Log) -> None:
        with engine(log) as made:
            roads(made, seen)

    hold(check, 84, 933)
    assert seen.keys() >= {"sum", "rows"}, seen


def _rows(entities: int, count: int) -> str:
    """Write events of many entities in no order: some reset a sum, some delete, some do nothing."""
    return f"""SELECT CASE WHEN hash(i, 'k') % 3 = 0 THEN NULL ELSE 'kind' || hash(i, 'k') % 3 END AS kind,
        'entity-' || hash(i, 'e') % {entities} AS entity, i AS position, hash(i, 'p')::HUGEINT * 2 AS key,
        hash(i, 'p')::HUGEINT * 2 AS event_key, hash(i, 'd') % 40 = 0 AS dies, hash(i, 'r') % 10 = 0 AS sets,
        TIMESTAMP '2024-01-01' AS time, TIMESTAMP '2024-01-01' AS recorded_at, '' AS role, 't' AS type,
        NULL AS actor, 'e' || i AS id, NULL AS correlation, NULL AS causation,
        CASE WHEN hash(i, 'n') % 5 > 0 THEN CAST(CAST(hash(i, 'a') % 20000 AS INTEGER) - 10000 AS DECIMAL(7,2)) END
            AS adds
        FROM range({count}) t(i)"""


def _plan(*fields: FieldPlan) -> Plan:
    nothing: Any = None
    return Plan(nothing, nothing, Layers(), fields, dead=Predicate("dies"), checks=())


@pytest.mark.parametrize("threads", [1, 4])
def test_rows_stay_in_order_on_several_threads(threads: int) -> None:
    connection: duckdb.DuckDBPyConnection = connect(threads=threads)
    connection.execute(f"CREATE TABLE event AS {_rows(700, 60_000)}")
    fields = (
        FieldPlan("plain", Predicate("sets"), "CASE WHEN sets THEN to_json(id)::VARCHAR END"),
        FieldPlan("total", Predicate("sets"), "CASE WHEN sets THEN '1.5' END", "sum", "adds", Shape(5, 2), number=True),
        FieldPlan("added", Predicate("false"), "CAST(NULL AS VARCHAR)", "sum", "adds", Shape(5, 2), number=True),
    )
    plan = _plan(*fields)
    rows = EventRows("SELECT * FROM event", twice=False, most_rows=60_000)
    assert can_run_along(plan, rows)
    names = "kind, entity, key, version, dead, position, id, after0, after1, after2"
    running, windows = running_sql(plan, rows, TRAIL_COLUMNS), windows_sql(plan, rows)
    differing = f"(SELECT {names} FROM ({running}) EXCEPT ALL SELECT {names} FROM ({windows}))"
    assert connection.execute(f"SELECT count(*) FROM {differing}").fetchall() == [(0,)]
    order = f"SELECT kind, entity, key FROM ({running})"
    assert connection.execute(order).fetchall() == connection.execute(f"{order} ORDER BY ALL").fetchall()


def test_rows_out_of_order_are_no_answer() -> None:
    connection = connect(threads=1)
    connection.execute(f"CREATE TABLE event AS {_rows(3, 50)}")
    plan = _plan(FieldPlan("plain", Predicate("sets"), "to_json(id)::VARCHAR"))
    sql = running_sql(plan, EventRows("SELECT * FROM event", twice=False, most_rows=50), TRAIL_COLUMNS)
    shuffled = sql.replace("ORDER BY kind, entity, key", "ORDER BY hash(position)")
    assert shuffled != sql
    with pytest.raises(duckdb.InvalidInputException, match="not in fold order"):
        connection.execute(f"SELECT sum(version) FROM ({shuffled})").fetchall()
