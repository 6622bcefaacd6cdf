"""Parquet and Arrow files: rows as exact JSON text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from esctl.errors import InputError
from esctl.sources.exact import rows_as_json
from esctl.sources.pieces import SCHEMA, Piece

EMPTY = pa.RecordBatch.from_pylist([], schema=SCHEMA)
_ROWS = 65_536  # rows written as text at once: what bounds memory when a row is wide


class ColumnarReader:
    """Give the rows of a parquet or arrow file from row number `first` on, about `size` bytes at a time, as Pieces.

    `opener` gives the file as a pyarrow NativeFile.
    """

    def __init__(self, name: str, opener: Callable[[], Any], kind: str, first: int, size: int) -> None:
        self.pending = 0
        self._name = name
        self._opener = opener
        self._kind = kind
        self._first = first
        self._size = size

    def __iter__(self) -> Iterator[Piece]:
        row = self._first
        try:
            for batch in self._batches():
                for texts in _of_size(rows_as_json(batch), self._size):
                    numbers = np.arange(row, row + len(texts) + 1, dtype=np.int64)
                    row += len(texts)
                    yield Piece(texts.cast(pa.large_binary()), numbers[:-1], numbers[1:], row)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self._name}: damaged {self._kind} file: {error}", "fetch the file again") from error

    def _batches(self) -> Iterator[Any]:
        if self._kind == "parquet":
            yield from _parquet_batches(self._opener(), self._first)
            return
        skip = self._first
        for batch in _arrow_batches(self._opener()):
            for start in range(0, batch.num_rows, _ROWS):
                part = batch.slice(start, _ROWS)
                if skip < part.num_rows:
                    yield part.slice(skip)
                skip = max(0, skip - part.num_rows)


def _parquet_batches(source: Any, skip: int) -> Iterator[Any]:
    with source, pq.ParquetFile(source) as file:
        groups = list(range(file.num_row_groups))
        while groups and file.metadata.row_group(groups[0]).num_rows <= skip:
            skip -= file.metadata.row_group(groups.pop(0)).num_rows
        for batch in file.iter_batches(_ROWS, row_groups=groups):
            if skip < batch.num_rows:
                yield batch.slice(skip)
            skip = max(0, skip - batch.num_rows)


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


def _of_size(texts: Any, size: int) -> Iterator[Any]:
    ends = np.cumsum(pc.binary_length(texts).to_numpy(zero_copy_only=False))
    start = 0
    while start < len(texts):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + size, side="right")))
        yield texts.slice(start, stop - start)
        start = stop
