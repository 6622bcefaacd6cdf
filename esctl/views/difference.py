"""How the content of a target differs from the states of the log, row by row and field by field."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from esctl.engine.duckdb import Session, explained, single_row
from esctl.engine.exact_text import printable_json_sql, time_text
from esctl.engine.quoting import literal
from esctl.index.scan import read_json
from esctl.model import MARK, Answer, Column
from esctl.sinks.columns import COLUMNS_AFTER, Field, name_columns
from esctl.sinks.protocol import Content
from esctl.sinks.tabular import STAGED, stage

COLUMNS = (
    Column("entity", "text"), Column("kind", "text"), Column("difference", "text"), Column("field", "text"),
    Column("view", "text"), Column("log", "text"),
)  # fmt: skip
_TABLE = "esctl_difference"


class Difference(Struct, frozen=True):
    """What differs in a target: a row per field (`answer`), and changes that mend it (`changes`), `rows` of them."""

    answer: Answer
    changes: Answer
    rows: int


def difference(session: Session, copied: Content, states: Answer) -> Difference:
    """Compare the content of a target with the states of the log.

    Values are compared as text: the characters of a string, the digits of a number.
    """
    staged = stage(session, states)
    known = {field.key for field in copied.fields}
    is_whole = any(field.whole_state for field in copied.fields)
    others = [field for field in staged.fields if field.key not in known and not is_whole]
    fields = (*copied.fields, *name_columns(others, copied.fields))
    names = [f"x{number}" for number in range(len(fields))]
    there = names[: len(copied.fields)]
    own = ", ".join(COLUMNS_AFTER)
    log = f"({staged.cells(fields, {})}) l({', '.join(['entity', 'kind', *names])}, {own})"
    # A table without a key may have a row twice: all but the newest are rows that the log does not have.
    copy = "row_number() OVER (PARTITION BY kind, entity ORDER BY position DESC) AS copy"
    view = f"(SELECT *, {copy} FROM ({copied.sql}) v({', '.join(['entity', 'kind', *there])}, {own})) v"
    tests = [f"v.{name} IS DISTINCT FROM l.{name}" for name in (*there, *COLUMNS_AFTER)]
    tests += [f"l.{name} IS NOT NULL" for name in names[len(there) :]]
    differing = _differing_cells(fields, there)
    with explained():
        session.connection.execute(f"""CREATE OR REPLACE TEMP TABLE {_TABLE} AS
            SELECT coalesce(l.entity, v.entity) AS entity, coalesce(l.kind, v.kind) AS kind,
                CASE WHEN v.entity IS NULL THEN 'missing' WHEN l.entity IS NULL THEN 'extra' ELSE 'changed' END AS how,
                coalesce(s.version, v.version) AS version, coalesce(s.position, v.position) AS position,
                coalesce(s.time, v.time) AS time,
                CASE WHEN v.entity IS NOT NULL AND l.entity IS NOT NULL THEN {differing} END AS differing,
                s.state
            FROM (SELECT *, 1 AS copy FROM {log}) l FULL JOIN {view}
                ON l.kind = v.kind AND l.entity = v.entity AND l.copy = v.copy
            LEFT JOIN {STAGED} s ON s.kind = coalesce(l.kind, v.kind) AND s.entity = coalesce(l.entity, v.entity)
            WHERE v.entity IS NULL OR l.entity IS NULL OR {" OR ".join(tests)}""")
    staged.discard()
    return _found(session)


def _found(session: Session) -> Difference:
    """Return what stands in the table of differences: a row per field, and per entity its change."""
    with explained():
        row = single_row(session.connection, f"SELECT count(*) FROM {_TABLE}")
    assert row is not None
    rows = f"""SELECT entity, kind, how AS difference, t.field AS field, t.view AS view, t.log AS log
        FROM (SELECT *, unnest(coalesce(list_filter(differing, lambda t: t IS NOT NULL), [NULL])) AS t FROM {_TABLE})
        ORDER BY kind, entity, field"""
    changes = f"""SELECT DISTINCT ON (kind, entity) entity, kind, state, version, position, time
        FROM {_TABLE} ORDER BY kind, entity"""
    return Difference(
        Answer(session, rows, COLUMNS, title="differences"), Answer(session, changes, COLUMNS, title="changes"), row[0]
    )


def _differing_cells(fields: Sequence[Field], there: Sequence[str]) -> str:
    """Write a list with a struct of field, view and log for each cell that differs, and NULL for each that does not."""
    cells = [
        (field.name, f"v.x{number}" if number < len(there) else "NULL", f"l.x{number}", _shown(field, f"l.x{number}"))
        for number, field in enumerate(fields)
    ]
    own = [(name, f"CAST(v.{name} AS VARCHAR)", f"CAST(l.{name} AS VARCHAR)") for name in COLUMNS_AFTER[:2]]
    own += [("time", time_text("v.time"), time_text("l.time"))]
    items = [
        f"CASE WHEN {view} IS DISTINCT FROM {log} THEN {{'field': {literal(name)}, "
        f"'view': CAST({view} AS VARCHAR), 'log': CAST({shown} AS VARCHAR)}} END"
        for name, view, log, shown in [*cells, *((*cell, cell[2]) for cell in own)]
    ]
    return f"[{', '.join(items)}]"


def _shown(field: Field, cell: str) -> str:
    """Write a cell as it is shown: one with a mark holds another kind than its column, so the state is read for it."""
    if field.whole_state:
        return cell
    json = read_json("s.state", (field.name,), "json", marked=True)
    text = read_json("s.state", (field.name,), "text", marked=True)
    value = f"CASE WHEN {json}[1:1] = '\"' THEN {text} ELSE {printable_json_sql(json)} END"
    return f"CASE WHEN starts_with({cell}, {literal(MARK)}) THEN {value} ELSE {cell} END"
