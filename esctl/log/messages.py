"""The records of a topic as JSON Lines with their keys, headers and times, as `kcat -J` dumps messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc

from esctl.log.reader import iter_batches
from esctl.log.store_state import StoreState
from esctl.model import KafkaCursor

_ROWS = 8192


def export_messages(store_state: StoreState, source: str, cursor: KafkaCursor) -> Iterator[bytes]:
    """Yield the messages of a partition as JSON Lines, in order, without erased ones.

    Bytes that are not UTF-8 become an object `{"base64": ...}`.
    """
    columns = ["position", "source", "offset", "key", "headers", "source_time", "raw", "erased_leaf"]
    for batch in iter_batches(store_state, 1, store_state.head, _ROWS, columns):
        own = batch.filter(pc.and_(pc.equal(batch["source"], source), pc.is_null(batch["erased_leaf"])))
        yield b"".join(_line(row, cursor) for row in own.to_pylist())


def _line(row: dict[str, Any], cursor: KafkaCursor) -> bytes:
    message = {"topic": cursor.topic, "partition": cursor.partition, "offset": row["offset"]}
    if row["source_time"] is not None:
        message["ts"] = round(row["source_time"].timestamp() * 1000)
    if row["headers"] is not None:
        message["headers"] = [part for each in row["headers"] for part in (each["name"], _text(each["value"]))]
    message |= {"key": _text(row["key"]), "payload": _text(row["raw"])}
    return json.dumps(message, ensure_ascii=False).encode() + b"\n"


def _text(data: bytes | None) -> Any:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data or b"").decode()}
