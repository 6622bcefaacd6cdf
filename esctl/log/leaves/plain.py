"""The leaf hashes, in one pass, of plain records: those that came from their source as bytes alone."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import numpy.typing as npt

WINDOW = 256
"""Records whose bytes are copied at once to be hashed: few enough to stay in the processor's cache."""
_GIVEN = frozenset({"position", "recorded_at", "source", "offset", "raw"})


def is_plain(table: pa.Table) -> bool:
    """Return whether a table has records, all of them with bytes and without salt, key, headers and source time."""
    return all(
        table[name].null_count == (0 if name in _GIVEN else table.num_rows) for name in table.schema.names
    ) and bool(table.num_rows)


def plain_leaf_hashes(table: pa.Table) -> bytes:
    """Return the leaf hashes of a plain table, as `segment.leaf_hashes` does.

    OpenSSL uses the processor's SHA instructions, which DuckDB's `sha256` does not; but it holds Python's lock.
    """
    table = table.combine_chunks()
    numbers = [table[name].cast(pa.int64()).to_numpy() for name in ("position", "recorded_at", "offset")]
    raw = table["raw"].chunk(0)
    bounds = np.frombuffer(raw.buffers()[1], np.int64, len(raw) + 1, raw.offset * 8)
    content = raw.buffers()[2] or pa.py_buffer(b"")
    hashed: list[bytes] = []
    for start, stop, source in _runs(table, numbers[1]):
        # The texts that a run shares: before the position, the offset and the hash of the bytes, and at the end.
        named = f"\n{sha256(source.encode()).hexdigest()}\n"
        texts = "\0esctl/record/1\n", f"\n{numbers[1][start]}\n", "\n-\n-\n-\n", named
        for at in range(start, stop, WINDOW):
            rows = slice(at, min(at + WINDOW, stop))
            hashed.append(_hash_window(content, bounds[at : rows.stop + 1], numbers[0][rows], numbers[2][rows], texts))
    return b"".join(hashed)


def hex_digests(content: pa.Buffer, bounds: npt.NDArray[np.int64]) -> list[str]:
    """Return the SHA-256, as hex text, of each stretch of bytes between two neighbouring bounds."""
    digest, first = sha256, int(bounds[0])
    data = content[first : int(bounds[-1])].to_pybytes()
    return [digest(data[start:end]).hexdigest() for start, end in pairwise((bounds - first).tolist())]


def _hash_window(
    content: pa.Buffer,
    bounds: npt.NDArray[np.int64],
    positions: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    texts: tuple[str, str, str, str],
) -> bytes:
    digest, (before, time, nothing, source) = sha256, texts
    rows = zip(positions.tolist(), offsets.tolist(), hex_digests(content, bounds), strict=True)
    leaves = [f"{before}{position}{time}{offset}{nothing}{raw}{source}" for position, offset, raw in rows]
    return b"".join([digest(leaf.encode()).digest() for leaf in leaves])


def _runs(table: pa.Table, times: npt.NDArray[np.int64]) -> Iterator[tuple[int, int, str]]:
    """Yield the runs of rows with the same source and time: (start, stop, source)."""
    encoded = table["source"].chunk(0).dictionary_encode()
    codes = encoded.indices.to_numpy()
    changes = np.flatnonzero((np.diff(codes) != 0) | (np.diff(times) != 0)) + 1
    for start, stop in pairwise([0, *changes.tolist(), len(codes)]):
        yield start, stop, encoded.dictionary[int(codes[start])].as_py()
