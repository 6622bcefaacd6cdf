"""The trail of each entity: what every event changed. Shared by audit and diff."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.scope.named_values import check_fields
from esctl.ask.scope.plans import plan_for
from esctl.ask.scope.scope import Claim, Scope, claims, event_rows, run_fieldless_checks
from esctl.engine.duckdb import explained
from esctl.engine.exact_text import json_string, plain_json_sql
from esctl.engine.quoting import literal
from esctl.model import MARK, AsOf
from esctl.projection.fold import NotSetwiseError
from esctl.projection.trails.windows import TRAIL_COLUMNS, trail_sql


class Trail(Struct, frozen=True):
    """A row per event and entity: kind, entity, key, version, TRAIL_COLUMNS, changes (JSON text), fields.

    `fields` lists the names of the fields touched. `names`: those of the fields that a state can have; None if only the
    events show them.
    """

    sql: str
    names: frozenset[str] | None


def trail(
    scope: Scope,
    claim: Claim,
    at: AsOf | None,
    conditions: Sequence[str] = (),
    fields: Sequence[str] = (),
    also: AsOf | None = None,
) -> Trail:
    """Fold one projection's entities event by event. `fields`: only their changes; `also`: a second bound."""
    try:
        if claim.projection.python or claim.projection.sql:
            raise NotSetwiseError
        plan = plan_for(scope, claim.projection)
        envelope = [name for name in TRAIL_COLUMNS if name not in ("position", "time")]
        rows = event_rows(scope, plan.reads, [claim.condition, *conditions], at, envelope, also)
        run_fieldless_checks(scope, plan, rows)
        changes, touched = [], []
        for i, field in enumerate(plan.fields):
            if fields and field.name not in fields:
                continue
            changes.append(change_sql(field.name, f"before{i}", f"after{i}"))
            touched.append(f"CASE WHEN touched{i} THEN {literal(field.name)} END")
        listed = f"concat_ws(',', {', '.join(changes)})" if changes else "''"
        names = f"list_filter([{', '.join(touched)}]::VARCHAR[], lambda n: n IS NOT NULL)"
        checks = "".join(f" + coalesce(check{i}::BIGINT, 0)" for i in range(len(plan.checks)))
        columns = ", ".join(TRAIL_COLUMNS)
        known = frozenset(field.name for field in plan.fields)
        sql = f"""SELECT kind, entity, key, version{checks} AS version, {columns},
            '[' || {listed} || ']' AS changes, {names} AS fields FROM ({trail_sql(plan, rows)})"""
        return Trail(sql, known)
    except NotSetwiseError:
        from esctl.ask.states.event_by_event import stream_trail

        return Trail(stream_trail(scope, claim, at, conditions, fields, also), None)


def touched_fields(scope: Scope, part: Trail) -> frozenset[str]:
    """Return the fields that the states of a trail can have, or else those that its events touch."""
    if part.names is not None:
        return part.names
    return scope.lookups.once(lambda: _list_touched(scope, part))


def _list_touched(scope: Scope, part: Trail) -> frozenset[str]:
    with explained():
        rows = scope.connection.execute(f"SELECT DISTINCT unnest(fields) FROM ({part.sql})").fetchall()
    return frozenset(name for (name,) in rows)


def check_touched(scope: Scope, asked: Sequence[str], known: frozenset[str]) -> None:
    """Check that each field asked for is in `known`, or that some event of the log touches it, whatever the bounds.

    Raises NotFoundError, with the nearest field.
    """
    if not known.issuperset(asked):
        scope.lookups.once(lambda: _check_everywhere(scope, asked, known))


def _check_everywhere(scope: Scope, asked: Sequence[str], known: frozenset[str]) -> None:
    everything = replace(scope, entities=(), known_at=None, without=())
    parts = [trail(everything, claim, None) for claim in claims(everything) if not claim.projection.sql]
    if parts:  # events do not show the fields of an SQL projection
        check_fields(asked, known.union(*(touched_fields(everything, part) for part in parts)))


def change_sql(field: str, before: str, after: str) -> str:
    """Write one change as JSON text, without the key of a side that is absent; NULL if nothing changed."""
    name = literal('{"field":' + json_string(field))
    parts = [
        f"CASE WHEN {sql} IS NOT NULL THEN {literal(f',{chr(34)}{key}{chr(34)}:')} || {sql} ELSE '' END"
        for key, sql in (("before", before), ("after", after))
    ]
    return f"CASE WHEN {differ(before, after)} THEN {name} || {parts[0]} || {parts[1]} || '}}' END"


def differ(before: str, after: str) -> str:
    """Write whether two columns of JSON text differ by value: a number may be marked in one, or have trailing zeros."""
    one, two = plain_json_sql(before), plain_json_sql(after)
    marked = f"(contains({before}, {literal(MARK)}) OR contains({after}, {literal(MARK)}))"
    return f"""CASE WHEN {before} IS NOT DISTINCT FROM {after} THEN false
        WHEN {marked} THEN {one} IS DISTINCT FROM {two} ELSE true END"""
