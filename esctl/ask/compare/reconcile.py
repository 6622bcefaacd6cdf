"""reconcile: what a system has, compared with the state that the log implies."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.compare.external_table import (
    FileOptions,
    ForeignFields,
    ForeignTable,
    check_keys,
    foreign_fields,
    key_columns,
    key_glob,
    key_sql,
    read_foreign,
)
from esctl.ask.compare.same_value import Unclear, ValueComparison, differ_sql, is_time_sql, readings_of, with_texts
from esctl.ask.scope.bounds import entity_conditions, is_glob
from esctl.ask.scope.fold_order import check_order
from esctl.ask.scope.scope import Claim, Scope, check_entities, claims, counted, find_projection
from esctl.ask.states.replay import states
from esctl.ask.states.state_fields import States
from esctl.ask.states.trail import trail
from esctl.engine.duckdb import explained, relational
from esctl.engine.exact_text import json_string
from esctl.engine.quoting import literal
from esctl.errors import UsageError
from esctl.index.scan import read_json
from esctl.model import Answer, AsOf, Column, Findings

COLUMNS = (
    Column("entity", "text"),
    Column("kind", "text"),
    Column("difference", "text"),
    Column("field", "text"),
    Column("log", "json"),
    Column("file", "json"),
    Column("position", "integer"),
    Column("time", "time"),
    Column("type", "text"),
    Column("actor", "text"),
    Column("id", "text"),
)
RULES = (
    ("missing", "an entity is in the state that the log implies, and not in the file"),
    ("extra", "an entity is in the file, and not in the state that the log implies"),
    ("different", "a field has another value in the file than the log implies"),
)
_MOST_LISTED = 20
"""The most columns of either side that an error names."""
_EVENT = ("position", "time", "type", "actor", "id")


class Comparison(Struct, frozen=True):
    """How to compare a file. `key`: its key column, or a template; `every_field`: also fields that one side lacks.

    `time_format`: how its times are written, as for `ingest --time-format`; empty: detected.
    """

    key: str = ""
    ignored: tuple[str, ...] = ()
    every_field: bool = False
    file: FileOptions = FileOptions()
    time_format: tuple[str, ...] = ()


class Reconciled(Struct, frozen=True):
    """The differences, and how many entities are equal, missing, extra and different."""

    answer: Answer
    counts: dict[str, int]

    @property
    def differs(self) -> bool:
        """Return whether anything differs."""
        return any(count for name, count in self.counts.items() if name != "equal")


def reconcile(scope: Scope, file: Path, at: AsOf | None, how: Comparison) -> Reconciled:
    """Compare a file's rows with the states at a point. Raises InputError if it cannot be read, else as `compare`."""
    return compare(scope, read_foreign(scope.session, file, how.file), at, how)


def compare(scope: Scope, table: ForeignTable, at: AsOf | None, how: Comparison) -> Reconciled:
    """Compare rows with the states at a point.

    Raises InputError if a row has no key or the key of another one, UsageError if the rows lack the key's columns, if
    none of their columns is a field of the states, or if day and month of a date cannot be told apart.
    """
    key = key_sql(table, how.key)
    table, fields = foreign_fields(scope.session, table)
    check_keys(scope.session, table, [key, *([fields.kind] if fields.kind else [])])
    if not scope.entities and key_glob(how.key):
        scope = replace(scope, entities=(key_glob(how.key),))
    _check_named(scope, f"SELECT {key} AS entity FROM ({table.sql})")
    check_order(scope)
    shared = claims(scope)
    parts = [states(scope, claim, at) for claim in shared]
    names, left_out = _choose_fields(scope, parts, fields, how)
    if not names:
        _refuse_disjoint_fields(table, parts, left_out)
    mine = " UNION ALL ".join(_state_rows(part, names) for part in parts)
    theirs = _file_rows(scope, table, key, fields, names)
    own = {name: fields.values.get(name, "NULL") for name in names}
    readings, unclear = readings_of(scope.session, table, own, how.time_format)
    _check_dates(scope, table, mine, unclear)
    values = ValueComparison(scope.tz, readings)
    spool = _compare(scope, (mine, theirs), names, values, by_kind=bool(fields.kind), delimited=table.delimited)
    counts = _counts(scope, spool)
    notes = list(table.notes)
    notes += [f"note: not compared, as no state has them: {', '.join(left_out)}"] if left_out else []
    notes.append(", ".join(f"{count} {name}" for name, count in counts.items()))
    sql = _answer_sql(scope, shared, at, spool, names if counts["different"] else ())
    findings = Findings(RULES, "difference", _MESSAGE, "entity")
    answer = Answer(scope.session, sql, COLUMNS, notes=tuple(notes), title="differences", findings=findings)
    return Reconciled(answer, counts)


