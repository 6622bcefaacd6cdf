"""Parquet and Arrow files: rows as exact JSON text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq
import pyarrow.types as pt
from msgspec import Struct

from esctl.errors import InputError
from esctl.sources.formats.exact import rows_as_json
from esctl.sources.pieces import SCHEMA, Offsets, Piece
from esctl.sources.streams import Limits

EMPTY = pa.RecordBatch.from_pylist([], schema=SCHEMA)
_ROWS = 65_536  # rows written as text at once, which bounds memory if rows are wide
_LEAST_BATCH = 1 << 20
_BYTES = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
_MOST_ITEMS = 1 << 24  # of lists in one batch
_MOST_FIXED = 64 << 20  # bytes of values of a fixed width that are read at once
_NANOSECONDS = range(-(1 << 63), 1 << 63)
# What pyarrow raises for a file that lies about itself.
_DAMAGE = (pa.ArrowException, OSError, ValueError, TypeError, IndexError, KeyError, OverflowError, MemoryError)


class Bounds(Struct, frozen=True):
    """Bytes of a batch that is written out, of the longest row and of the file; and the limits for all its rows."""

    batch: int
    longest: int
    size: int
    limits: Limits


class ColumnarReader:
    """Yields the rows of a parquet or arrow file from row number `first` on, some bytes at a time, as Pieces.

    `opener` returns the file as a pyarrow NativeFile.
    """

    def __init__(self, name: str, opener: Callable[[], Any], kind: str, first: int, bounds: Bounds) -> None:
        self.pending = 0
        self._name = name
        self._opener = opener
        self._kind = kind
        self._first = first
        self._bounds = bounds

    def __iter__(self) -> Iterator[Piece]:
        row, given = self._first, 0
        try:
            for batch in self._batches():
                for part in self._cut_batch(batch, row):
                    for texts in _slice_by_size(rows_as_json(part), self._bounds.batch):
                        given += texts.nbytes
                        self._bounds.limits.check(self._name, given, self._bounds.size)
                        numbers = np.arange(row, row + len(texts) + 1, dtype=np.int64)
                        row += len(texts)
                        yield Piece(texts.cast(pa.large_binary()), numbers[:-1], numbers[1:], row)
        except _DAMAGE as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(f"{self._name}: damaged {self._kind} file: {reason}", "fetch the file again") from error

    def _cut_batch(self, batch: Any, row: int) -> Iterator[Any]:
        """Cut a batch into parts whose rows, written out, have about the size that is asked for.

        A few bytes of a dictionary, or none at all, may become very many in the rows. Raises InputError for a row that
        is too long, after the rows before it.
        """
        sizes = estimate_sizes(batch)
        too_long = np.flatnonzero(sizes > self._bounds.longest)
        fine = int(too_long[0]) if len(too_long) else batch.num_rows
        for start, stop in _runs_of_size(np.cumsum(sizes[:fine]), max(self._bounds.batch, _LEAST_BATCH)):
            yield batch.slice(start, stop - start)
        if fine < batch.num_rows:
            raise InputError(
                f"{self._name}: row {row + fine} is longer than {self._bounds.longest:,} bytes",
                "raise the limit with --max-record",
            )

    def _batches(self) -> Iterator[Any]:
        if self._kind == "parquet":
            yield from _parquet_batches(self._opener(), self._first)
            return
        skip = self._first
        for batch in _arrow_batches(self._opener()):
            _check_batch(batch)
            for start in range(0, batch.num_rows, _ROWS):
                part = batch.slice(start, _ROWS)
                if skip < part.num_rows:
                    yield part.slice(skip)
                skip = max(0, skip - part.num_rows)


def _parquet_batches(source: Any, skip: int) -> Iterator[Any]:
    with source, _open_with_dictionaries(source) as file:
        groups = list(range(file.num_row_groups))
        while groups and file.metadata.row_group(groups[0]).num_rows <= skip:
            skip -= file.metadata.row_group(groups.pop(0)).num_rows
        for batch in file.iter_batches(_rows_at_once(file.schema), row_groups=groups):
            if skip < batch.num_rows:
                yield batch.slice(skip)
            skip = max(0, skip - batch.num_rows)


def _check_batch(batch: Any) -> None:
    """Raise ArrowInvalid if a batch points outside itself: Arrow trusts the offsets in a file.

    Text that is not UTF-8 passes, to be shown as such.
    """
    for column in batch.columns:
        is_text = pt.is_string(column.type) or pt.is_large_string(column.type)
        (column.view(_BYTES[column.type]) if is_text else column).validate(full=True)


def _open_with_dictionaries(source: Any) -> pq.ParquetFile:
    """Open a Parquet file so that values in dictionaries stay there when it is read."""
    # This does not ask which chunks have a dictionary: pyarrow ends the process over a hostile footer.
    schema = pq.read_metadata(source).schema
    columns = [schema.column(number) for number in range(len(schema))]
    source.seek(0)
    texts = [one.path for one in columns if one.physical_type == "BYTE_ARRAY"]
    long = [one.path for one in columns if one.physical_type == "INT96"]
    unit = "us" if long and _reach_beyond_nanoseconds(source, long) else "ns"
    return pq.ParquetFile(source, read_dictionary=texts, coerce_int96_timestamp_unit=unit)


def _reach_beyond_nanoseconds(source: Any, paths: list[str]) -> bool:
    """Return whether timestamps of 96 bits reach further than nanoseconds in 64 bits (1677 to 2262), and would wrap."""
    batches = pq.ParquetFile(source, coerce_int96_timestamp_unit="us").iter_batches(_ROWS, columns=paths)
    times = (each for batch in batches for column in batch.columns for each in _timestamps_in(column))
    ends = (end.as_py() or 0 for each in times for end in pc.min_max(each.cast(pa.int64())).values())
    beyond = any(end * 1000 not in _NANOSECONDS for end in ends)
    source.seek(0)
    return beyond


def _timestamps_in(values: Any) -> Iterator[Any]:
    """Yield the timestamps in an array, however deep they are in lists, structs and maps."""
    if pt.is_map(values.type):
        yield from _timestamps_in(values.keys)
        yield from _timestamps_in(values.items)
    elif pt.is_struct(values.type):
        for each in values.flatten():
            yield from _timestamps_in(each)
    elif pt.is_nested(values.type):
        yield from _timestamps_in(values.flatten())
    elif pt.is_timestamp(values.type):
        yield values


def _rows_at_once(schema: pq.ParquetSchema) -> int:
    widths = [max(8, int(schema.column(number).length)) for number in range(len(schema))]
    return max(1, min(_ROWS, _MOST_FIXED // max(1, sum(widths))))


def estimate_sizes(batch: Any) -> Any:
    """Return an estimate of how many bytes each row has when it is written out (int64 array), without writing it."""
    sizes = np.full(batch.num_rows, 2, np.int64)
    for column in batch.columns:
        sizes += _estimate_sizes(column)
    return sizes


def _estimate_sizes(values: Any) -> Any:
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return _estimate_sizes(values.storage)
    if pt.is_dictionary(kind):
        each = pa.array(_estimate_sizes(values.dictionary), pa.int64())
        return _as_numbers(each.take(values.indices.fill_null(0))) if len(each) else np.zeros(len(values), np.int64)
    if pt.is_run_end_encoded(kind):
        each = pa.array(_estimate_sizes(values.values), pa.int64())
        runs = pa.RunEndEncodedArray.from_arrays(values.run_ends, each)
        return _as_numbers(pc.run_end_decode(runs.slice(values.offset, len(values))))
    if pt.is_struct(kind):
        return sum((_estimate_sizes(child) for child in values.flatten()), np.full(len(values), 2, np.int64))
    if pt.is_map(kind):
        values = values.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
        kind = values.type
    if _is_list(kind):
        return _estimate_list_sizes(values)
    if pt.is_binary_view(kind) or pt.is_string_view(kind):
        values = values.cast(pa.large_binary())
    if pt.is_null(kind) or not (_is_text(values.type)):
        return np.full(len(values), 4, np.int64)
    return _as_numbers(pc.binary_length(values).fill_null(0))


def _estimate_list_sizes(values: Any) -> Any:
    lengths = _as_numbers(pc.list_value_length(values).fill_null(0))
    sizes = 2 + 4 * lengths
    if int(lengths.sum()) > _MOST_ITEMS:
        return sizes  # no closer look: these sizes suffice to cut the rows apart
    ends = np.cumsum(lengths)
    totals = np.concatenate([[0], np.cumsum(_estimate_sizes(values.flatten()))])
    return sizes + totals[ends] - totals[ends - lengths]


def _as_numbers(values: Any) -> Any:
    return np.asarray(values.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)


def _is_list(kind: Any) -> bool:
    tests = (pt.is_list, pt.is_large_list, pt.is_fixed_size_list, pt.is_list_view, pt.is_large_list_view)
    return any(test(kind) for test in tests)


def _is_text(kind: Any) -> bool:
    tests = (pt.is_string, pt.is_large_string, pt.is_binary, pt.is_large_binary, pt.is_fixed_size_binary)
    return any(test(kind) for test in tests)


def _arrow_batches(source: Any) -> Iterator[Any]:
    with source:
        framed = source.read(6) == b"ARROW1"
        source.seek(0)
        if framed:
            reader = pa.ipc.open_file(source)
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)
        else:
            yield from pa.ipc.open_stream(source)


def _slice_by_size(texts: Any, size: int) -> Iterator[Any]:
    ends = np.cumsum(pc.binary_length(texts).to_numpy(zero_copy_only=False))
    for start, stop in _runs_of_size(ends, size):
        yield texts.slice(start, stop - start)


def _runs_of_size(ends: Offsets, size: int) -> Iterator[tuple[int, int]]:
    """Yield runs of rows, given where each row ends, of about `size` bytes and at least one row."""
    start = 0
    while start < len(ends):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + size, side="right")))
        yield start, stop
        start = stop
