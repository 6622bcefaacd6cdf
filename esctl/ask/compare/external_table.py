"""Rows of another system: a file in any format that ingest reads, with exact numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from esctl.engine.duckdb import explained, relational, single_row
from esctl.engine.exact_text import json_string, unmark_text_sql
from esctl.engine.quoting import literal
from esctl.errors import InputError, UsageError
from esctl.index.scan import read_json
from esctl.model import Cursor

if TYPE_CHECKING:
    from esctl.engine.duckdb import Session

ENTITY, KIND = "entity", "kind"
STATE = "state"
_HOLE = re.compile(r"\{([^{}]*)\}")


class ForeignTable(Struct, frozen=True):
    """Rows as SQL with the columns row (from 1) and j: an object as JSON text that may hold marked numbers.

    `delimited`: every value is a text, as the cells of CSV are.
    """

    name: str
    sql: str
    columns: tuple[str, ...]
    delimited: bool
    notes: tuple[str, ...] = ()  # lines for stderr


class ForeignFields(Struct, frozen=True):
    """The fields of a state in a row: SQL for the JSON text of each, by name.

    `kind`: SQL for the entity's kind if the rows have the columns that replay writes; else empty.
    """

    values: dict[str, str]
    kind: str


class FileOptions(Struct, frozen=True):
    """How to read a file, by the options of `ingest`; None and "": detected."""

    null: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    header: bool | None = None
    input_format: str = ""
    records_path: str | None = None


def read_foreign(session: Session, path: Path, how: FileOptions) -> ForeignTable:
    """Read a file of rows into a temporary file. Raises InputError, naming the row, if it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from esctl.index.decode.exact_json import judge_records
    from esctl.sources.files.finding import Source
    from esctl.sources.files.reading import SourceOptions, read

    if not path.is_file():
        wrong = "is a folder or a device, and no file" if path.exists() else "no such file"
        raise InputError(f"{path}: {wrong}", "give a table as CSV, TSV, JSON Lines, JSON, Parquet or Arrow")
    kind = how.input_format or {".csv": "csv", ".tsv": "tsv"}.get(path.suffix.lower(), "auto")
    options = SourceOptions(
        kind, how.records_path, final=True, null=how.null, encoding=how.encoding, header=how.header, decimal=how.decimal
    )
    reading = read(Source(str(path), path), options, {})
    spool = session.new_parquet()
    schema = pa.schema([("row", pa.int64()), ("j", pa.large_string())])
    count = 0
    columns: tuple[str, ...] = ()
    with pq.ParquetWriter(spool, schema, compression="zstd") as writer:
        for delivery in reading:
            columns = _header(delivery.cursor)
            if not delivery.batch.num_rows:
                continue
            judged = judge_records(delivery.batch.column("raw"), delivery.cursor, session.connection)
            _refuse_invalid(path, judged, count)
            rows = pa.array(range(count + 1, count + 1 + len(judged.text)), pa.int64())
            writer.write_table(pa.table([rows, judged.text.cast(pa.large_string())], schema=schema))
            count += len(judged.text)
    sql = f"SELECT * FROM read_parquet({literal(str(spool))})"
    _check_objects(session, path, sql)
    delimited = reading.format in ("csv", "tsv")
    return ForeignTable(str(path), sql, columns if delimited else keys_of(session, sql, ()), delimited)


def _header(cursor: Cursor) -> tuple[str, ...]:
    """List the columns of CSV or TSV, including those without any value; empty for other formats."""
    from esctl.sources.formats.column_names import header_of

    if cursor.format not in ("csv", "tsv"):
        return ()
    return tuple(header_of(cursor))


def _refuse_invalid(path: Path, judged: Any, before: int) -> None:
    for row, reason in enumerate(judged.invalid.to_pylist() if judged.invalid.null_count < len(judged.text) else ()):
        if reason is not None:
            raise InputError(
                f"{path}: row {before + row + 1} cannot be read: {reason}", "correct the file and try again"
            )


def _check_objects(session: Session, path: Path, sql: str) -> None:
    with explained():
        found = single_row(session.connection, f"SELECT min(row) FROM ({sql}) WHERE json_type(j) <> 'OBJECT'")
    if found and found[0] is not None:
        raise InputError(f"{path}: row {found[0]} is not an object", "each row needs named values")