_MESSAGE = """CASE difference WHEN 'missing' THEN 'not in the file' WHEN 'extra' THEN 'in the file alone'
    ELSE field || ': the log has ' || coalesce(log, 'nothing') || ', the file ' || coalesce(file, 'nothing') END"""


def _check_named(scope: Scope, rows: str) -> None:
    """Check that each entity asked for is in the log or in the file. Raises NotFoundError."""
    names = [name for name in scope.entities if not is_glob(name)]
    if names:
        with explained():
            found = scope.connection.execute(
                f"SELECT entity FROM ({rows}) WHERE {entity_conditions(names).sql}"
            ).fetchall()
        there = {name for (name,) in found}
        check_entities(replace(scope, entities=tuple(name for name in names if name not in there)))


def _choose_fields(
    scope: Scope, parts: Sequence[States], fields: ForeignFields, how: Comparison
) -> tuple[list[str], list[str]]:
    """Return the fields to compare, and the fields of the file that are left out because no state has them."""
    known = dict.fromkeys(name for part in parts for name in _state_names(part))
    apart = {*how.ignored, *(name for name in key_columns(how.key) if name not in known)}
    found = [name for name in fields.values if name not in apart]
    if how.every_field:
        return [name for name in dict.fromkeys([*known, *found]) if name not in how.ignored], []
    return [name for name in found if name in known], [name for name in found if name not in known]


def _check_dates(scope: Scope, table: ForeignTable, mine: str, unclear: Sequence[Unclear]) -> None:
    """Raise UsageError if the log has times in a field for which the file has ambiguous dates."""
    if not unclear:
        return
    tests = ", ".join(f"bool_or({is_time_sql(f'l{each.number}')})" for each in unclear)
    with explained():
        (found,) = scope.connection.execute(f"SELECT {tests} FROM ({mine})").fetchall()
    for each, has_times in zip(unclear, found, strict=True):
        if has_times:
            raise UsageError(
                f"{table.name}: day and month of {each.name} cannot be told apart: {each.text!r}",
                "say which it is: --time-format day-first, or --time-format month-first",
            )


def _refuse_disjoint_fields(table: ForeignTable, parts: Sequence[States], left_out: Sequence[str]) -> None:
    """Raise UsageError if both the file and the states have fields: with none in common all would seem to agree."""
    known = list(dict.fromkeys(name for part in parts for name in _state_names(part)))
    if left_out and known:
        theirs, mine = _list_names(left_out), _list_names(known)
        raise UsageError(
            f"{table.name}: nothing to compare: the file has {theirs}, and the state has {mine}",
            "name the columns as the fields are, or choose a projection with -p; --all-fields compares them regardless",
        )


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_LISTED]) + (f" and {len(names) - _MOST_LISTED} more" * (len(names) > _MOST_LISTED))


def _state_names(part: States) -> Iterable[str]:
    return sorted(part.names) or [field.name for field in part.fields]


def _state_rows(part: States, names: Sequence[str]) -> str:
    """Write the log's side: `live` is true or NULL; l0, l1, ... are the fields' JSON text."""
    own = {field.name: field.column for field in part.fields}
    items = ["entity", "kind", "CASE WHEN NOT deleted THEN true END AS live", "position", "time"]
    for i, name in enumerate(names):
        value = read_json("state", (name,), "json", marked=True) if part.streamed else own.get(name, "NULL")
        items.append(f"CAST({value} AS VARCHAR) AS l{i}")
    return f"SELECT {', '.join(items)} FROM ({part.sql})"


def _file_rows(scope: Scope, table: ForeignTable, key: str, fields: ForeignFields, names: Sequence[str]) -> str:
    """Write the file's side for the entities asked about: r0, r1, ... are the fields' JSON text."""
    items = [f"{key} AS entity", f"{fields.kind or 'CAST(NULL AS VARCHAR)'} AS kind", "true AS given"]
    items += [f"CAST({fields.values.get(name, 'NULL')} AS VARCHAR) AS r{i}" for i, name in enumerate(names)]
    wanted = scope.entities
    if not wanted and scope.projection:
        glob = find_projection(scope.projections, scope.projection).entities
        wanted = (glob,) if glob else ()
    return f"SELECT * FROM (SELECT {', '.join(items)} FROM ({table.sql})) WHERE {entity_conditions(wanted).sql}"


