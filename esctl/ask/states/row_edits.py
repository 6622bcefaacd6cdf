"""The view of a log in which each change of a row is replaced by what became of the row.

The truncation of a table is an event of each row that it held; a new key has what it inherits; reading a known row
again is no event; equal rows without a key are counted. The index has what each record says by itself; what replaces it
is found anew for each question, and only if there are such changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.ask.scope.scope import Scope, counted, limit
from esctl.ask.states.row_ends import row_ends
from esctl.engine.arrow_lists import integers, texts
from esctl.engine.duckdb import explained, relational, single_row
from esctl.engine.quoting import identifier, literal, text_list
from esctl.index.edits import Edits
from esctl.index.files.layouts import layouts
from esctl.index.pruning import ALWAYS, Test
from esctl.index.scan import ENVELOPE, IndexView, Read, sequence_key_as
from esctl.model import AsOf
from esctl.projection.json_values import dumps, loads
from esctl.projection.row_changes.rules import COPIES, row_stanzas, table_sql
from esctl.projection.row_changes.steps import MATCH, Change, Edit, StepPart, follow
from esctl.storage.places import fetched_path

_TABLE = table_sql()
_TRUNCATES = "coalesce(type = 'truncate', false)"
_DELETES = "coalesce(type = 'delete', false)"
_NO_TIME = -(1 << 63)
_GONE = "esctl_row_edits_gone"
_ROWS = ("position", "role_order", "role", "type", "kind", "entity")


class _Followed(Struct, frozen=True):
    """What must be followed: whole tables, single rows, and tables whose rows are ended at once."""

    tables: frozenset[str]
    truncated: frozenset[str]
    identities: Mapping[str, tuple[str, ...]]
    matches: bool  # some rows are named by values, not by keys
    rows: str  # a SELECT of the entities to follow, and up to which fold key (NULL: to their ends); empty: none


def is_prefix(scope: Scope, at: AsOf) -> bool:
    """Return whether a bound is one of the fold order: no change of a table within it is folded after one beyond it.

    Then the changes beyond it do not bear on what became of the rows by then.
    """
    condition = limit(scope, at).condition
    ours = row_stanzas(scope.view.manifest.stanzas)
    if condition == ALWAYS or scope.view.orderings == {at.kind} or not ours or not scope.view.manifest.files:
        return True
    extra = f"{scope.view.key()} AS key, {_TABLE} AS tab, coalesce({condition.sql}, false) AS within"
    rows = scope.view.relation(["entity"], None, _row_tests(scope, ours), extra)
    late = "max(key) FILTER (within) > min(key) FILTER (NOT within)"
    with explained():
        found = single_row(scope.connection, f"SELECT 1 FROM ({rows}) GROUP BY tab HAVING {late} LIMIT 1")
    return found is None


def points_apart(scope: Scope, instants: Sequence[int]) -> list[int]:
    """List the numbers of the instants (microseconds since the epoch) of which `is_prefix` is false."""
    ours = row_stanzas(scope.view.manifest.stanzas)
    if scope.view.orderings == {"time"} or not ours or not instants:
        return []
    extra = f"{scope.view.key()} AS key, {_TABLE} AS tab, epoch_us(time) AS instant"
    rows = scope.view.relation(["entity"], None, _row_tests(scope, ours), extra)
    earlier = "OVER (PARTITION BY tab ORDER BY key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    back = f"SELECT instant, max(instant) {earlier} AS latest FROM ({rows}) QUALIFY instant < latest"
    points = f"SELECT unnest(range({len(instants)})) AS number, unnest({list(instants)}) AS point"
    found = f"SELECT DISTINCT number FROM ({points}) JOIN ({back}) ON point >= instant AND point < latest ORDER BY 1"
    with explained():
        return [number for (number,) in scope.connection.execute(found).fetchall()]


def _row_tests(scope: Scope, stanzas: Sequence[int]) -> list[Test]:
    return [*counted(replace(scope, entities=())), f"stanza IN ({', '.join(map(str, stanzas))})"]


def with_row_edits(scope: Scope, at: AsOf | None = None) -> Scope:
    """Return the scope over a view in which changes of rows are replaced by what became of the rows.

    `at`: only the changes up to there count.
    """
    ours = row_stanzas(scope.view.manifest.stanzas)
    if not ours or not scope.view.manifest.files:
        return scope
    tests = [test for test in [*_row_tests(scope, ours), limit(scope, at).condition] if test != ALWAYS]
    events = scope.view.relation(_ROWS, None, tests, f"{scope.view.key()} AS key, {_TABLE} AS tab")
    with explained():
        asked = _find_followed(scope, tests, events)
        edits = [] if asked is None else _collect_edits(scope, asked, tests, events)
        edits += row_ends(scope, tests)
        if asked is None and not edits:
            return scope
        return replace(scope, view=_view_with_edits(scope, edits), shelf=None)


def _find_followed(scope: Scope, tests: Sequence[Any], events: str) -> _Followed | None:
    """Find what must be followed; None if every change can be folded as it is."""
    kinds = scope.view.relation(["role", "type"], None, tests)
    seen = scope.connection.execute(f"SELECT DISTINCT role, type FROM ({kinds})").fetchall()
    roles, types = {role for role, _ in seen}, {kind for _, kind in seen}
    rows = _select_followed(scope, events, roles, types)
    if not rows and not roles & {"copy", "match"} and not {"truncate"} & types:
        return None
    is_relevant = "true" if "match" in roles else "type = 'truncate'" + " OR role = 'copy'" * ("copy" in roles)
    found = scope.connection.execute(f"""SELECT tab, bool_or(coalesce(role = 'copy', false)),
            bool_or({_MATCHES}) AND {_ALL_MATCHED if "match" in roles else "false"},
            bool_or({_TRUNCATES}), bool_or({_MATCHES})
        FROM ({events}) WHERE {is_relevant} GROUP BY tab ORDER BY tab""").fetchall()
    followed = frozenset(tab for tab, copies, matches, *_ in found if copies or matches)
    matched = [tab for tab, _, matches, *_ in found if matches]
    truncated = frozenset(tab for tab, _, _, truncates, _ in found if truncates)
    return _Followed(followed, truncated, _identities(scope, events, matched), "match" in roles, rows)


_HEIR = f"coalesce(role = 'match' AND ends_with(entity, {literal(MATCH + '}')}), false)"
_MATCHES = f"coalesce(role = 'match' AND NOT {_HEIR}, false)"
_ALL_MATCHED = """count(DISTINCT position) FILTER (type = 'delete')
                = count(*) FILTER (type = 'delete' AND role = 'match')"""


def _select_followed(scope: Scope, events: str, roles: AbstractSet[str | None], types: AbstractSet[str | None]) -> str:
    """Return a SELECT of the rows to follow one by one, from a temporary file; empty if there are none.

    Columns: entity; `until`: the fold key of the last of its events to follow, NULL if it is to be followed to its end.
    What a change of key does depends on the earlier events of the rows that it is taken from and given to. Later events
    of a row can be folded as they are.
    """
    parts = []
    if "read" in types:
        again = "max(key) FILTER (type = 'read') > min(key)"
        parts.append(f"SELECT entity FROM ({events}) GROUP BY entity HAVING {again}")
    if roles & {"patch", "each"}:
        parts.append(f"SELECT entity FROM ({events}) WHERE role IN ('patch', 'each')")
    if "match" in roles:
        before = "lag(entity) OVER (PARTITION BY tab ORDER BY key) AS before"
        heirs = f"SELECT position FROM ({events}) WHERE {_HEIR}"
        rows = f"SELECT position, entity, {before} FROM ({events}) WHERE role IS DISTINCT FROM 'match'"
        parts.append(f"SELECT entity FROM ({events}) WHERE position IN ({heirs})")
        parts.append(f"SELECT before AS entity FROM ({rows}) WHERE position IN ({heirs})")
    parts = [f"SELECT entity, NULL AS until FROM ({part})" for part in parts]
    if "old" in roles:
        moved = f"SELECT position FROM ({events}) WHERE role = 'old'"
        is_plain = roles <= {None, "partial", "old", "table"} and not scope.view.has_struct_keys
        until = f"CAST(max(key) AS {_KEPT_KEY})" if is_plain else "NULL"
        parts.append(f"SELECT entity, {until} AS until FROM ({events}) WHERE position IN ({moved}) GROUP BY entity")
    if not parts:
        return ""
    file = scope.session.new_parquet()
    until = f"CASE WHEN count(*) = count(until) THEN max(until) END::{_KEPT_KEY} AS until"
    sql = f"SELECT entity, {until} FROM ({' UNION ALL '.join(parts)}) GROUP BY entity"
    (count,) = scope.connection.execute(f"COPY ({sql}) TO {literal(str(file))} (FORMAT parquet)").fetchone() or (0,)
    return f"SELECT entity, until FROM read_parquet({literal(str(file))})" if count else ""


_KEPT_KEY = "DECIMAL(38,0)"
"""The SQL type of a fold key that is a number, also in a file."""


def _identities(scope: Scope, events: str, matched: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return, for each table whose rows are named by values, the columns of these values."""
    if not matched:
        return {}
    named = scope.connection.execute(
        f"SELECT tab, entity FROM ({events}) WHERE role = 'match' AND tab IN ({', '.join(map(literal, matched))})"
    ).fetchall()
    found: dict[str, set[str]] = {}
    for tab, entity in named:
        names = set(json.loads(entity[entity.index(MATCH) + 1 :]))
        found[tab] = found[tab] & names if tab in found else names
    return {tab: tuple(sorted(names)) for tab, names in found.items()}