def keys_of(session: Session, sql: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """List the keys that the objects at a path have, in alphabetical order."""
    inner = read_json("j", path, "json", marked=True)
    listed = f"SELECT DISTINCT unnest(json_keys({inner})) AS k FROM ({sql}) WHERE json_type({inner}) = 'OBJECT'"
    with explained():
        rows = session.connection.execute(f"SELECT {unmark_text_sql('k')} FROM ({listed}) ORDER BY 1").fetchall()
    return tuple(name for (name,) in rows)


def key_glob(key: str) -> str:
    """Return the glob of the entities that a key template makes; empty if the key is a column."""
    return _HOLE.sub("*", key) if _HOLE.search(key) else ""


def key_sql(table: ForeignTable, key: str) -> str:
    """Write SQL for the entity of a row: a column, or a template such as `orders/{id}`.

    Raises UsageError if the table lacks a column that the key names.
    """
    if not table.columns:
        return "CAST(NULL AS VARCHAR)"  # there are no rows
    holes = key_columns(key)
    for name in holes:
        if name not in table.columns:
            hint = f"--key COLUMN or --key 'orders/{{id}}'; its columns are: {', '.join(table.columns[:20])}"
            raise UsageError(f"{table.name} has no column {name!r}", hint)
    parts = _HOLE.split(key or ENTITY) if _HOLE.search(key) else ["", holes[0], ""]
    items = [
        read_json("j", (part,), "text", marked=True) if place % 2 else literal(part) for place, part in enumerate(parts)
    ]
    return " || ".join(items)


def check_keys(session: Session, table: ForeignTable, keys: Sequence[str]) -> None:
    """Check that each row has its own key. Raises InputError, naming the first row without one or a repeated key."""
    rows = f"SELECT row, {keys[0]} AS entity, [{', '.join(keys)}] AS key FROM ({table.sql})"
    with explained():
        none = single_row(session.connection, f"SELECT min(row) FROM ({rows}) WHERE entity IS NULL")
        twice = single_row(
            session.connection,
            f"SELECT key[1] FROM ({rows}) GROUP BY key HAVING count(*) > 1 ORDER BY min(row) LIMIT 1",
        )
    if none and none[0] is not None:
        raise InputError(f"{table.name}: row {none[0]} has no key", "every row needs the value that names its entity")
    if twice:
        raise InputError(f"{table.name} has {twice[0]!r} twice", "one row an entity; another --key tells them apart")


def key_columns(key: str) -> list[str]:
    """List the columns that a key is made of."""
    return _HOLE.findall(key) or [key or ENTITY]


def foreign_fields(session: Session, table: ForeignTable) -> tuple[ForeignTable, ForeignFields]:
    """Find the fields of a state in a table: its columns, its columns `state.<field>`, or the keys of its `state`."""
    whole = _with_state_objects(session, table) if STATE in table.columns else None
    if whole is not None:
        names = keys_of(session, whole.sql, (STATE,))
        values = {name: read_json("j", (STATE, name), "json", marked=True) for name in names}
        return whole, ForeignFields(values, _kind(table))
    prefix = f"{STATE}."
    flat = [name for name in table.columns if name.startswith(prefix)]
    values = {name.removeprefix(prefix): read_json("j", (name,), "json", marked=True) for name in flat or table.columns}
    return table, ForeignFields(values, _kind(table) if flat else "")


def _kind(table: ForeignTable) -> str:
    return read_json("j", (KIND,), "text", marked=True) if {ENTITY, KIND} <= {*table.columns} else ""


def _with_state_objects(session: Session, table: ForeignTable) -> ForeignTable | None:
    """Return the table with states that are objects, parsed where they are texts in cells.

    None if the column holds anything else: then it is a field of that name, such as the state of an order.
    """
    kinds = f"SELECT json_type(j, '/{STATE}') AS t, {read_json('j', (STATE,), 'text', marked=True)} AS s"
    sql = f"""SELECT count(*) FILTER (t = 'OBJECT'), count(*) FILTER (t = 'VARCHAR' AND starts_with(s, '{{')),
        count(*) FILTER (t NOT IN ('OBJECT', 'NULL') AND NOT (t = 'VARCHAR' AND starts_with(s, '{{')))
        FROM ({kinds} FROM ({table.sql}))"""
    with explained():
        found = single_row(session.connection, sql)
    assert found is not None
    objects, texts, others = found
    if others or not (objects or texts or _kind(table)):  # without any state, the columns tell what replay wrote
        return None
    return _with_parsed_states(session, table) if texts else table


def _with_parsed_states(session: Session, table: ForeignTable) -> ForeignTable | None:
    """Parse states that are texts in cells into objects; None if one is no JSON."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from esctl.index.decode.exact_json import judge_records

    held = f"SELECT row, {read_json('j', (STATE,), 'text', marked=True)} AS state FROM ({table.sql})"
    with explained():
        texts = f"SELECT * FROM ({held}) WHERE starts_with(state, '{{')"
        found = relational(session.connection).sql(texts).to_arrow_table()
    raws = found.column("state").combine_chunks().cast(pa.binary())
    judged = judge_records(raws, Cursor(format="jsonl"), session.connection)
    if judged.invalid.null_count < len(judged.text):
        return None
    spool = session.new_parquet()
    pq.write_table(pa.table({"row": found.column("row"), "state": judged.text}), spool)
    members = [f"{literal(json_string(STATE) + ':')} || coalesce(s.state, 'null')"]
    for name in table.columns:
        if name != STATE:
            value = read_json("j", (name,), "json", marked=True)
            members.append(f"{literal(json_string(name) + ':')} || coalesce({value}, 'null')")
    sql = f"""SELECT row, '{{' || {" || ',' || ".join(members)} || '}}' AS j
        FROM ({table.sql}) LEFT JOIN read_parquet({literal(str(spool))}) s USING (row)"""
    return replace(table, sql=sql)
