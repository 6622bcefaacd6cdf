"""blame: which event gave each field of a state its value, when, and by whom."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.scope.fold_order import check_order
from esctl.ask.scope.plans import plan_for
from esctl.ask.scope.scope import Claim, Scope, check_entities, claims, counted, event_rows, projection_notes
from esctl.ask.states.trail import check_touched
from esctl.model import Answer, AsOf, Column
from esctl.projection.blame import blame_sql, contributions_sql
from esctl.projection.fold import NotSetwiseError

COLUMNS = (
    Column("entity", "text"),
    Column("kind", "text"),
    Column("field", "text"),
    Column("value", "json"),
    Column("change", "text"),
    Column("contributions", "integer", spare=True),
    Column("position", "integer"),
    Column("time", "time"),
    Column("role", "text"),
    Column("type", "text"),
    Column("actor", "text"),
    Column("id", "text"),
)
_EVENT = ("position", "time", "role", "type", "actor", "id")


def blame(scope: Scope, at: AsOf | None = None, fields: Sequence[str] = (), *, every: bool = False) -> Answer:
    """Return one row per field of each state, with the last event that had an operation on it.

    `every`: instead, one row for each event since the field was last set, with the value after it. `fields`: only
    these. Raises NotFoundError for a field that no state has.
    """
    check_entities(scope)
    check_order(scope)
    parts = [_blame_rows(scope, claim, at, fields, every=every) for claim in claims(scope) if not claim.projection.sql]
    if fields:
        check_touched(
            scope, fields, frozenset[str]().union(*(part.fields for part in parts if part.fields is not None))
        )
    events = scope.view.relation(["kind", "entity", *_EVENT], None, counted(scope), f"{scope.view.key()} AS key")
    none = (
        f"SELECT kind, entity, type AS field, type AS value, key, false AS anew, 0 AS made FROM ({events}) WHERE false"
    )
    rows = " UNION ALL ".join(f"({part.sql})" for part in parts) or none
    change = "CASE WHEN b.field IS NULL THEN 'deleted' WHEN b.anew THEN 'set' ELSE 'contributed' END"
    sql = f"""SELECT b.entity, b.kind, b.field, b.value, {change} AS change, b.made AS contributions,
        {", ".join(f"e.{name}" for name in _EVENT)}
        FROM ({rows}) b JOIN ({events}) e ON e.kind = b.kind AND e.entity = b.entity AND e.key = b.key
        ORDER BY b.kind, b.entity, b.field, b.made"""
    order = ("kind", "entity", "field", "contributions")
    return Answer(scope.session, sql, COLUMNS, notes=projection_notes(scope), title="blame", order=order)


class _BlameRows(Struct, frozen=True):
    """SQL with the columns of `blame_sql`, and the possible fields; None if they are not known beforehand."""

    sql: str
    fields: frozenset[str] | None


def _blame_rows(scope: Scope, claim: Claim, at: AsOf | None, fields: Sequence[str], *, every: bool) -> _BlameRows:
    try:
        if claim.projection.python:
            raise NotSetwiseError
        plan = plan_for(scope, claim.projection)
        rows = event_rows(scope, plan.reads, [claim.condition], at)
        known = frozenset(field.name for field in plan.fields)
        if fields:
            plan = replace(plan, fields=tuple(field for field in plan.fields if field.name in fields))
        return _BlameRows((contributions_sql if every else blame_sql)(plan, rows), known)
    except NotSetwiseError:
        from esctl.ask.states.event_by_event import stream_touches

        return _BlameRows(_last_touches(stream_touches(scope, claim, at, fields), every=every), None)


def _last_touches(touches: str, *, every: bool) -> str:
    """Select, from all operations on fields, those that made the present states; the last per field unless `every`."""
    lives = """SELECT kind, entity, max(key) AS born, arg_max(dead, key) AS gone
        FROM touch WHERE field IS NULL GROUP BY kind, entity"""
    field = "PARTITION BY kind, entity, field"
    living = f"""SELECT kind, entity, field, value, key, coalesce(resets, false) AS anew,
        max(key) FILTER (resets IS NOT NULL) OVER ({field}) AS since
        FROM touch JOIN life USING (kind, entity) WHERE NOT gone AND field IS NOT NULL AND key >= born"""
    made = f"""SELECT * EXCLUDE (since), row_number() OVER ({field} ORDER BY key) AS made,
        max(key) OVER ({field}) AS last FROM ({living})
        WHERE (since IS NULL OR key >= since) AND value IS NOT NULL"""
    return f"""WITH touch AS ({touches}), life AS ({lives})
        SELECT kind, entity, field, value, key, anew, made FROM ({made}){"" if every else " WHERE key = last"}
        UNION ALL SELECT kind, entity, NULL, NULL, born, true, 0 FROM life WHERE gone"""
