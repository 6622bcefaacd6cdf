"""The seam to the native core, esctl-native. No other module knows whether it is there; without it all works, slower.

Each function takes and returns the same as its twin in Python, byte for byte. Call them only if `is_available()` is
true. The content of a column is passed as bytes: to copy it takes less than a hundredth of the time of the work on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

import esctl
from esctl.engine.arrow_lists import one_array
from esctl.engine.processors import processors

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Column = tuple[bytes | None, bytes, bytes]

A = TypeVar("A")
B = TypeVar("B")
INTERFACE = 5
"""The version of the core's functions that this module calls; a core with another one is not used."""
SWITCH = "ESCTL_NATIVE"
_WINDOW = 8192  # records handed over at once: enough to make calls cheap, few enough to stay in the cache

_PIECE = 1 << 20  # bytes of a window


@cache
def _load_core() -> tuple[Any, str]:
    """Return the core or None, and what `--version -v` says about it."""
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


def is_available() -> bool:
    """Return whether the core is there and to be used."""
    return _load_core()[0] is not None


def description() -> str:
    """Return in a few words which core is used, or why none is."""
    return _load_core()[1]


def leaf_hashes(table: pa.Table) -> bytes:
    """Return the leaf hash of each record of a log table, as `log.segment.leaf_hashes` describes it."""
    known = {name: one_array(table[name]) for name in table.schema.names if table[name].null_count < len(table)}
    if not len(table):
        return b""
    starts = range(0, table.num_rows, _WINDOW)
    windows = ({name: column.slice(at, _WINDOW) for name, column in known.items()} for at in starts)
    return b"".join(map(_window_hashes, windows))


def _window_hashes(known: Mapping[str, pa.Array]) -> bytes:
    import numpy as np
    import pyarrow as pa

    known = {name: column for name, column in known.items() if column.null_count < len(column)}
    sources = known["source"].dictionary_encode()  # of the window: a log may have a source for each record
    numbers = (*(_numbers(known[name]) for name in ("position", "recorded_at", "offset")), _numbers(sources.indices))
    time = known.get("source_time")
    hashed: bytes = _load_core()[0].leaf_hashes(
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
    leaves_of_all = np.frombuffer(hashed, "V32").copy()
    erased = leaves.is_valid().to_numpy(zero_copy_only=False)
    leaves_of_all[erased] = np.frombuffer(b"".join(leaves.drop_null().cast(pa.binary(32)).to_pylist()), "V32")
    return leaves_of_all.tobytes()


def pair_up(nodes: bytes) -> bytes:
    """Return the hashes of neighbouring pairs of a tree's nodes, as `log.merkle` does."""
    above: bytes = _load_core()[0].pair_up(nodes)
    return above


def record_ends(window: npt.NDArray[np.uint8], begins: bool) -> npt.NDArray[np.int64]:
    """Return where the complete records of a window end, as `sources.formats.lines.record_ends` does."""
    import numpy as np

    found, blank = [np.empty(0, np.int64)], True
    for start in range(0, len(window), _PIECE):
        piece = window[start : start + _PIECE].tobytes()
        ends, blank = _load_core()[0].record_ends(piece, begins and not start, blank)
        found.append(np.frombuffer(ends, np.int64) + start)
    return np.concatenate(found)


def judge_texts(texts: pa.Array) -> tuple[pa.Array, pa.Array, dict[int, str]]:
    """Judge JSON texts (large_string) as `index.decode.strict_json.examine` does each.

    Returns the rows whose texts are rewritten, ascending (int64), their new texts, and by row why it is not JSON.
    """
    import numpy as np
    import pyarrow as pa

    rows, anew, reasons = [np.empty(0, np.int64)], [], dict[int, str]()
    starts = range(0, len(texts), _WINDOW)
    judged = map_in_threads(
        lambda part: _load_core()[0].judge(_contents(part), len(part)), [texts.slice(at, _WINDOW) for at in starts]
    )
    for start, (found, bounds, text, invalid) in zip(starts, judged, strict=True):
        reasons |= {start + row: reason for row, reason in invalid}
        if found:
            rows.append(np.frombuffer(found, np.int64) + start)
            buffers = pa.py_buffer(bounds), pa.py_buffer(text)
            anew.append(pa.LargeStringArray.from_buffers(len(rows[-1]), *buffers))
    written = pa.concat_arrays(anew) if anew else pa.array([], pa.large_string())
    return pa.array(np.concatenate(rows)), written, reasons


def map_in_threads(work: Callable[[A], B], parts: Sequence[A]) -> list[B]:
    """Run work of the core on each of some parts, on all processors: the core releases Python's lock."""
    threads = min(processors(), len(parts))
    if threads < 2:
        return list(map(work, parts))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads, "native") as pool:
        return list(pool.map(work, parts))


class Member(Struct, frozen=True):
    """A member of a payload that has a column: where it is, and its column as in `payload_columns`.

    `mark` is what the column `nulls` contains if the member is null.
    """

    pointer: str
    kind: str
    type: pa.DataType
    mark: str
    precision: int = 0
    scale: int = 0


class Places(Struct, frozen=True):
    """What to read in JSON texts: values at JSON Pointers, and members of the object at `payload`, but `excluded`."""

    pointers: tuple[str, ...]
    payload: str
    excluded: tuple[str, ...]
    members: tuple[Member, ...] = ()


class ReadColumns(Struct, frozen=True):
    """What was read: `texts` (string) for each pointer, and whether any of them is empty (`blank`); payload columns.

    `fits` says which payloads are in `members`, their columns; `nulls` has the marks of their null members (string).
    """

    texts: list[pa.Array]
    blank: list[bool]
    fits: pa.Array
    nulls: pa.Array
    members: list[pa.Array]


def read(texts: pa.Array, marked: pa.Array, places: Places) -> ReadColumns:
    """Read judged texts (large_string) as DuckDB's JSON functions do, marked ones without their marks.

    A payload is in the columns of its members completely and exactly, or not at all.
    """
    import pyarrow as pa

    marks, rows = marked.to_numpy(zero_copy_only=False).tobytes(), len(texts)
    members = [(member.pointer, member.kind, member.precision, member.scale, member.mark) for member in places.members]
    columns_of_texts, fits, nulls, columns = _load_core()[0].read(
        _contents(texts), marks, list(places.pointers), members, places.payload, list(places.excluded)
    )

    def array(kind: pa.DataType, values: tuple[bytes, bytes, bytes]) -> pa.Array:
        valid, *rest = (pa.py_buffer(part) for part in values)
        if pa.types.is_boolean(kind):
            import numpy as np

            rest = [None, pa.py_buffer(np.packbits(np.frombuffer(values[2], np.uint8), bitorder="little").tobytes())]
        return pa.Array.from_buffers(kind, rows, [valid, *(rest if pa.types.is_string(kind) else rest[1:])])

    return ReadColumns(
        [array(pa.string(), values) for values, _ in columns_of_texts],
        [is_blank for _, is_blank in columns_of_texts],
        pa.Array.from_buffers(pa.bool_(), rows, [None, pa.py_buffer(fits)]),
        array(pa.string(), nulls),
        [array(member.type, values) for member, values in zip(places.members, columns, strict=True)],
    )


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
    """Return binary or text as the core reads it: validity (None: all are), bounds, and the bytes within them."""
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
