"""The headers of a column of records as their leaves have them; `leaf.headers_bytes` does it for one record."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def headers_bytes(headers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Lay the headers of each record end to end, name then value, each as `<length>:<bytes>`, a null value as `-:`.

    DuckDB does the same with lambdas over lists, in four times the time.
    """
    return pa.chunked_array([_join_values(chunk) for chunk in headers.chunks], pa.binary())


def _join_values(headers: pa.Array) -> pa.Array:
    flat, none = pc.list_flatten(headers), pa.scalar(b"", pa.binary())
    pairs = pc.binary_join_element_wise(_with_lengths(flat.field("name")), _with_lengths(flat.field("value")), none)
    counts = pc.fill_null(pc.list_value_length(headers), 0).to_numpy(zero_copy_only=False)
    bounds = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    joined = pc.binary_join(pa.ListArray.from_arrays(bounds, pairs), none)
    return pc.if_else(headers.is_null(), pa.scalar(None, pa.binary()), joined)


def _with_lengths(contents: pa.Array) -> pa.Array:
    lengths = pc.binary_length(contents).cast(pa.string()).cast(pa.binary())
    return pc.fill_null(pc.binary_join_element_wise(lengths, contents.cast(pa.binary()), b":"), b"-:")
