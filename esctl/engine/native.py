"""The native core, esctl-native: the only place that knows whether it is there. Without it everything works, slower.

Each function takes and gives what its twin in Python does, and gives the same bytes. They may be called only where
`here()`. What a column holds is handed over as bytes: to copy it costs less than a hundredth of what is done with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

import esctl
from esctl.engine.processors import processors

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Column = tuple[bytes | None, bytes, bytes]

A = TypeVar("A")
B = TypeVar("B")
INTERFACE = 4
"""Of the functions of the core that this module calls: another core is not used."""
SWITCH = "ESCTL_NATIVE"
_WINDOW = 8192  # records handed over at once: enough to make calls cheap, few enough to stay in the cache

_PIECE = 1 << 20  # bytes of a window


@cache
def _found() -> tuple[Any, str]:
    """Return the core or None, and what `--version -v` says of it."""
    if os.environ.get(SWITCH) == "0":
        return None, f"not used ({SWITCH}=0)"
    try:
        core = import_module("esctl_native")
    except ImportError as error:
        return None, "not installed" if isinstance(error, ModuleNotFoundError) else f"not used: {error}"
    version, interface = getattr(core, "__version__", "?"), getattr(core, "INTERFACE", 0)
    if (version, interface) != (esctl.__version__, INTERFACE):
        return None, f"not used: {version} (interface {interface}) is not of esctl {esctl.__version__} ({INTERFACE})"
    return core, version


def here() -> bool:
    """Return whether the core is there and to be used."""
    return _found()[0] is not None


def description() -> str:
    """Say in a few words which core is used, or why none is."""
    return _found()[1]


def leaf_hashes(table: pa.Table) -> bytes:
    """Return the leaf hash of each record of a log table, as `log.segment.leaf_hashes` describes it."""
    parts = (table.slice(start, _WINDOW) for start in range(0, table.num_rows, _WINDOW))
    return b"".join(map(_window_hashes, parts))


def _window_hashes(table: pa.Table) -> bytes:
    import numpy as np
    import pyarrow as pa

    known = {name: table[name].combine_chunks() for name in table.schema.names if table[name].null_count < len(table)}
    sources = known["source"].dictionary_encode()
    numbers = (*(_numbers(known[name]) for name in ("position", "recorded_at", "offset")), _numbers(sources.indices))
    time = known.get("source_time")
    hashed: bytes = _found()[0].leaf_hashes(
        numbers,
        sources.dictionary.to_pylist(),
        None if time is None else (_valid(time) or b"\1" * len(time), _numbers(time.fill_null(0))),
        _contents(known.get("key")),
        _headers(known.get("headers")),
        _contents(known.get("raw")),
        _contents(known.get("salt")),
    )
    if "erased_leaf" not in known:
        return hashed
    leaves = known["erased_leaf"]
    told = np.frombuffer(hashed, "V32").copy()
    erased = leaves.is_valid().to_numpy(zero_copy_only=False)
    told[erased] = np.frombuffer(b"".join(leaves.drop_null().cast(pa.binary(32)).to_pylist()), "V32")
    return told.tobytes()


def pair_up(nodes: bytes) -> bytes:
    """Hash neighbouring nodes of a tree two by two, as `log.merkle` does."""
    above: bytes = _found()[0].pair_up(nodes)
    return above


def record_ends(window: npt.NDArray[np.uint8], begins: bool) -> npt.NDArray[np.int64]:
    """Return where the complete records of a window end, as `sources.formats.lines.record_ends` does."""
    import numpy as np

    found, blank = [np.empty(0, np.int64)], True
    for start in range(0, len(window), _PIECE):
        piece = window[start : start + _PIECE].tobytes()
        ends, blank = _found()[0].record_ends(piece, begins and not start, blank)
        found.append(np.frombuffer(ends, np.int64) + start)
    return np.concatenate(found)


def judge(texts: pa.Array) -> tuple[pa.Array, pa.Array, dict[int, str]]:
    """Judge JSON texts (large_string) as `index.decode.strict_json.examine` does each.

    Gives the rows that are written anew, ascending (int64), their texts, and why rows are no JSON.
    """
    import numpy as np
    import pyarrow as pa

    rows, anew, reasons = [np.empty(0, np.int64)], [], dict[int, str]()
    starts = range(0, len(texts), _WINDOW)
    judged = each(
        lambda part: _found()[0].judge(_contents(part), len(part)), [texts.slice(at, _WINDOW) for at in starts]
    )
    for start, (found, bounds, text, invalid) in zip(starts, judged, strict=True):
        reasons |= {start + row: reason for row, reason in invalid}
        if found:
            rows.append(np.frombuffer(found, np.int64) + start)
            buffers = pa.py_buffer(bounds), pa.py_buffer(text)
            anew.append(pa.LargeStringArray.from_buffers(len(rows[-1]), *buffers))
    written = pa.concat_arrays(anew) if anew else pa.array([], pa.large_string())
    return pa.array(np.concatenate(rows)), written, reasons


def each(work: Callable[[A], B], parts: Sequence[A]) -> list[B]:
    """Do some work of the core on each of some parts, on all processors: it gives up Python's lock."""
    threads = min(processors(), len(parts))
    if threads < 2:
        return list(map(work, parts))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads, "native") as pool:
        return list(pool.map(work, parts))


