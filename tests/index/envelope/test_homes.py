"""Tables of one name in two databases are two tables, whichever log tells of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import good

Record = dict[str, Any]


def debezium(lsn: int, name: str = "srv", db: str = "a", **source: Any) -> Record:
    told = {"connector": "sqlserver", "name": name, "db": db, "schema": "dbo", "table": "t", "ts_ms": 1_700_000_000_000}
    told |= {"commit_lsn": f"0000002b:00000{lsn}:0001", "change_lsn": f"0000002b:00000{lsn}:0001", **source}
    value = {"before": None, "after": {"id": 1, "n": lsn}, "source": told, "op": "c"}
    return {"topic": f"{name}.{db}.dbo.t", "key": {"id": 1}, "value": value, "headers": {}}


def mysql(lsn: int, name: str = "srv", db: str = "a") -> Record:
    told = {
        "connector": "mysql",
        "name": name,
        "db": db,
        "table": "t",
        "file": "b.1",
        "pos": lsn,
        "ts_ms": 10**12 + lsn,
    }
    return {"before": None, "after": {"id": 1, "n": lsn}, "source": told, "op": "c", "ts_ms": 10**12 + lsn}


def flat(lsn: int, name: str = "srv", db: str = "a") -> Record:
    value = {"id": 1, "n": lsn, "__op": "c", "__table": "t", "__lsn": lsn, "__source_ts_ms": 10**12 + lsn}
    return {"topic": f"{name}.{db}.dbo.t", "key": {"id": 1}, "value": value, "headers": {}}


def dynamodb(lsn: int, region: str = "eu-west-1", account: str = "1") -> Record:
    keys = {"id": {"N": "1"}}
    change: Record = {"Keys": keys, "NewImage": {**keys, "n": {"N": str(lsn)}}, "SequenceNumber": str(lsn)}
    arn = f"arn:aws:dynamodb:{region}:{account}:table/t/stream/2024-01-01T00:00:00.000"
    change["ApproximateCreationDateTime"] = 1_700_000_000 + lsn
    return {"eventID": str(lsn), "eventName": "INSERT", "eventSourceARN": arn, "dynamodb": change}


LOGS: dict[str, tuple[list[Record], list[str]]] = {
    "databases": ([debezium(1), debezium(2, db="b")], ["b.dbo.t/1", "dbo.t/1"]),
    "servers": ([debezium(1), debezium(2, name="other")], ["dbo.t/1", "other.a.dbo.t/1"]),
    "servers of MySQL": ([mysql(1), mysql(2, db="b"), mysql(3, name="o")], ["a.t/1", "b.t/1", "o.a.t/1"]),
    "topics": ([flat(1), flat(2, db="b"), flat(3, name="o")], ["b.dbo.t/1", "dbo.t/1", "o.a.dbo.t/1"]),
    "regions": ([dynamodb(1), dynamodb(2, "us-east-1"), dynamodb(3, account="2")],
                ["2.eu-west-1.t/1", "t/1", "us-east-1.t/1"]),
    "one": ([debezium(1), debezium(2)], ["dbo.t/1"]),
}  # fmt: skip


def entities(folder: Path) -> list[str]:
    return [row["entity"] for row in good("replay", cwd=folder).rows]


def lines(records: list[Record]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.mark.parametrize("name", LOGS)
def test_tables_of_two_databases_are_two(name: str, tmp_path: Path) -> None:
    records, expected = LOGS[name]
    (tmp_path / "a.jsonl").write_text(lines(records))
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert entities(tmp_path) == expected


def test_the_first_file_has_the_short_names(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(lines([debezium(1, db="b")]))
    good("ingest", "b.jsonl", cwd=tmp_path)
    for number, record in enumerate((debezium(2, db="a"), flat(3, db="c"), mysql(4))):
        (tmp_path / f"{number}.jsonl").write_text(lines([record]))
        good("ingest", f"{number}.jsonl", cwd=tmp_path)
    assert entities(tmp_path) == ["a.dbo.t/1", "a.t/1", "c.dbo.t/1", "dbo.t/1"]
    good("reindex", cwd=tmp_path)
    assert entities(tmp_path) == ["a.dbo.t/1", "a.t/1", "c.dbo.t/1", "dbo.t/1"]


def test_a_database_that_comes_late_is_told_apart_too(tmp_path: Path) -> None:
    records = [debezium(at) for at in range(1, 5)]
    (tmp_path / "a.jsonl").write_text(lines(records))
    good("ingest", "a.jsonl", cwd=tmp_path)
    (tmp_path / "a.jsonl").write_text(lines([*records, debezium(5, db="b")]))
    good("ingest", "a.jsonl", cwd=tmp_path)
    assert entities(tmp_path) == ["b.dbo.t/1", "dbo.t/1"]
