"""Messages of the Kafka client as batches of records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from esctl.sources.pieces import SCHEMA

if TYPE_CHECKING:
    from confluent_kafka import Message

_NAMES = ("offset", "value", "key", "headers", "timestamp")
_PARTS: list[list[Any]] = [[] for _ in _NAMES]
_NO_TIME = 0
_EARLIEST, _LATEST = -62_135_596_800_000, 253_402_300_800_000
"""Milliseconds since 1970 at the bounds of the years in which times are written (1 to 9999)."""


def batch_of(messages: Sequence[Message]) -> pa.RecordBatch:
    """Return messages of one partition, in order, as a batch with SCHEMA.

    A null value stays null, an empty one empty; headers keep their order, repeats and nulls.
    """
    each = type(messages[0]) if messages else None
    parts = _PARTS if each is None else [[*map(getattr(each, name), messages)] for name in _NAMES]
    offsets, values, keys, headers, stamps = parts
    columns = [
        pa.array(offsets, pa.int64()),
        pa.array(values, pa.large_binary()),
        pa.array(keys, pa.binary()),
        _headers(headers),
        _instants(pa.array([at if kind != _NO_TIME else None for kind, at in stamps], pa.int64())),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _instants(milliseconds: pa.Array) -> pa.Array:
    """Return times in microseconds, null for those outside the years that can be written."""
    is_time = pc.and_(pc.greater(milliseconds, _EARLIEST), pc.less(milliseconds, _LATEST))
    known = pc.if_else(is_time, milliseconds, pa.scalar(None, pa.int64()))
    return pc.multiply(known, 1000).cast(SCHEMA.field("source_time").type)


def _headers(found: list[Any]) -> pa.Array:
    kind = SCHEMA.field("headers").type
    if not any(found):
        return pa.nulls(len(found), kind)
    return pa.array(found, kind)
