"""What the records at some positions say, where they are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import DecodeError
from msgspec.json import Decoder, Encoder

from esctl.index.decode.exact_json import judge_records
from esctl.index.decode.log_rows import judged_by, trimmed
from esctl.model import TABLES

if TYPE_CHECKING:
    import duckdb

    from esctl.model import Cursor

_decode: Callable[[bytes], object] = Decoder(float_hook=Decimal).decode
_encode: Callable[[object], bytes] = Encoder(order="sorted", decimal_format="number").encode


class Contents:
    """The content of records: their bytes, or the JSON that rows of tables stand for.

    `raws` and `sources` have each record's bytes and the name of its source, by position.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        cursors: Mapping[str, Cursor],
        raws: Mapping[int, bytes],
        sources: Mapping[int, str],
    ) -> None:
        self._connection = connection
        self._raws = raws
        self._sources = sources
        known = {name: cursors[name] for name in set(sources.values())}
        self._tables = {name: cursor for name, cursor in known.items() if cursor.format in TABLES}
        self._readings = {name: judged_by(cursor) for name, cursor in self._tables.items()}

    def is_same(self, one: int, other: int) -> bool:
        """Return whether the records at two positions have the same content, but for blanks and order of keys.

        The same bytes under another header are another row.
        """
        own, others = (self._readings.get(self._sources[position]) for position in (one, other))
        said = self._said if own != others else self._bytes
        return _is_same(said[one], said[other])

    @cached_property
    def _bytes(self) -> Mapping[int, bytes]:
        return {position: trimmed(raw) for position, raw in self._raws.items()}

    @cached_property
    def _said(self) -> Mapping[int, bytes]:
        """Return all records by position, rows of tables as JSON."""
        found = dict(self._bytes)
        for name, cursor in self._tables.items():
            found.update(self._rows(cursor, [position for position in found if self._sources[position] == name]))
        return found

    def _rows(self, cursor: Cursor, positions: Sequence[int]) -> Iterable[tuple[int, bytes]]:
        raws = pa.array([self._raws[position] for position in positions], pa.large_binary())
        texts = judge_records(raws, cursor, self._connection).text.to_pylist()
        return ((position, (text or "").encode()) for position, text in zip(positions, texts, strict=True))


def _is_same(one: bytes, other: bytes) -> bool:
    """Return whether two texts are the same: equal bytes, or equal JSON but for blanks and order of keys."""
    return one == other or _canonical(one) == _canonical(other)


def _canonical(raw: bytes) -> bytes:
    """Return a record with its keys in order and no blanks; what is not JSON stays as it is."""
    try:
        return _encode(_decode(raw))
    except (DecodeError, ValueError, RecursionError, TypeError, ArithmeticError):  # the last: an exponent too long
        return raw
