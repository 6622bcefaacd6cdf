"""The bytes of records in answers: the records that hold a text, and records as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from esctl.engine.duckdb import explained, relational
from esctl.engine.quoting import literal
from esctl.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from esctl.ask.scope.scope import Scope
    from esctl.log.store_state import StoreState

_ROWS = 65_536


def positions_holding(scope: Scope, records: StoreState, text: str) -> str:
    """Select the positions of the records whose bytes hold a text, in the encodings of the sources or escaped in JSON.

    Raises UsageError for an empty text, InputError for a damaged segment.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from esctl.log.reader import iter_batches

    if not text:
        raise UsageError("--grep is empty", "give it a text to look for")
    wanted = spellings(text, [cursor.dialect.get("encoding", "") for cursor in records.cursors.values()])

    def found() -> Iterator[Any]:
        for batch in iter_batches(records, 1, records.head, _ROWS, ["position", "raw"]):
            tests = [pc.match_substring(batch.column("raw"), pattern) for pattern in wanted]
            test = tests[0]
            for other in tests[1:]:
                test = pc.or_(test, other)
            yield pa.table({"position": batch.column("position").filter(test)})

    return f"SELECT position FROM ({_write_tables(scope, pa.schema([('position', pa.int64())]), found())})"


def spellings(text: str, encodings: Sequence[str]) -> list[bytes]:
    """List the bytes that a text may have in records: in UTF-8, in some encodings, and as JSON may escape it."""
    from esctl.sources.formats.encodings import WINDOWS

    escaped = json.dumps(text)[1:-1]
    texts = [text, escaped, json.dumps(text, ensure_ascii=False)[1:-1]]
    found = [each.encode() for each in texts]
    for encoding in encodings:
        with suppress(UnicodeEncodeError, LookupError):
            found.append(text.encode("cp1252" if encoding == WINDOWS else encoding or "utf-8"))
    found.append(re.sub(r"\\u[0-9a-f]{4}", lambda place: "\\u" + place[0][2:].upper(), escaped).encode())
    return list(dict.fromkeys(found))


def texts_of(scope: Scope, records: StoreState, rows: str) -> str:
    """Select position and raw, the text of the record, for the positions in `rows`.

    A record is decoded by the encoding of its source; bytes that do not fit are written as `\\xe4`. Line ends are left
    out. Raises InputError for a damaged segment.
    """
    import pyarrow as pa

    from esctl.log.reader import records_at

    with explained():
        positions = [at for (at,) in scope.connection.execute(f"SELECT DISTINCT position FROM ({rows})").fetchall()]
    positions.sort()
    encodings = {name: cursor.dialect.get("encoding", "") for name, cursor in records.cursors.items()}

    def tables() -> Iterator[pa.Table]:
        for at in range(0, len(positions), _ROWS):
            found = records_at(records, positions[at : at + _ROWS], ["position", "source", "raw"])
            pairs = zip(found["raw"].to_pylist(), found["source"].to_pylist(), strict=True)
            yield pa.table({"position": found["position"], "raw": [_text(raw, encodings[name]) for raw, name in pairs]})

    return _write_tables(scope, pa.schema([("position", pa.int64()), ("raw", pa.string())]), tables())


def _text(raw: bytes | None, encoding: str) -> str | None:
    from esctl.sources.formats.encodings import WIDE, WINDOWS

    if raw is None:
        return None
    try:
        text = raw.decode("utf-8" if encoding == WINDOWS else encoding or "utf-8")
    except UnicodeDecodeError:
        text = raw.decode("cp1252" if encoding == WINDOWS else "utf-8", "backslashreplace")
    return (text.removeprefix("\ufeff") if encoding in WIDE else text).rstrip("\r\n")


def _write_tables(scope: Scope, schema: Any, tables: Iterator[Any]) -> str:
    """Write tables to a temporary file; return the SQL that reads it."""
    import pyarrow.parquet as pq

    relational(scope.connection)  # what reads Parquet
    path = scope.session.new_parquet()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table.cast(schema))
    return f"SELECT * FROM read_parquet({literal(str(path))})"
