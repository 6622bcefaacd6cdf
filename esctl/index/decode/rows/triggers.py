"""Changes of rows from PostgreSQL's triggers: supa_audit, Supabase, the wiki's audit trigger, pgMemento."""

from __future__ import annotations

import re
from typing import Any

from esctl.index.decode.rows import DELETE, INSERT, READ, TRUNCATE, UNNAMED, UPDATE
from esctl.index.decode.rows.change import OtherRecord, Row, RowChange, text_of, unmarked
from esctl.index.decode.rows.messages import opened

_KINDS = {"INSERT": INSERT, "UPDATE": UPDATE, "DELETE": DELETE, "TRUNCATE": TRUNCATE, "SNAPSHOT": READ}
_ACTIONS = {"I": INSERT, "U": UPDATE, "D": DELETE, "T": TRUNCATE}
_OF_PGMEMENTO = {**_KINDS, "UPSERT": UPDATE, "TRUNCATE": DELETE, "3": INSERT, "4": UPDATE, "7": DELETE, "8": DELETE}
"""By name or number; a truncation is logged as a delete of each row."""


def supa_audit(record: Any) -> RowChange | None:
    """Read a record of audit.record_version; None if it is not one. If the key changes, so does `record_id`."""
    if not isinstance(record, dict) or not {"op", "ts", "table_name"} <= record.keys():
        return None
    kind = _KINDS.get(text_of(record["op"]))
    if kind is None or not {"record_id", "old_record_id", "table_oid"} & record.keys():
        return None
    row, old = _row(record.get("record")), _text_or_none(record.get("old_record_id"))
    name = _text_or_none(record.get("record_id")) or old
    return RowChange(
        kind,
        text_of(record.get("table_schema")),
        text_of(record["table_name"]),
        row or _row(record.get("old_record")) or {},
        # Rows of a table without a key have no id.
        key=(_ID,) if name is not None else (),
        named={_ID: name},
        old=_old_values(kind, name, old, record),
        order=_order(record.get("id")),
        time=record["ts"],
        transaction=_text_or_none(record.get("xact_id")),
        id=_text_or_none(record.get("id")),
        actor=_text_or_none(record.get("auth_uid")) or _text_or_none(record.get("auth_role")),
    )


def _old_values(kind: str, name: str | None, old: str | None, record: Row) -> Row | None:
    if kind != UPDATE:
        return None
    return _row(record.get("old_record")) if name is None else {_ID: old} if old is not None else None


def webhook(record: Any) -> RowChange | None:
    """Read a change as Supabase sends it to hooks and listeners; None if it is not one."""
    if not isinstance(record, dict) or not {"type", "table", "schema", "old_record"} <= record.keys():
        return None
    kind = _KINDS.get(text_of(record["type"]))
    row, before = _row(record.get("record")), _row(record.get("old_record"))
    if kind is None or (row is None and before is None):
        return None
    return RowChange(
        kind,
        text_of(record["schema"]),
        text_of(record["table"]),
        (before if kind == DELETE else row) or {},
        old=before if kind == UPDATE else None,
        time=record.get("commit_timestamp"),
    )


def audit_trigger(record: Any) -> RowChange | None:
    """Read a record of audit.logged_actions; None if it is not one. It has the row before, and what changed in it."""
    if not isinstance(record, dict) or not {"event_id", "action", "action_tstamp_tx", "table_name"} <= record.keys():
        return None
    kind = _ACTIONS.get(text_of(record["action"]))
    if kind is None:
        return None
    before = _row(record.get("row_data")) or {}
    return RowChange(
        kind,
        text_of(record.get("schema_name")),
        text_of(record["table_name"]),
        {**before, **(_row(record.get("changed_fields")) or {})} if kind == UPDATE else before,
        old=before if kind == UPDATE else None,
        order=_order(record["event_id"]),
        time=_first_given(record, "action_tstamp_clk", "action_tstamp_stm", "action_tstamp_tx"),
        transaction=_text_or_none(record.get("transaction_id")),
        id=_text_or_none(record["event_id"]),
        actor=text_of(record.get("session_user_name")) or None,
    )


def pgmemento(record: Any) -> RowChange | OtherRecord | None:
    """Read a record of pgMemento's row_log, alone or with what its event says; None if it is not one.

    The `audit_id` of a row never changes. Versions without `new_data` kept only old values, which do not give new ones.
    """
    if not isinstance(record, dict) or record.get("audit_id") is None or not _PGMEMENTO & record.keys():
        return None
    keyed = [*text_of(record.get("event_key")).split(";"), *[""] * 6]
    name = _text_or_none(_first_given(record, "table_operation", "op_id")) or keyed[3]
    time = _first_given(record, "stmt_time", "txid_time", "stmt_date") or keyed[1] or None
    kind = _OF_PGMEMENTO.get(name)
    if kind is None:
        return OtherRecord("schema change", time, data={"operation": name})
    number = _text_or_none(_first_given(record, "id", "row_log_id"))
    return RowChange(
        kind,
        text_of(record.get("schema_name")) or keyed[5],
        text_of(record.get("table_name")) or keyed[4] or UNNAMED,
        _row(record.get("old_data" if kind == DELETE else "new_data")) or {},
        kind == UPDATE,
        key=(_ID,),
        named={_ID: _text_or_none(record["audit_id"])},
        order=_order(number),
        time=time,
        transaction=_text_or_none(_first_given(record, "transaction_id", "txid")) or keyed[2] or None,
        id=number,
        actor=_actor(record),
    )


_PGMEMENTO = {"event_key", "event_id"}
_ID = "$id"
"""The key column of rows that have an id from their trigger."""


def _actor(record: Row) -> str | None:
    session = _row(record.get("session_info")) or {}
    return _text_or_none(_first_given(session, "client_user") or _first_given(record, "user_name", "session_user"))


def _first_given(record: Row, *names: str) -> Any:
    return next((record[name] for name in names if record.get(name) not in (None, "")), None)


def _text_or_none(value: Any) -> str | None:
    found = unmarked(value)
    return None if found is None or found == "" else str(found)


def _order(value: Any) -> tuple[int | str | None, ...]:
    """Return the place of a change, by the number of its record; () if it has none."""
    text = _text_or_none(value) or ""
    return (int(text),) if text.isascii() and text.isdigit() else ()


def _row(value: Any) -> Row | None:
    """Return a row from an object, its JSON text, or pairs of hstore; None for anything else."""
    found = opened(value)
    if isinstance(found, str):
        found = hstore(found)
    return found if isinstance(found, dict) else None


_PAIR = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*=>\s*(?:(NULL)|"((?:[^"\\]|\\.)*)")\s*(?:,|\Z)', re.DOTALL)


def hstore(text: str) -> dict[str, str | None] | None:
    """Return the pairs of PostgreSQL's hstore; None for a text that is not wholly made of pairs, or has none."""
    found: dict[str, str | None] = {}
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            return None
        found[_unquote(pair[1])] = None if pair[2] else _unquote(pair[3])
        at = pair.end()
    return found or None


def _unquote(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
