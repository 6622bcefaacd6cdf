"""Read records of a change log into the JSON form that the mapping of their preset reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from esctl.index.decode.rows import (
    canal,
    change_streams,
    dms,
    dynamodb,
    maxwell,
    pgoutput,
    triggers,
    versions,
    wal2json,
)
from esctl.index.decode.rows.change import ChangeLogRecord, Naming, written
from esctl.index.decode.rows.debezium import events, flattened, outbox
from esctl.index.decode.rows.messages import message_of
from esctl.model import MARK

if TYPE_CHECKING:
    import pyarrow as pa

Read = Callable[[Any], ChangeLogRecord | None]
"""Reads a parsed record as a change; None if it is not of this dialect."""


def _by_message_value(read: Read) -> Read:
    """Return a reader that takes bare records as `read` does, and messages by their value."""
    return lambda record: read(message_of(record).value)


READERS: Mapping[str, Read] = {
    "debezium_outbox": outbox.read,
    "pgoutput": pgoutput.read,
    "debezium": events.read,
    "debezium_flat": flattened.read,
    "wal2json": _by_message_value(wal2json.read),
    "maxwell": maxwell.read,
    "canal": canal.read,
    "dynamodb": _by_message_value(dynamodb.read),
    "aws_dms": dms.read,
    "mongodb": change_streams.read,
    "supa_audit": _by_message_value(triggers.supa_audit),
    "supabase": _by_message_value(triggers.webhook),
    "audit_trigger": _by_message_value(triggers.audit_trigger),
    "pgmemento": _by_message_value(triggers.pgmemento),
    "row_history": _by_message_value(versions.read),
}
"""The reader of records in each dialect."""


UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError, RecursionError, ArithmeticError)
"""The errors for a record that looks like a change but is malformed."""


def read_rows(texts: pa.Array, marked: pa.Array, dialect: str, naming: Naming) -> tuple[pa.Array, pa.Array]:
    """Read judged records as changes of rows: their JSON text (large_string) and whether it has marks, row by row.

    A record that is not a change becomes the member `row` of an object, without a type.
    """
    import pyarrow as pa

    read = READERS[dialect]
    found, marks = [], []
    for text, mark in zip(texts.to_pylist(), marked.to_pylist(), strict=True):
        change = None if text is None else change_text(text, read, naming)
        found.append(text if text is None else change or f'{{"row":{text}}}')
        marks.append(mark or (change is not None and MARK in change))
    return pa.array(found, pa.large_string()), pa.array(marks, pa.bool_())


def change_text(text: str, read: Read, naming: Naming) -> str | None:
    """Return a record as the JSON text of a change; None if it is not one."""
    try:
        change = read(msgspec.json.decode(text))
        return None if change is None else written(change, naming)
    except UNREADABLE:
        return None
