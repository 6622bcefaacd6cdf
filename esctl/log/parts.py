"""Records on their way into the log: as delivered, by source, then in the log's columns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from msgspec import Struct

from esctl.engine.arrow_lists import repeated
from esctl.errors import InputError
from esctl.log.segment import DELIVERED, INSTANT, SALT, SCHEMA, SEGMENT_RAW_BYTES, SEGMENT_ROWS
from esctl.model import Cursor


class Part(Struct, frozen=True):
    """Records of one source, in order, and the source's cursor after them.

    Batches have the columns `offset` and `raw`, and may have `key`, `headers` and `source_time`. There may be no
    batches: a cursor can move over blank bytes.
    """

    source: str
    batches: Sequence[pa.RecordBatch | pa.Table]
    cursor: Cursor


def segment_tables(parts: Sequence[Part]) -> Iterable[pa.Table]:
    """Yield the parts in the log's columns, in tables of a segment's size."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for part in parts:
        for delivered in part.batches:
            for batch in _to_columns(delivered, part.source).to_batches(max_chunksize=SEGMENT_ROWS):
                bytes_here = _raw_bytes(batch)
                if waiting and (rows + batch.num_rows > SEGMENT_ROWS or size + bytes_here > SEGMENT_RAW_BYTES):
                    yield pa.Table.from_batches(waiting)
                    waiting, rows, size = [], 0, 0
                waiting.append(batch)
                rows, size = rows + batch.num_rows, size + bytes_here
    if rows:
        yield pa.Table.from_batches(waiting)


def _to_columns(delivered: pa.RecordBatch | pa.Table, source: str) -> pa.Table:
    count = delivered.num_rows
    present = {name: delivered.column(name) for name in DELIVERED if name in delivered.schema.names}
    try:
        present["source"] = repeated(source, count)
    except UnicodeEncodeError as error:
        raise InputError(f"the source name {source!r} is not Unicode text", "rename the file") from error
    return _with_all_columns(present, count)


def _with_all_columns(present: Mapping[str, pa.ChunkedArray], count: int) -> pa.Table:
    """Return a table of SCHEMA: zeros for positions and times, which come later, and nulls for what is not present."""
    zeros = pa.repeat(0, count)
    filled = {"position": zeros, "recorded_at": zeros.cast(INSTANT), **present}
    columns = [
        filled[column.name].cast(column.type) if column.name in filled else pa.nulls(count, column.type)
        for column in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


def _raw_bytes(batch: pa.RecordBatch) -> int:
    raw = batch.column("raw")
    bounds = np.frombuffer(raw.buffers()[1], dtype=np.int64)
    return int(bounds[raw.offset + len(raw)] - bounds[raw.offset]) if len(raw) else 0


def hand_over(table: pa.Table, path: Path) -> None:
    """Write records in the log's columns to a file that another process reads with `read_handed_over`."""
    known = table.select([name for name in DELIVERED if table[name].null_count < table.num_rows])
    known = known.append_column("source", table["source"].dictionary_encode().unify_dictionaries())
    with pa.ipc.new_file(path, known.schema) as writer:
        writer.write_table(known)


def read_handed_over(path: Path) -> pa.Table:
    """Return the records that `hand_over` wrote, mapped into memory."""
    with pa.memory_map(str(path)) as file:
        known = pa.ipc.open_file(file).read_all()
    return _with_all_columns({name: known[name] for name in known.column_names}, known.num_rows)


def with_salts(table: pa.Table) -> pa.Table:
    """Return the records, each with a random salt, so that they can be erased."""
    count = table.num_rows
    bounds = pa.py_buffer(np.arange(0, (count + 1) * SALT, SALT, dtype=np.int32))
    salts = pa.Array.from_buffers(pa.binary(), count, [None, bounds, pa.py_buffer(os.urandom(count * SALT))])
    return table.set_column(SCHEMA.get_field_index("salt"), "salt", salts)


def with_positions(table: pa.Table, first: int, recorded_at: int) -> pa.Table:
    """Return the records with positions from `first` on and `recorded_at`, in microseconds since the epoch."""
    count = table.num_rows
    positions = pa.array(np.arange(first, first + count, dtype=np.int64))
    times = pa.repeat(pa.scalar(recorded_at, pa.int64()), count).cast(INSTANT)
    return table.set_column(0, SCHEMA.field("position"), positions).set_column(1, SCHEMA.field("recorded_at"), times)
