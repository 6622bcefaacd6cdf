"""Work on a small table as Debezium's connectors for other databases than PostgreSQL would tell it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.support.row_logs import Done, Model, Row, Work, done

UNAVAILABLE = "__debezium_unavailable_value"
OPERATIONS = {"insert": "c", "update": "u", "read": "r"}
TIME = 1_700_000_000_000
Writer = Callable[[Model, Work], list[str]]


def _mysql(lsn: int, connector: str) -> Row:
    file, pos = divmod(lsn, 0x400)
    gtid = f"3e11fa47-71ca-11e1-9e33-c80aa9429562:{lsn}" if connector == "mysql" else f"0-1-{lsn}"
    return {
        "connector": connector, "db": "shop", "table": "t", "server_id": 1, "gtid": gtid,
        "file": f"bin.{file - 0x3FF00 + 999_900:06}", "pos": pos, "row": 0, "thread": 7, "query": None,
    }  # fmt: skip


def _sql_server(lsn: int, connector: str) -> Row:
    at = f"{lsn >> 16:08x}:{lsn & 0xFFFF:08x}:0003"
    return {"connector": connector, "db": "shop", "schema": "dbo", "table": "t",
        "commit_lsn": at, "change_lsn": at, "event_serial_no": 1}  # fmt: skip


def _oracle(lsn: int, connector: str) -> Row:
    scn = str(lsn - 0xFFFFF00 + 99_500)
    return {"connector": connector, "db": "SHOP", "schema": "APP", "table": "T", "txId": f"{lsn:016x}",
        "scn": scn, "commit_scn": scn, "ssn": 0, "redo_thread": 1}  # fmt: skip


def relational(connector: str, source_at: Callable[[int, str], Row]) -> Writer:
    """Return the writer of a connector that tells rows: messages with keys, and with `before` whole but for texts."""

    def write(model: Model, each: Work) -> list[str]:
        lsn, did = model.step(), done(model, each)
        if did is None:
            return []
        source = {**source_at(lsn, connector), "ts_ms": TIME + lsn}
        if did.what == "truncate":
            return [_message(source, "t", None, None, None)]
        if did.after is None:
            return _gone(source, did.before or {})
        key = {"id": did.after["id"]}
        if did.what == "rekey":
            assert did.before is not None
            old = {"id": did.before["id"]}
            gone = _gone(source, did.before, **{"__debezium.newkey": key})
            return [*gone, _message(source, "c", key, None, _shown(did), **{"__debezium.oldkey": old})]
        before = did.before if did.what == "update" else None
        return [_message(source, OPERATIONS[did.what], key, before, _shown(did))]

    return write


def _shown(did: Done) -> Row:
    assert did.after is not None
    return {name: UNAVAILABLE if name in did.kept else value for name, value in did.after.items()}


def _message(source: Row, op: str, key: Row | None, before: Row | None, after: Any, **headers: Any) -> str:
    value = {"before": before, "after": after, "source": source, "op": op, "ts_ms": source["ts_ms"] + 5}
    return json.dumps({"topic": "s.shop.t", "key": key, "value": value, "headers": headers})


def _gone(source: Row, row: Row, **headers: Any) -> list[str]:
    key = {"id": row["id"]}
    tombstone = {"topic": "s.shop.t", "key": key, "value": None, "headers": headers}
    return [_message(source, "d", key, row, None, **headers), json.dumps(tombstone)]


def mongodb(model: Model, each: Work) -> list[str]:
    """Write documents as JSON texts; an update says what changed, and has the document where `big` was written."""
    if each.what in ("truncate", "rekey"):
        return []  # an id stays, and dropped collections are not told
    lsn, did = model.step(), done(model, each)
    if did is None:
        return []
    source = {"connector": "mongodb", "db": "shop", "collection": "t", "ord": lsn % 7, "ts_ms": TIME + lsn // 7 * 1000}
    row = did.after or did.before or {}
    key = {"id": json.dumps(row["id"])}
    if did.after is None:
        return _gone_document(source, key)
    text = json.dumps(document(row))
    value: Row = {"before": None, "after": text, "source": source, "op": OPERATIONS[did.what], "ts_ms": 1}
    if did.what == "update":
        written = {"in.small": row["small"]} | ({} if did.kept else {"list.0.big": row["big"]})
        update = {"removedFields": ["gone"], "updatedFields": json.dumps(written), "truncatedArrays": None}
        value |= {"after": None if did.kept else text, "updateDescription": update}
    return [json.dumps({"topic": "s.shop.t", "key": key, "value": value, "headers": {}})]


def document(row: Row) -> Row:
    """Return a row as a document whose values are inside others."""
    return {"_id": row["id"], "in": {"small": row["small"]}, "list": [{"big": row["big"]}]}


def _gone_document(source: Row, key: Row) -> list[str]:
    value = {"before": None, "after": None, "source": source, "op": "d", "ts_ms": 1}
    told = {"topic": "s.shop.t", "key": key, "headers": {}}
    return [json.dumps({**told, "value": value}), json.dumps({**told, "value": None})]


def cassandra(model: Model, each: Work) -> list[str]:
    """Write cells: those of an update that were not written are null."""
    if each.what in ("truncate", "rekey", "read"):
        return []
    lsn, did = model.step(), done(model, each)
    if did is None:
        return []
    source = {"connector": "cassandra", "keyspace": "shop", "table": "t", "file": "commitlog-6-1.log", "pos": lsn}
    source["ts_ms"] = 1000 * (TIME + lsn)
    row = did.after or {"id": (did.before or {})["id"], "small": None, "big": None}
    left = ("small", "big") if did.after is None else did.kept
    after = {name: None if name in left else _cell(value) for name, value in row.items()}
    value = {"op": {"insert": "i", "update": "u"}.get(did.what, "d"), "ts_ms": 1, "after": after, "source": source}
    return [json.dumps({"topic": "s.shop.t", "key": {"id": row["id"]}, "value": value, "headers": {}})]


def _cell(value: Any) -> Row:
    return {"value": value, "deletion_ts": None, "set": True}


def flattened(model: Model, each: Work) -> list[str]:
    """Write rows with what the transform adds to them; deletions as rows, and as tombstones."""
    if each.what == "truncate":
        return []
    lsn, did = model.step(), done(model, each)
    if did is None:
        return []

    def message(op: str, row: Row) -> str:
        event = {"__op": op, "__deleted": "true" if op == "d" else "false", "__source_ts_ms": TIME + lsn}
        return json.dumps({"topic": "s.shop.t", "key": {"id": row["id"]}, "value": {**row, **event}, "headers": {}})

    if did.what in ("insert", "update", "read"):
        return [message(OPERATIONS[did.what], _shown(did))]
    assert did.before is not None
    key = {"id": did.before["id"]}
    tombstone = json.dumps({"topic": "s.shop.t", "key": key, "value": None, "headers": {}})
    gone = [message("d", {**dict.fromkeys(did.before), **key}), tombstone]
    return gone if did.after is None else [*gone, message("c", did.after)]  # nothing ties it to the row that ended


CONNECTORS: dict[str, Writer] = {
    "mysql": relational("mysql", _mysql),
    "mariadb": relational("mariadb", _mysql),
    "sqlserver": relational("sqlserver", _sql_server),
    "oracle": relational("oracle", _oracle),
    "mongodb": mongodb,
    "cassandra": cassandra,
    "debezium_flat": flattened,
}
"""How each connector tells work."""
