"""Records as received, as JSON text: for conditions and columns on `raw.*`, independent of the mapping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from esctl.ask.scope.scope import Scope
from esctl.engine.duckdb import explained, relational, single_row
from esctl.engine.quoting import identifier, literal
from esctl.errors import UsageError, did_you_mean
from esctl.index.envelope.paths import format_path, parse_path
from esctl.index.files.manifest import PayloadPath
from esctl.index.pruning import Test
from esctl.index.scan import read_json
from esctl.model import Column, Cursor
from esctl.projection.query_reads import RECORD

if TYPE_CHECKING:
    import pyarrow as pa

_FEW = 4096
"""The most records to look up one by one; more are read together with all records between them."""


def with_records(scope: Scope, rows: str, conditions: Sequence[Test]) -> str:
    """Add the column RECORD, the JSON text of each event's record, to a SELECT of events with `position`.

    `conditions` are those of the SELECT. The text is NULL for a record that is not JSON or was erased.
    """
    asked = scope.view.relation(["position"], None, conditions)
    with explained():
        found = relational(scope.connection).sql(f"SELECT DISTINCT position FROM ({asked}) ORDER BY 1").to_arrow_table()
    path = scope.session.new_parquet()
    _write_texts(scope, found["position"].combine_chunks(), str(path))
    return f"SELECT * FROM ({rows}) LEFT JOIN read_parquet({literal(str(path))}) USING (position)"


def _write_texts(scope: Scope, positions: Any, path: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from esctl.index.decode.framed import schemas_in
    from esctl.index.decode.log_rows import judge_rows
    from esctl.index.envelope.text.told import with_text_keys_of

    assert scope.records is not None
    cursors, manifest = scope.records.cursors, scope.view.manifest

    def cursor_of(source: str) -> Cursor:
        return with_text_keys_of(manifest.stanzas[manifest.sources[source]], cursors[source])

    schema = pa.schema([("position", pa.int64()), (RECORD, pa.string())])
    schemas = partial(schemas_in, scope.records)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in _read_records(scope, positions):
            texts = judge_rows(relational(scope.connection), table, cursor_of, schemas).text.cast(pa.string())
            writer.write_table(pa.table({"position": table["position"].cast(pa.int64()), RECORD: texts}, schema))


def _read_records(scope: Scope, positions: Any) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.compute as pc

    from esctl.index.chunks import chunks
    from esctl.log.reader import records_at

    records = scope.records
    assert records is not None
    if len(positions) <= _FEW:
        found = records_at(records, positions.to_pylist())
        yield from [found] if found.num_rows else []
        return
    for table in chunks(records, positions[0].as_py(), positions[-1].as_py()):
        own = table.filter(pc.is_in(table["position"].cast(pa.int64()), value_set=positions))
        yield from [own] if own.num_rows else []


def raw_columns(scope: Scope, rows: str, names: Iterable[str]) -> list[tuple[str, Column]]:
    """Return the SQL and the column of each name in records (`raw.ip.src`), over `rows` with the column RECORD.

    Raises UsageError for a name that no record has, with the nearest that one has.
    """
    paths = {name: parse_path(name)[1:] for name in names}
    check_paths(scope, rows, paths.values())
    return [
        (f"{_record_value(path)} AS {identifier(name)}", Column(name, "value" if path else "json"))
        for name, path in paths.items()
    ]


def check_paths(scope: Scope, rows: str, paths: Iterable[PayloadPath], where: str = "") -> None:
    """Raise UsageError for a path that no record of `rows` has, with the nearest that one has."""
    for path in dict.fromkeys(paths):
        with explained():
            row = single_row(scope.connection, f"SELECT count({_record_value(path)}), count({RECORD}) FROM ({rows})")
        if row is not None and row[1] and not row[0]:
            message = f"no record listed has {format_path(('raw', *path))}"
            raise UsageError(f"{where}: {message}" if where else message, _nearest(scope, rows, path))


def _record_value(path: PayloadPath) -> str:
    return read_json(RECORD, path, "json", marked=True)


def _nearest(scope: Scope, rows: str, path: PayloadPath) -> str:
    import difflib

    keys = f"SELECT DISTINCT unnest(json_keys({RECORD})) FROM ({rows}) WHERE json_type({RECORD}) = 'OBJECT'"
    with explained():
        names = [name for (name,) in scope.connection.execute(keys).fetchall()]
    near = difflib.get_close_matches(str(path[0]) if path else "", names, 1)
    return did_you_mean([format_path(("raw", each)) for each in near], "see one whole with: esctl show @POSITION")