def _collect_edits(scope: Scope, asked: _Followed, tests: Sequence[Any], events: str) -> list[Edit]:
    edits: list[Edit] = []
    if asked.tables or asked.rows:
        edits += follow(_changes(scope, asked, tests), dict(asked.identities), set(asked.tables))
    others = asked.truncated - asked.tables
    edits += _truncations(scope, events, others) if others else []
    if not asked.matches:
        return edits
    # If the key of a change is not an invention of its table's log, the row has what a match says as well.
    edited = {edit.position for edit in edits}
    named = f"SELECT position, role_order FROM ({events}) WHERE role = 'match'"
    rest = scope.connection.execute(named).fetchall()
    return edits + [Edit(position, (order,), ()) for position, order in rest if position not in edited]


def _changes(scope: Scope, asked: _Followed, tests: Sequence[Any]) -> Iterator[Change]:
    """Read the changes to follow, in fold order: those of the tables and rows asked for, and the truncations."""
    within = " OR ".join(
        [
            "type = 'truncate'",
            *([_table_condition(asked.tables)] if asked.tables else []),
            *([f"entity IN (SELECT entity FROM ({asked.rows}))"] if asked.rows else []),
        ]
    )
    reads = {"data": Read((), "json")}
    keys = f"{scope.view.event_key()} AS event_key, {scope.view.key()} AS key"
    rows = scope.view.relation(_ROWS, reads, [*tests, f"({within})"], keys)
    if asked.rows and not asked.tables and not scope.view.has_struct_keys:
        rows = _leave_out_unconcerned(rows, asked.rows)
    cursor = scope.connection.cursor()
    cursor.execute(f"SELECT {', '.join(_ROWS)}, data FROM ({rows}) ORDER BY event_key, role_order")
    rows_found = chain.from_iterable(iter(lambda: cursor.fetchmany(_FETCHED), []))
    for position, group in groupby(rows_found, key=itemgetter(0)):
        parts = list(group)
        yield Change(position, parts[0][3] or "", tuple(map(_read_part, parts)))