def _compare(
    scope: Scope,
    sides: tuple[str, str],
    names: Sequence[str],
    values: ValueComparison,
    *,
    by_kind: bool,
    delimited: bool,
) -> str:
    """Write a row per entity to a temporary file (its result, differences and last event); return SQL that reads it."""
    function = f"esctl_agree_{secrets.token_hex(8)}"
    types: list[Any] = ["VARCHAR", "VARCHAR", "INTEGER"]
    relational(scope.connection).create_function(function, values.agree, types, "BOOLEAN")
    mine, theirs = sides
    same = "s.entity = f.entity" + (" AND s.kind = f.kind" if by_kind else "")
    rows = f"""SELECT coalesce(s.entity, f.entity) AS entity, coalesce(s.kind, f.kind) AS kind,
        s.* EXCLUDE (entity, kind), f.* EXCLUDE (entity, kind) FROM ({mine}) s FULL JOIN ({theirs}) f ON {same}"""
    changes = [
        f"""CASE WHEN {differ_sql(i, function)}
            THEN {{'field': {literal(field)}, 'log': l{i}, 'file': r{i}}} END"""
        for i, field in enumerate(names)
    ]
    listed = f"list_filter([{', '.join(changes)}], lambda c: c IS NOT NULL)" if changes else _NO_CHANGES
    sql = f"""SELECT entity, kind, position, time,
        CASE WHEN live AND given THEN 'equal' WHEN live THEN 'missing' WHEN given THEN 'extra' END AS found,
        CASE WHEN live AND given THEN {listed} ELSE {_NO_CHANGES} END AS changes,
        CASE WHEN live THEN {_object("l", names)} END AS log,
        CASE WHEN given THEN {_object("r", names)} END AS file
        FROM ({with_texts(rows, len(names), delimited=delimited)}) WHERE live OR given"""
    spool = literal(str(scope.session.new_parquet()))
    with explained():
        scope.connection.execute(f"COPY ({sql}) TO {spool} (FORMAT parquet)")
    found = "CASE WHEN len(changes) > 0 THEN 'different' ELSE found END"
    return f"SELECT * REPLACE ({found} AS found) FROM read_parquet({spool})"


_NO_CHANGES = "CAST([] AS STRUCT(field VARCHAR, log VARCHAR, file VARCHAR)[])"


def _object(side: str, names: Sequence[str]) -> str:
    members = [
        f"CASE WHEN {side}{i} IS NOT NULL THEN {literal(json_string(name) + ':')} || {side}{i} END"
        for i, name in enumerate(names)
    ]
    return f"'{{' || concat_ws(',', {', '.join(members)}) || '}}'" if members else "'{}'"


def _counts(scope: Scope, spool: str) -> dict[str, int]:
    with explained():
        found = dict(scope.connection.execute(f"SELECT found, count(*) FROM ({spool}) GROUP BY found").fetchall())
    return {name: int(found.get(name, 0)) for name in ("equal", "missing", "extra", "different")}


def _answer_sql(scope: Scope, shared: Sequence[Claim], at: AsOf | None, spool: str, names: Sequence[str]) -> str:
    """Write a row per missing or extra entity and per different field (one of `names`), with its last event."""
    common = "entity, kind, found AS difference, position, time"
    rows = f"""SELECT {common}, NULL AS field, log, file FROM ({spool}) WHERE found IN ('missing', 'extra')
        UNION ALL SELECT * EXCLUDE (c), c.field, c.log, c.file
        FROM (SELECT {common}, unnest(changes) AS c FROM ({spool}) WHERE found = 'different')"""
    last = _last_events(scope, spool)
    none = f"SELECT *, NULL AS field FROM ({last}) WHERE false"
    touching = _last_touches(scope, shared, at, spool, names) if names else none
    event = ", ".join(f"coalesce(t.{name}, l.{name}) AS {name}" for name in _EVENT)
    return f"""SELECT d.entity, d.kind, difference, d.field, d.log, d.file, {event} FROM ({rows}) d
        LEFT JOIN ({touching}) t ON t.kind = d.kind AND t.entity = d.entity AND t.field = d.field
        LEFT JOIN ({last}) l ON l.kind = d.kind AND l.entity = d.entity AND l.position = d.position
        ORDER BY d.kind NULLS LAST, d.entity, d.field"""


def _last_events(scope: Scope, spool: str) -> str:
    """Write the last event of each entity that differs: kind, entity and _EVENT."""
    differing = f"position IN (SELECT position FROM ({spool}) WHERE found <> 'equal')"
    rows = scope.view.relation(["kind", "entity", *_EVENT], None, [*counted(scope), differing])
    return f"SELECT DISTINCT kind, entity, {', '.join(_EVENT)} FROM ({rows})"


def _last_touches(scope: Scope, shared: Sequence[Claim], at: AsOf | None, spool: str, names: Sequence[str]) -> str:
    """Write the last event that touched each of some fields, for the entities with a different field."""
    only = f"(kind, entity) IN (SELECT (kind, entity) FROM ({spool}) WHERE found = 'different')"
    event = ", ".join(_EVENT)
    trails = [trail(scope, claim, at, [only], names).sql for claim in shared]
    parts = [f"SELECT kind, entity, key, {event}, unnest(fields) AS field FROM ({rows})" for rows in trails]
    last = "QUALIFY row_number() OVER (PARTITION BY kind, entity, field ORDER BY key DESC) = 1"
    return f"SELECT kind, entity, field, {event} FROM ({' UNION ALL '.join(parts)}) {last}"
