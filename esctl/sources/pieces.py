"""What a reader hands on: rows of raw bytes, and where in the stream each lies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec import Struct, field

Offsets = npt.NDArray[np.int64]

HEADERS = pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))
SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("raw", pa.large_binary()),
        pa.field("key", pa.binary()),
        pa.field("headers", HEADERS),
        pa.field("source_time", pa.timestamp("us", "UTC")),
    ]
)
BOM = b"\xef\xbb\xbf"
BLANKS = b" \t\r\n"
NOISE = BLANKS + b"\x1e\0"
"""What may stand around JSON text beside blanks: the mark of RFC 7464, and what a file cut under its writer has."""
NOWHERE = np.empty(0, np.int64)


class Piece(Struct, frozen=True):
    """Some consecutive records of a stream.

    `starts` and `ends` are absolute offsets (row numbers for parquet and arrow): row i lies at `starts[i]`, and all
    before `ends[i]` is accounted for by it and the rows before. `upto` is where the piece as a whole ends (at least
    `ends[-1]`), `tail` the blank bytes between. `inside[i]` tells whether a JSON array is still open after row i,
    `inside_end` whether one is at `upto`.
    """

    raws: pa.Array
    starts: Offsets
    ends: Offsets
    upto: int
    tail: bytes = b""
    header: bytes = b""
    inside: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    inside_end: bool = False


def slices_of(window: npt.NDArray[np.uint8], bounds: Offsets) -> pa.Array:
    """View `window[bounds[i]:bounds[i+1]]` as a LargeBinaryArray of len(bounds) - 1 values, without copying."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(bounds, np.int64)), pa.py_buffer(window)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(bounds) - 1, buffers)


def batch_of(offsets: Offsets, raws: pa.Array, times: pa.Array | None = None) -> pa.RecordBatch:
    """Make a batch of the sources' schema; key, headers and, where no `times` are given, source_time are null."""
    count = len(raws)
    nulls = [pa.nulls(count, SCHEMA.field(name).type) for name in ("key", "headers", "source_time")]
    columns = nulls if times is None else [*nulls[:-1], times]
    return pa.RecordBatch.from_arrays([pa.array(offsets, pa.int64()), raws, *columns], schema=SCHEMA)