_FETCHED = 10_000


def _leave_out_unconcerned(rows: str, followed: str) -> str:
    """Leave out changes that concern no other row: those after `until`, and those that a whole row replaces next."""
    known = f"SELECT entity, CAST(until AS HUGEINT) AS until FROM ({followed})"
    joined = f"SELECT * FROM ({rows}) LEFT JOIN ({known}) USING (entity) WHERE until IS NULL OR key <= until"
    replaced = "lead(role IS NULL AND type <> 'delete', 1, false) OVER (PARTITION BY entity ORDER BY key)"
    moves = "bool_or(coalesce(role = 'old', false)) OVER (PARTITION BY position)"
    marked = f"SELECT *, coalesce({replaced}, false) AS replaced, {moves} AS moves FROM ({joined})"
    return f"SELECT * FROM ({marked}) WHERE until IS NULL OR moves OR NOT replaced"


def _read_part(row: tuple[Any, ...]) -> StepPart:
    _, role_order, role, _, kind, entity, data = row
    read = loads(data) if data is not None else None
    return StepPart(entity, role, role_order, kind, read if isinstance(read, dict) else None)


def _table_condition(tables: AbstractSet[str]) -> str:
    """Write whether a row is of some tables, by how its name begins: extracting the table of each name costs more."""
    names = sorted(tables)
    begins = [f"starts_with(entity, {literal(name + end)})" for name in names for end in ("/", MATCH)]
    return f"(entity IN ({', '.join(map(literal, names))}) OR {' OR '.join(begins)})"


