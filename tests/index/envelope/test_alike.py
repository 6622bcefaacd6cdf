"""A log in several files has one reading: a file that leaves something open is read as one before it that is alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.cli_harness import Done, esctl, good

Record = dict[str, Any]


def ingest(folder: Path, *files: list[Record]) -> Done:
    names = []
    for number, records in enumerate(files):
        names.append(f"{number}.jsonl")
        (folder / names[-1]).write_text("".join(json.dumps(record) + "\n" for record in records))
    return esctl("ingest", *names, cwd=folder)


def dated(*days: int) -> list[Record]:
    return [{"time": f"{day:02d}/03/2024 10:00", "type": "T", "entity": "x-1", "n": day} for day in days]


def test_dates_are_read_in_the_order_that_the_file_before_tells(tmp_path: Path) -> None:
    done = ingest(tmp_path, dated(13, 14), dated(1, 2))
    assert done.code == 0, done.err
    assert done.err.count("mapping of ") == 1
    rows = good("log", "--columns", "time", cwd=tmp_path).rows
    assert [row["time"][:10] for row in rows] == ["2024-03-13", "2024-03-14", "2024-03-01", "2024-03-02"]


def test_dates_that_no_file_before_tells_are_refused(tmp_path: Path) -> None:
    assert ingest(tmp_path, dated(1, 2), dated(13, 14)).code == 2


def moves(first: int, count: int, thing: str = "machine") -> list[Record]:
    return [
        {"at": f"2024-03-20T10:{i:02d}:00Z", "action": "moved", "room": f"r{i}", thing: f"m{i}", "id": f"e{i}"}
        for i in range(first, first + count)
    ]


def test_what_is_open_is_as_in_the_file_before(tmp_path: Path) -> None:
    settled = [record | {"room": "r1", "machine": f"m{i % 3}"} for i, record in enumerate(moves(0, 20))]
    done = ingest(tmp_path, settled, moves(20, 2))
    assert done.code == 0, done.err
    rows = good("entities", "--columns", "entity,events", cwd=tmp_path).rows
    assert {row["entity"] for row in rows} == {"m0", "m1", "m2", "m20", "m21"}


def test_a_log_of_other_fields_is_read_by_itself(tmp_path: Path) -> None:
    settled = [record | {"room": "r1", "machine": f"m{i % 3}"} for i, record in enumerate(moves(0, 20))]
    others = [{"at": "2024-03-20T10:00:00Z", "action": "paid", "invoice": f"i-{i % 2}"} for i in range(4)]
    done = ingest(tmp_path, settled, others)
    assert done.err.count("mapping of ") == 2
    assert {row["entity"] for row in good("entities", cwd=tmp_path).rows} >= {"i-0", "i-1", "m0"}


def test_an_index_that_is_made_anew_reads_them_alike(tmp_path: Path) -> None:
    ingest(tmp_path, dated(13, 14), dated(1, 2))
    before = good("log", cwd=tmp_path).rows
    good("reindex", cwd=tmp_path)
    assert good("log", cwd=tmp_path).rows == before


def test_an_export_that_begins_with_the_newest_is_no_clock_that_goes_back(tmp_path: Path) -> None:
    ingest(tmp_path, dated(20, 19, 19, 14, 13))
    assert esctl("doctor", "--clock", cwd=tmp_path).rows == []
    ingest(tmp_path, dated(20, 19, 19, 14, 13), dated(13, 14, 15, 14))
    assert [row["position"] for row in esctl("doctor", "--clock", cwd=tmp_path).rows] == [9]


def test_a_file_that_keeps_its_payload_elsewhere_is_read_by_itself(tmp_path: Path) -> None:
    envelopes = [{"id": "e1", "type": "T", "time": "2024-03-01T00:00:00Z", "entity": "x-1", "data": {"n": 1}}]
    flat = [{"id": "e2", "type": "T", "time": "2024-03-02T00:00:00Z", "entity": "x-2", "n": 2}]
    ingest(tmp_path, envelopes, flat)
    assert [row["state"] for row in good("replay", cwd=tmp_path).rows] == [{"n": 1}, {"n": 2}]
