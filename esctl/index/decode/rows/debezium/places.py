"""The place of a change in a database's log, its time and its transaction, from Debezium's `source`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from esctl.index.decode.rows.change import text_of, unmarked

Order = tuple[int | str | None, ...]


def order_of(source: Mapping[str, Any]) -> Order:
    """Return the place of a change: by when its transaction was committed, then by its place in the transaction.

    Changes of one place are in order of arrival. Empty if the place is not given.
    """
    if source.get("connector") == "cassandra":
        # The commit logs are those of many nodes; the latest write wins.
        return (unmarked(source.get("ts_us")) or unmarked(source.get("ts_ms")),)
    if source.get("lsn") is not None or isinstance(source.get("sequence"), str):
        return (_committed(source),)
    if source.get("file"):
        found = re.search(r"(\d+)\Z", str(source["file"]))
        name = int(found[1]) if found else str(source["file"])
        return (name, unmarked(source.get("pos")), unmarked(source.get("row")) or 0)
    if source.get("commit_lsn") is not None:
        serial = unmarked(source.get("event_serial_no"))
        return (text_of(source["commit_lsn"]), text_of(source.get("change_lsn")), serial or 0)
    for name in ("commit_scn", "scn"):
        if source.get(name) is not None:
            number = unmarked(source[name])
            return (int(number) if str(number).isdigit() else number,)
    if source.get("ord") is not None:
        return (unmarked(source.get("ts_ms")), unmarked(source["ord"]))
    return ()


def server_of(source: Mapping[str, Any]) -> object:
    """Return the server whose log a place is in, if each server has places of its own; None if not given."""
    return unmarked(source.get("server_id")) or None if source.get("file") else None


def origin_of(source: Mapping[str, Any]) -> tuple[str, str]:
    """Return the server of a change, by its connector's name, and its database, if a schema is given as well."""
    database = text_of(source.get("db")) if source.get("schema") else ""
    return text_of(source.get("name")), database


def _committed(source: Mapping[str, Any]) -> int | None:
    """Return PostgreSQL's log position of the last commit that the connector had read, or else of the record."""
    told = source.get("sequence")
    try:
        parts = msgspec.json.decode(told) if isinstance(told, str) else []
        numbers = [int(part) for part in parts if part is not None]
    except (msgspec.DecodeError, ValueError, TypeError):
        numbers = []
    lsn = unmarked(source.get("lsn"))
    return numbers[0] if numbers else lsn if isinstance(lsn, int) else None


def time_of(value: Mapping[str, Any], source: Mapping[str, Any]) -> Any:
    """Return when a change was made, in the finest unit that is given; None if none is."""
    for holder in (source, value):
        for name in ("ts_ns", "ts_us", "ts_ms"):
            if (found := unmarked(holder.get(name))) is not None and (found or name != "ts_ms"):
                return found
    return None


def transaction_of(value: Mapping[str, Any], source: Mapping[str, Any]) -> str | None:
    """Return the transaction of a change; None if it is not given."""
    for name in ("txId", "gtid", "scn"):
        if (found := unmarked(source.get(name))) is not None:
            return str(found)
    told = value.get("transaction")
    return transaction_name(told.get("id")) if isinstance(told, dict) else None


def transaction_name(told: Any) -> str | None:
    """Return one name for a transaction in all its records: PostgreSQL's txid:lsn without the lsn of the record."""
    return None if told is None else re.sub(r"\A(\d+):\d+\Z", r"\1", str(unmarked(told)))
