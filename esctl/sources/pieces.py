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
WRAPPER = "wrapper"
"""The header of a record that tells what stood around it: a JSON array of objects, from the outermost in."""
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
    `inside_end` whether one is at `upto`. `around[i]` is what stands around row i in its document, null for nothing.
    """

    raws: pa.Array
    starts: Offsets
    ends: Offsets
    upto: int
    tail: bytes = b""
    header: bytes = b""
    inside: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    inside_end: bool = False
    around: pa.Array | None = None


def slices_of(window: npt.NDArray[np.uint8], bounds: Offsets) -> pa.Array:
    """View `window[bounds[i]:bounds[i+1]]` as a LargeBinaryArray of len(bounds) - 1 values, without copying."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(bounds, np.int64)), pa.py_buffer(window)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(bounds) - 1, buffers)


def batch_of(
    offsets: Offsets, raws: pa.Array, times: pa.Array | None = None, around: pa.Array | None = None
) -> pa.RecordBatch:
    """Make a batch of the sources' schema.

    The key is null, and so are source_time where no `times` are given, and headers where nothing is `around` records:
    else that is the header WRAPPER.
    """
    key, headers, time = (pa.nulls(len(raws), SCHEMA.field(name).type) for name in ("key", "headers", "source_time"))
    headers = headers if around is None else _headers(around)
    columns = [pa.array(offsets, pa.int64()), raws, key, headers, time if times is None else times]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _headers(around: pa.Array) -> pa.Array:
    there = around.is_valid().to_numpy(zero_copy_only=False)
    values = around.drop_null()
    pairs = pa.StructArray.from_arrays([pa.repeat(WRAPPER, len(values)), values], names=["name", "value"])
    offsets = np.concatenate([[0], np.cumsum(there)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pairs, mask=pa.array(~there)).cast(HEADERS)
