"""What readers yield: the raw bytes of records, and where in the stream each record lies."""

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
"""The header of a record that holds what surrounded it: a JSON array of objects, the outermost first."""
BOM = b"\xef\xbb\xbf"
NEWLINE, RETURN, QUOTE = ord("\n"), ord("\r"), ord('"')
BLANKS = b" \t\r\n"
NOISE = BLANKS + b"\x1e\0"
"""What may surround JSON text: blanks, the separator of RFC 7464, and the zeros of a file truncated while written."""
NOWHERE = np.empty(0, np.int64)


class Piece(Struct, frozen=True):
    """Some consecutive records of a stream.

    `starts` and `ends` are absolute offsets (row numbers for parquet and arrow): record i begins at `starts[i]`, and
    all before `ends[i]` belongs to it and the records before. The whole piece ends at `upto` (at least `ends[-1]`);
    `tail` holds the blank bytes in between. `inside[i]` says whether a JSON array is still open after record i,
    `inside_end` whether one is open at `upto`. `around[i]` is what surrounds record i in its document, or null.
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
    """Make a batch with SCHEMA.

    The keys are null. `times` become source_time, and `around` becomes the header WRAPPER; without them the columns
    are null.
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
