"""What is told of a change log that is not whole, or whose tables change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import esctl, good

Row = dict[str, Any]


def change(op: str, lsn: int, row: Row, **source: Any) -> Row:
    before, after = (row, None) if op == "d" else (None, row)
    told = {"connector": "postgresql", "schema": "public", "table": "t", "txId": lsn // 10, "lsn": lsn}
    told |= {"ts_ms": 1_700_000_000_000 + lsn, **source}
    return message({"before": before, "after": after, "source": told, "op": op, "ts_ms": 1}, {"id": row["id"]})


def message(value: Any, key: Any) -> Row:
    return {"topic": "s.public.t", "key": key, "value": value, "headers": {}}


def marker(status: str, transaction: int, *counts: int) -> Row:
    collections = [{"data_collection": f"public.t{i}", "event_count": count} for i, count in enumerate(counts)]
    value: Row = {"status": status, "id": f"{transaction}:{transaction * 10}", "ts_ms": 1_700_000_000_000}
    value |= {"event_count": sum(counts), "data_collections": collections} if status == "END" else {}
    return message(value, {"id": value["id"]})


def written(folder: Path, *records: Row | bytes) -> None:
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in records]
    (folder / "a.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    good("ingest", "a.jsonl", "--preset", "debezium", cwd=folder)


def found(folder: Path, name: str) -> dict[int, str]:
    return {row["position"]: row["detail"] for row in esctl("doctor", f"--{name}", cwd=folder).rows}


def test_transactions_are_held_against_what_they_count(tmp_path: Path) -> None:
    written(
        tmp_path,
        *(marker("BEGIN", 1), change("c", 10, {"id": 1}), change("c", 11, {"id": 2}), marker("END", 1, 2)),
        *(marker("BEGIN", 2), change("c", 20, {"id": 3}), marker("END", 2, 1, 1)),
        *(marker("BEGIN", 3), change("c", 30, {"id": 4})),
    )
    assert found(tmp_path, "transactions") == {
        7: "its transaction 2 counts 2 changes, and the log holds 1",
        8: "its transaction 3 has no end",
    }


def test_messages_of_a_transaction_are_no_changes(tmp_path: Path) -> None:
    end = marker("END", 1, 1)
    end["value"]["event_count"] = 2
    name = "io.debezium.connector.postgresql.LogicalDecodingMessageMonitor$LogicalDecodingMessageId@350bfebb"
    end["value"]["data_collections"].append({"data_collection": name, "event_count": 1})
    written(tmp_path, marker("BEGIN", 1), change("c", 10, {"id": 1}), end)
    assert found(tmp_path, "transactions") == {}


@pytest.mark.parametrize("count", ["abc", None, {"a": 1}, -(2**63), "1e999"])
def test_counts_of_messages_that_are_none_are_left_out(tmp_path: Path, count: Any) -> None:
    end = marker("END", 1, 1)
    end["value"]["data_collections"].append({"data_collection": "x.MessageId@1", "event_count": count})
    written(tmp_path, marker("BEGIN", 1), change("c", 10, {"id": 1}), end)
    rows = esctl("doctor", cwd=tmp_path).rows
    assert {row["check"]: row["count"] for row in rows}["transactions"] == (count == -(2**63))


def test_columns_that_come_and_go_are_told(tmp_path: Path) -> None:
    written(
        tmp_path,
        change("c", 10, {"id": 1, "a": 1}),
        change("c", 20, {"id": 2, "a": 1, "b": 1}),
        change("u", 30, {"id": 1, "a": 2, "b": "__debezium_unavailable_value"}),
        change("c", 40, {"id": 3, "b": 1, "c": 1}),
        change("c", 41, {"id": 9}, table="other"),
        message(
            {"op": "m", "source": {"lsn": 50}, "message": {"prefix": "ddl", "content": "QUxURVIgVEFCTEUgdA=="}}, None
        ),
    )
    assert found(tmp_path, "schema-changes") == {
        2: "public.t has new columns: b",
        4: "public.t has new columns: c; has no more: a",
        6: "a schema changes: ALTER TABLE t",
    }
    states = {row["entity"]: row["state"] for row in good("replay", cwd=tmp_path).rows}
    assert states["public.t/1"] == {"id": 1, "a": 2}
    assert states["public.t/3"] == {"id": 3, "b": 1, "c": 1}


def test_documents_have_no_columns_that_change(tmp_path: Path) -> None:
    written(tmp_path, *(change("c", 10 * i, {"id": i, f"f{i % 3}": 1}) for i in range(1, 40)))
    assert found(tmp_path, "schema-changes") == {}


def test_a_row_that_was_never_told_whole_is_named_by_doctor_and_replay(tmp_path: Path) -> None:
    kept = "__debezium_unavailable_value"
    written(
        tmp_path,
        change("u", 10, {"id": 1, "a": 1, "b": kept}),
        change("c", 20, {"id": 2, "a": 1, "b": 2}),
        change("u", 30, {"id": 2, "a": 2, "b": kept}),
        change("u", 40, {"id": 3, "a": 2, "b": 1}),
    )
    assert list(found(tmp_path, "unseen")) == [1]
    told = esctl("replay", cwd=tmp_path)
    assert "note: 1 row was never told whole" in told.err
    assert {row["entity"]: row["state"] for row in told.rows}["public.t/1"] == {"id": 1, "a": 1}
    assert "never" not in esctl("replay", "public.t/2", cwd=tmp_path).err
    assert "never" not in esctl("replay", "public.t/2", "public.t/3", "--at", "@3", cwd=tmp_path).err


def test_a_new_key_with_inherited_values_was_told_whole(tmp_path: Path) -> None:
    moved = change("c", 20, {"id": 2, "a": 1, "b": "__debezium_unavailable_value"})
    moved["headers"] = {"__debezium.oldkey": {"id": 1}}
    written(tmp_path, change("c", 10, {"id": 1, "a": 1, "b": 7}), change("d", 20, {"id": 1}), moved)
    assert found(tmp_path, "unseen") == {}
    assert good("replay", cwd=tmp_path).rows[0]["state"] == {"id": 2, "a": 1, "b": 7}


def test_garbage_in_one_message_leaves_the_rest_right(tmp_path: Path) -> None:
    odd = message({"op": "c", "source": {"lsn": 1}, "after": [1], "before": None}, {"id": 1})
    written(tmp_path, change("c", 10, {"id": 1}), b"\xff\xfe\x00{", odd, change("c", 20, {"id": 2}))
    assert {row["entity"] for row in good("replay", cwd=tmp_path).rows} == {"public.t/1", "public.t/2"}
    assert list(found(tmp_path, "invalid")) == [2]
    assert list(found(tmp_path, "homeless")) == [3]


def test_a_log_that_leaves_out_truncations_says_so(tmp_path: Path) -> None:
    told = {"schema": "public", "table": "t", "columnnames": ["id"], "columnvalues": [1], "kind": "insert"}
    lines = [json.dumps({"xid": n, "timestamp": "2024-01-01 00:00:00+00", "change": [told]}) for n in (1, 2)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    assert "tells no truncations" in esctl("ingest", "a.jsonl", cwd=tmp_path).err


def test_nothing_of_changes_is_checked_where_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id":"e1","type":"t","time":"2024-01-01T00:00:00Z","entity":"x/1"}\n')
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert "unseen" not in [row["check"] for row in good("doctor", cwd=tmp_path).rows]
    assert found(tmp_path, "unseen") == {}


def test_rows_are_like_those_of_their_table_however_they_began(tmp_path: Path) -> None:
    begun = [change("r" if at < 3 else "c", at, {"id": at, "code": at}) for at in range(1, 25)]
    others = [change("c", 100 + at, {"id": at, "code": str(at)}, table="codes") for at in range(1, 4)]
    written(tmp_path, *begun, *others, change("u", 200, {"id": 3, "code": "x"}))
    assert found(tmp_path, "no-creation") == {}
    assert found(tmp_path, "mixed-types") == {28: '"code" is string; in rows of this table: number 24, string 1'}
