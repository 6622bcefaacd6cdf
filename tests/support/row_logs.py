"""Work on a small table, and the change logs that Debezium and wal2json would write of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from hypothesis import strategies as st

Row = dict[str, Any]
PLACEHOLDER = "__debezium_unavailable_value"


@dataclass(frozen=True)
class Work:
    """One statement: on the row of a key, or on all. `big` None: the big value is not written."""

    what: Literal["insert", "update", "delete", "rekey", "truncate", "read", "rollback"]
    key: int
    new_key: int
    small: int | None
    big: str | None


def work() -> st.SearchStrategy[Work]:
    """Draw statements; those that no table would take do nothing."""
    kinds = [
        "insert",
        "insert",
        "insert",
        "update",
        "update",
        "delete",
        "rekey",
        "rekey",
        "read",
        "truncate",
        "rollback",
    ]
    keys = st.integers(0, 3)
    values = st.none() | st.integers(0, 2)
    return st.builds(Work, st.sampled_from(kinds), keys, keys, values, st.sampled_from([None, "x", "y"]))


@dataclass
class Model:
    """The table as it is, and how far the log goes."""

    table: dict[int, Row] = field(default_factory=dict)
    lsn: int = 0xFFFFF00

    def rows(self) -> list[Row]:
        return list(self.table.values())

    def step(self) -> int:
        self.lsn += 0x90
        return self.lsn


@dataclass(frozen=True)
class Done:
    """What a statement did: the row before and after, and the columns that were not written."""

    what: str
    before: Row | None
    after: Row | None
    kept: tuple[str, ...] = ()


def done(model: Model, each: Work) -> Done | None:
    """Do a statement; None where it does nothing."""
    table, row = model.table, model.table.get(each.key)
    if each.what == "rollback":
        return None  # no log tells of it
    if each.what == "truncate":
        table.clear()
        return Done("truncate", None, None)
    if each.what == "insert":
        if row is not None:
            return None
        table[each.key] = {"id": each.key, "small": each.small, "big": each.big}
        return Done("insert", None, dict(table[each.key]))
    if row is None:
        return None
    if each.what == "read":
        return Done("read", None, dict(row))
    if each.what == "delete":
        return Done("delete", table.pop(each.key), None)
    key = each.new_key if each.what == "rekey" else each.key
    if key != each.key and key in table:
        return None
    del table[each.key]
    kept = ("big",) if each.big is None and row["big"] is not None else ()
    table[key] = {"id": key, "small": each.small, "big": row["big"] if kept else each.big}
    return Done("rekey" if key != each.key else "update", row, dict(table[key]), kept)


def debezium(model: Model, each: Work) -> list[str]:
    """Write what Debezium would under the default replica identity: messages with keys."""
    lsn, did = model.step(), done(model, each)
    if did is None:
        return []
    source = {
        "connector": "postgresql",
        "schema": "public",
        "table": "t",
        "lsn": lsn,
        "ts_us": 1_700_000_000_000_000 + lsn,
    }
    source["sequence"] = json.dumps([str(lsn + 8), str(lsn)])

    def message(op: str, key: Row | None, before: Row | None, after: Row | None, **headers: Any) -> str:
        shown = after and {name: PLACEHOLDER if name in did.kept else value for name, value in after.items()}
        value = {"before": before, "after": shown, "source": source, "op": op, "ts_ms": 1}
        return json.dumps({"topic": "s.public.t", "key": key, "value": value, "headers": headers})

    def gone(row: Row, **headers: Any) -> list[str]:
        key = {"id": row["id"]}
        blank = dict.fromkeys(row) | key
        tombstone = {"topic": "s.public.t", "key": key, "value": None, "headers": headers}
        return [message("d", key, blank, None, **headers), json.dumps(tombstone)]

    if did.what == "truncate":
        return [message("t", None, None, None)]
    if did.after is None:
        assert did.before is not None
        return gone(did.before)
    key = {"id": did.after["id"]}
    if did.what == "rekey":
        assert did.before is not None
        old = {"id": did.before["id"]}
        began = message("c", key, None, did.after, **{"__debezium.oldkey": old})
        return [*gone(did.before, **{"__debezium.newkey": key}), began]
    return [message({"insert": "c", "update": "u", "read": "r"}[did.what], key, None, did.after)]


def wal2json(model: Model, each: Work) -> list[str]:
    """Write what wal2json would in format 2."""
    lsn, did = model.step(), done(model, each)
    if did is None or did.what == "read":
        return []
    at = {"lsn": f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}", "timestamp": f"2024-01-01 00:00:{lsn % 60:02d}+00", "xid": lsn}

    def columns(row: Row) -> list[Row]:
        return [{"name": name, "type": "text", "value": value} for name, value in row.items()]

    told: Row = {"schema": "public", "table": "t"}
    if did.after is not None:
        told["columns"] = columns({name: value for name, value in did.after.items() if name not in did.kept})
    if did.before is not None:
        told["identity"] = columns({"id": did.before["id"]})
    if did.what != "truncate":
        told["pk"] = [{"name": "id", "type": "integer"}]
    action = {"insert": "I", "delete": "D", "truncate": "T"}.get(did.what, "U")
    begin, commit = ({"action": name, **at} for name in "BC")
    return [json.dumps(line) for line in (begin, {"action": action, **at, **told}, commit)]


DIALECTS: dict[str, Callable[[Model, Work], list[str]]] = {"debezium": debezium, "wal2json": wal2json}
