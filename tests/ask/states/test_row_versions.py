"""Tables in which triggers keep changes or versions of rows: new keys end the row of the old, and ends are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import good, write_lines

Row = dict[str, Any]


def rows(folder: Path, *options: str) -> list[str]:
    return sorted(json.dumps(row["state"], sort_keys=True) for row in good("replay", *options, cwd=folder).rows)


def like(*states: Row) -> list[str]:
    return sorted(json.dumps(state, sort_keys=True) for state in states)


def ingested(folder: Path, *records: Row) -> Path:
    write_lines(folder / "a.jsonl", records)
    good("ingest", "a.jsonl", cwd=folder)
    return folder


def supa(number: int, op: str, record_id: str | None, old: str | None, row: Row | None, before: Row | None) -> Row:
    around = {"id": number, "ts": f"2024-03-01T10:00:0{number}Z", "table_oid": 1, "table_schema": "public"}
    sides = {"record_id": record_id, "old_record_id": old, "record": row, "old_record": before}
    return {**around, "op": op, "table_name": "t", **sides}


def test_a_new_id_of_a_trigger_ends_the_row_of_the_old(tmp_path: Path) -> None:
    a, b, c = {"id": 1, "n": 1}, {"id": 1, "n": 2}, {"id": 2, "n": 2}
    ingested(
        tmp_path,
        supa(1, "INSERT", "r1", None, a, None),
        supa(2, "UPDATE", "r1", "r1", b, a),
        supa(3, "UPDATE", "r2", "r1", c, b),
        supa(4, "INSERT", "r3", None, {"id": 3, "n": 0}, None),
        supa(5, "DELETE", None, "r2", None, c),
        supa(6, "TRUNCATE", None, None, None, None),
        supa(7, "SNAPSHOT", "r9", None, {"id": 9}, None),
    )
    assert rows(tmp_path, "--at", "@2") == like(b)
    assert rows(tmp_path, "--at", "@3") == like(c)
    assert rows(tmp_path, "--at", "@5") == like({"id": 3, "n": 0})
    assert rows(tmp_path, "--at", "@6") == []
    assert rows(tmp_path) == like({"id": 9})
    trail = good("audit", "public.t/r1", cwd=tmp_path).rows
    assert [(row["position"], row["type"], row["role"]) for row in trail] == [
        (1, "insert", None),
        (2, "update", None),
        (3, "update", "old"),
    ]


@pytest.mark.parametrize("kept", ["hstore", "json"])
def test_a_key_that_is_among_the_changed_fields_is_a_new_row(kept: str, tmp_path: Path) -> None:
    def pairs(row: Row) -> str:
        return ", ".join(f'"{name}"=>"{value}"' for name, value in row.items()) if kept == "hstore" else json.dumps(row)

    def change(number: int, action: str, row: Row, **changed: str) -> Row:
        at = {"event_id": number, "schema_name": "public", "table_name": "t", "session_user_name": "app"}
        told = {"action": action, "row_data": pairs(row), "changed_fields": pairs(changed) if changed else None}
        return {**at, "action_tstamp_tx": f"2024-03-01 10:00:0{number}+00", **told}

    ingested(
        tmp_path,
        change(1, "I", {"id": "1", "n": 'x"'} if kept == "json" else {"id": "1", "n": "x"}),
        change(2, "I", {"id": "2", "n": "y"}),
        change(3, "U", {"id": "1", "n": "x"}, n="z"),
        change(4, "U", {"id": "1", "n": "z"}, id="5"),
        change(5, "D", {"id": "2", "n": "y"}),
    )
    assert rows(tmp_path, "--at", "@4") == like({"id": "5", "n": "z"}, {"id": "2", "n": "y"})
    assert rows(tmp_path) == like({"id": "5", "n": "z"})


def test_rows_of_pgmemento_are_told_by_the_key_of_their_event(tmp_path: Path) -> None:
    def logged(number: int, op: int, row: int, before: Row | None, after: Row | None) -> Row:
        key = f"1709281000;170928100{number};50{number};{op};t;public"
        return {"id": number, "audit_id": row, "event_key": key, "old_data": before, "new_data": after}

    ingested(
        tmp_path,
        logged(1, 3, 7, None, {"id": 1, "n": 1}),
        logged(2, 3, 8, None, {"id": 2, "n": 1}),
        logged(3, 4, 7, {"id": 1}, {"id": 3}),
        logged(4, 8, 8, {"id": 2, "n": 1}, None),
    )
    assert rows(tmp_path, "--at", "@3") == like({"id": 3, "n": 1}, {"id": 2, "n": 1})
    assert rows(tmp_path) == like({"id": 3, "n": 1})
    assert {row["entity"] for row in good("entities", cwd=tmp_path).rows} == {"public.t/7", "public.t/8"}


PERIODS: dict[str, Any] = {
    "slowly changing": lambda a, b: {"_valid_from": a, "_valid_to": b},
    "without a prefix": lambda a, b: {"valid_from": a, "valid_to": b or "9999-12-31"},
    "dbt": lambda a, b: {"dbt_valid_from": a, "dbt_valid_to": b},
    "SQL Server": lambda a, b: {"SysStartTime": a, "SysEndTime": b or "9999-12-31 23:59:59.9999999"},
    "MariaDB": lambda a, b: {"row_start": a, "row_end": b or "2038-01-19 03:14:07.999999"},
    "a range": lambda a, b: {"sys_period": f'["{a}",{(b and chr(34) + b + chr(34)) or ""})'},
    "an infinite range": lambda a, b: {"sys_period": f'["{a}",{(b and chr(34) + b + chr(34)) or "infinity"})'},
}
DAYS = ("2024-03-01 10:00:00+00", "2024-03-02 10:00:00+00", "2024-03-03 10:00:00+00")


@pytest.mark.parametrize("how", PERIODS)
def test_a_version_that_none_follows_ends_its_row(how: str, tmp_path: Path) -> None:
    """What it held is told in any order: of a key that was changed nothing follows, as of a row that was deleted."""
    one, two, three = DAYS
    period = PERIODS[how]
    told = [
        {"id": 1, "n": "b", **period(two, None)},
        {"id": 1, "n": "a", **period(one, two)},
        {"id": 2, "n": "x", **period(one, two)},
        {"id": 3, "n": "x", **period(two, three)},
    ]
    ingested(tmp_path, *told)
    assert rows(tmp_path, "--at", one) == like(told[1], told[2])
    assert rows(tmp_path, "--at", two) == like(told[0], told[3])
    assert rows(tmp_path) == like(told[0])
    trail = good("audit", "2", cwd=tmp_path).rows
    assert [(row["time"], row["role"]) for row in trail] == [
        ("2024-03-01T10:00:00Z", None),
        ("2024-03-02T10:00:00Z", "ended"),
    ]


@pytest.mark.parametrize(
    "end", ["9999-12-31T23:59:59.999Z", "31/12/9999", "infinity", "NULL", "", 253402300799, 253402300799000]
)
def test_an_end_that_stands_for_none_ends_nothing(end: Any, tmp_path: Path) -> None:
    version = {"id": 1, "n": "a", "_valid_from": DAYS[0], "_valid_to": end}
    ingested(tmp_path, version, {**version, "id": 2, "_valid_to": DAYS[1]})
    assert rows(tmp_path) == like(version)


def test_a_row_may_end_when_unix_time_begins(tmp_path: Path) -> None:
    version = {"id": 1, "n": "a", "_valid_from": "1969-12-31 23:00:00+00", "_valid_to": "1970-01-01 00:00:00+00"}
    ingested(tmp_path, version, {**version, "id": 2, "_valid_to": None})
    trail = good("audit", "1", cwd=tmp_path).rows
    assert [(row["time"], row["role"]) for row in trail] == [
        ("1969-12-31T23:00:00Z", None),
        ("1970-01-01T00:00:00Z", "ended"),
    ]


def test_ends_that_are_inclusive_are_no_gaps(tmp_path: Path) -> None:
    versions = [
        {"id": 1, "n": "a", "_valid_from": "2024-03-01", "_valid_to": "2024-03-04"},
        {"id": 1, "n": "b", "_valid_from": "2024-03-05", "_valid_to": "2024-03-09"},
        {"id": 1, "n": "c", "_valid_from": "2024-03-12", "_valid_to": None},
    ]
    ingested(tmp_path, *versions)
    trail = good("audit", "1", cwd=tmp_path).rows
    assert [row["role"] for row in trail] == [None, None, "ended", None]
    assert rows(tmp_path) == like(versions[2])


def test_a_row_that_says_it_is_deleted_is_gone(tmp_path: Path) -> None:
    around = {"_airbyte_extracted_at": 1}
    ingested(
        tmp_path,
        {"id": 1, "n": 1, "_ab_cdc_updated_at": DAYS[0], "_ab_cdc_deleted_at": None, **around},
        {"id": 2, "n": 1, "_ab_cdc_updated_at": DAYS[0], "_ab_cdc_deleted_at": None, **around},
        {"id": 1, "n": 1, "_ab_cdc_updated_at": DAYS[1], "_ab_cdc_deleted_at": DAYS[1], **around},
    )
    (state,) = good("replay", cwd=tmp_path).rows
    assert state["entity"] == "2"


def test_events_with_a_period_are_no_versions(tmp_path: Path) -> None:
    event = {"type": "PriceSet", "time": DAYS[0], "valid_from": DAYS[0], "valid_to": DAYS[1], "product": "p-1"}
    ingested(tmp_path, *({"id": f"e{n}", **event} for n in range(3)))
    assert {row["type"] for row in good("types", cwd=tmp_path).rows} == {"PriceSet"}