def _truncations(scope: Scope, events: str, tables: frozenset[str]) -> list[Edit]:
    """Return the edits that end the rows which tables held when they were truncated."""
    sql = f"""WITH e AS MATERIALIZED (SELECT * FROM ({events}) WHERE {_table_condition(tables)}),
        ends AS (SELECT tab, key, position FROM e WHERE {_TRUNCATES}),
        rows AS (SELECT * FROM e WHERE NOT {_TRUNCATES} AND role IS DISTINCT FROM 'match'),
        held AS (SELECT rows.*, ends.key AS end_key, ends.position AS end_position
            FROM rows ASOF JOIN ends ON rows.tab = ends.tab AND rows.key < ends.key)
        SELECT end_position, kind, entity FROM held GROUP BY end_position, kind, entity
        HAVING NOT arg_max({_DELETES} OR coalesce(role IN ('old', 'ended'), false), key) ORDER BY ALL"""
    rows = scope.connection.execute(sql).fetchall()
    return [
        Edit(position, (), tuple(StepPart(entity, "table", 0, kind) for _, kind, entity in group))
        for position, group in groupby(rows, key=lambda row: row[0])
    ]


def _view_with_edits(scope: Scope, edits: Sequence[Edit]) -> IndexView:
    """Return the view with edits: a file of the rows of events to take out, and one of those to put in."""
    import pyarrow as pa

    gone = scope.session.new_parquet()
    pairs = [(edit.position, order) for edit in edits for order in edit.gone]
    table = {
        "position": integers([position for position, _ in pairs], pa.int64()),
        "role_order": integers([order for _, order in pairs], pa.uint8()),
    }
    relational(scope.connection).register(_GONE, pa.table(table))
    try:
        scope.connection.execute(f"COPY {_GONE} TO {literal(str(gone))} (FORMAT parquet)")
    finally:
        scope.connection.unregister(_GONE)
    come = scope.session.new_parquet()
    parts = [(edit.position, part) for edit in edits for part in edit.come]
    fields = _write_rows(scope, come, parts)
    made = {name for _, part in parts if part.made or part.role == COPIES for name in part.data or ()}
    return replace(scope.view, edits=Edits(gone, come, tuple(sorted(fields)), frozenset(made)))


def _write_rows(scope: Scope, file: Path, parts: Sequence[tuple[int, StepPart]]) -> set[str]:
    """Write the rows to put in, each with the envelope of its event; return the fields of their payloads."""
    import pyarrow as pa

    data = (None if part.data is None else dumps(dict(sorted(part.data.items()))) for _, part in parts)
    table = pa.table({
        "own_position": integers([position for position, _ in parts], pa.int64()),
        "own_entity": texts([part.entity for _, part in parts]),
        "own_kind": texts([part.kind for _, part in parts]),
        "own_role": texts([part.role for _, part in parts]),
        "own_order": integers([part.role_order for _, part in parts], pa.uint8()),
        "own_data": texts(list(data)),
        "own_time": integers([_NO_TIME if part.time is None else part.time for _, part in parts], pa.int64()),
    })  # fmt: skip
    connection = scope.connection
    relational(connection).register("esctl_row_edits", table)
    try:
        stored = _stored_rows(scope.view, "position IN (SELECT own_position FROM esctl_row_edits)")
        own = "own_entity AS entity, own_kind AS kind, own_role AS role, own_order AS role_order"
        moved = ("tie", "wall", "undated")  # they belong to the instant of the event
        is_own = f"own_time <> {_NO_TIME}"
        own += "".join(f", CASE WHEN NOT {is_own} THEN {name} END AS {name}" for name in moved)
        own += f", CASE WHEN {is_own} THEN make_timestamptz(own_time) ELSE time END AS time"
        sql = f"""SELECT e.* REPLACE ({own}), own_data AS data, CAST(NULL AS VARCHAR) AS nulls
            FROM (SELECT * FROM ({stored}) QUALIFY row_number() OVER (PARTITION BY position ORDER BY role_order) = 1) e
            JOIN esctl_row_edits ON own_position = position ORDER BY entity, position"""
        connection.execute(f"COPY ({sql}) TO {literal(str(file))} (FORMAT parquet)")
    finally:
        connection.unregister("esctl_row_edits")
    return {name for _, part in parts for name in part.data or ()}


def _stored_rows(view: IndexView, where: str) -> str:
    """Write a SELECT of all envelope columns as they are stored, sequences in one form."""
    selects = []
    for layout in layouts(view.manifest.files):
        paths = text_list([str(fetched_path(view.folder / file.file)) for file in layout.files])
        key = sequence_key_as(view.sequence_form, layout.sequence_key)
        names = ", ".join(f"{key} AS sequence_key" if n == "sequence_key" else identifier(n) for n in ENVELOPE)
        selects.append(f"SELECT {names} FROM read_parquet({paths}, union_by_name = true) WHERE {where}")
    return " UNION ALL ".join(selects)
