"""Domain events of an outbox: as Debezium's outbox router sends them, or as the rows of the table that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from esctl.index.decode.rows import INSERT, READ
from esctl.index.decode.rows.change import DomainEvent, OtherRecord, RowChange, text_of, unmarked
from esctl.index.decode.rows.debezium import events
from esctl.index.decode.rows.messages import Message, message_of, opened, unwrapped

_TOPIC = "outbox.event."
_TYPE_NAMES = ("eventType", "event_type", "type")
_COLUMNS = ({"aggregatetype", "aggregate_type"}, {"aggregateid", "aggregate_id"}, {"payload"})


def read(record: Any) -> DomainEvent | OtherRecord | None:
    """Read a record as an event; None if it is not of an outbox."""
    found = _read(record)
    # An event may be of any type, so other records get types that no event has.
    return replace(found, type=f"({found.type})") if isinstance(found, OtherRecord) else found


def _read(record: Any) -> DomainEvent | OtherRecord | None:
    message = message_of(record)
    if message.dumped and message.topic.startswith(_TOPIC):
        return _read_routed(message)
    change = events.read(record)
    if isinstance(change, OtherRecord):
        return change
    return _read_row(change) if change is not None and _is_outbox(change) else None


def _read_routed(message: Message) -> DomainEvent | OtherRecord:
    value, _ = unwrapped(message.value)
    if value is None:
        return OtherRecord("tombstone", message.time)
    key, _ = unwrapped(message.key)
    inner = value if isinstance(value, dict) else {}
    # Columns may be placed in an envelope around the payload.
    placed = "payload" in inner and not inner.keys() - {"payload", *_TYPE_NAMES, "eventId", "id", "aggregateType"}
    aggregate = message.topic.removeprefix(_TOPIC)
    headers = {name: unmarked(item) for name, item in message.headers.items()}
    return DomainEvent(
        _type_name(headers) or (_type_name(inner) if placed else "") or aggregate,
        aggregate,
        str(unmarked(key)),
        opened(inner["payload"]) if placed else opened(value),
        id=text_of(headers.get("id")) or None,
        time=message.time,
    )


def _type_name(members: Mapping[str, Any]) -> str:
    return next((text_of(members[name]) for name in _TYPE_NAMES if text_of(members.get(name))), "")


def _is_outbox(change: RowChange) -> bool:
    names = {name.lower() for name in change.row}
    if change.type not in (INSERT, READ):
        return "outbox" in change.table.lower()
    return all(names & group for group in _COLUMNS)


def _read_row(change: RowChange) -> DomainEvent | OtherRecord:
    """Read a change of the table: a new row is an event; its deletion, once it was read, is not."""
    if change.type not in (INSERT, READ):
        return OtherRecord("housekeeping", change.time, change.transaction)
    row = {name.lower(): value for name, value in change.row.items()}
    kind = text_of(row.get("aggregatetype", row.get("aggregate_type")))
    return DomainEvent(
        _type_name(row) or kind,
        kind,
        str(unmarked(row.get("aggregateid", row.get("aggregate_id")))),
        opened(row["payload"]),
        id=str(unmarked(row["id"])) if row.get("id") is not None else None,
        time=change.time,
        transaction=change.transaction,
        order=change.order,
    )
