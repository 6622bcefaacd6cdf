"""Arrow arrays of Python values, without pa.array(), which imports pandas where it is installed: half a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_BYTES = 2**31 - 1
"""The most bytes that the texts of one string array take."""


def integers(values: Sequence[int], kind: pa.DataType) -> pa.Array:
    """Return integers as an array of an integer type."""
    import numpy as np
    import pyarrow as pa

    raw = np.array(values, dtype=kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(raw.tobytes())])


def texts(values: Sequence[str | None]) -> pa.Array:
    """Return texts, or None, as an array of large_string."""
    import numpy as np
    import pyarrow as pa

    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum([len(each) for each in encoded], out=offsets[1:])
    valid = np.packbits(np.array([value is not None for value in values], np.bool_), bitorder="little")
    buffers = [pa.py_buffer(part) for part in (valid.tobytes(), offsets.tobytes(), b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(values), buffers)


def repeated(text: str, count: int) -> pa.Array:
    """Return a text `count` times; `pa.repeat` would append it one by one. Raises UnicodeEncodeError."""
    import numpy as np
    import pyarrow as pa

    encoded = text.encode()
    if len(encoded) * count > _MOST_BYTES:
        return pa.repeat(text, count)
    bounds = np.arange(count + 1, dtype=np.int32) * np.int32(len(encoded))
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(bounds), pa.py_buffer(encoded * count)])


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one array; it is copied only if it is in several pieces."""
    import pyarrow as pa

    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