class Places(Struct, frozen=True):
    """Where to look in JSON texts: at JSON Pointers, and for the members of the object at `payload`, but some."""

    pointers: tuple[str, ...]
    payload: str
    excluded: tuple[str, ...]


def read(texts: pa.Array, marked: pa.Array, places: Places) -> tuple[list[tuple[pa.Array, pa.Array]], pa.Array]:
    """Read judged texts (large_string) as DuckDB's JSON functions do, those that are marked without their marks.

    Gives for each pointer `json_extract_string` and `json_type` (dictionary), and how many members the
    payloads have (int64).
    """
    import numpy as np
    import pyarrow as pa

    core, rows = _found()[0], len(texts)
    marks = marked.to_numpy(zero_copy_only=False).tobytes()
    columns, members = core.read(_contents(texts), marks, list(places.pointers), places.payload, list(places.excluded))
    types = pa.array(core.KINDS, pa.string())
    found = []
    for valid, bounds, data, kinds in columns:
        buffers = [pa.py_buffer(part) for part in (valid, bounds, data)]
        codes = np.frombuffer(kinds, np.int8)
        kind = pa.DictionaryArray.from_arrays(pa.array(codes - 1, mask=codes == 0), types)
        found.append((pa.Array.from_buffers(pa.string(), rows, buffers), kind))
    return found, pa.Array.from_buffers(pa.int64(), rows, [None, pa.py_buffer(members)])


def _numbers(column: pa.Array) -> bytes:
    import pyarrow as pa

    numbers: bytes = column.cast(pa.int64()).to_numpy().tobytes()
    return numbers


def _valid(column: pa.Array) -> bytes | None:
    if not column.null_count:
        return None
    valid: bytes = column.is_valid().to_numpy(zero_copy_only=False).tobytes()
    return valid


def _contents(column: pa.Array | None) -> Column | None:
    """Lay out binary or text as the core reads it: which are there, bounds, and the bytes between the outermost."""
    import numpy as np
    import pyarrow as pa

    if column is None:
        return None
    large = column.cast(pa.large_binary())
    bounds = np.frombuffer(large.buffers()[1], np.int64, len(large) + 1, large.offset * 8)
    first, last = int(bounds[0]), int(bounds[-1])
    data = large.buffers()[2]
    return _valid(large), (bounds - first).tobytes(), data[first:last].to_pybytes() if last > first else b""


def _headers(column: pa.Array | None) -> tuple[bytes | None, bytes, Column | None, Column | None] | None:
    import numpy as np

    if column is None:
        return None
    bounds = column.offsets.to_numpy().astype(np.int64)
    pairs = column.values.slice(int(bounds[0]), int(bounds[-1] - bounds[0]))
    parts = (_contents(pairs.field(i).slice(0, len(pairs))) for i in (0, 1))
    return _valid(column), (bounds - bounds[0]).tobytes(), *parts
