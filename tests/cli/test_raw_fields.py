"""Records as they came, by path: in conditions and columns of log, and in sql."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esctl.api import Store
from esctl.ask.events import raw_fields
from tests.support.cli_harness import good, refused

RECORDS = [
    {"id": "1", "type": "Changed", "stream": "o-1", "ip": {"src": "10.0.0.1", "port": 443}, "data": {"n": 1}},
    {"id": "2", "type": "Changed", "stream": "o-1", "ip": {"src": "10.0.0.2", "port": 80}, "data": {"n": 2}},
    {"id": "3", "type": "Closed", "stream": "o-2", "odd key": [1, {"x": "it's"}], "data": {"n": 3}},
]
LINES = [
    *map(json.dumps, RECORDS),
    "no json",
    '{"id":"4","type":"Changed","stream":"o-2","amount":1234567890123456789012.5,"data":{}}',
]


@pytest.fixture(params=["looked up", "read through"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(raw_fields, "_FEW", 4096 if request.param == "looked up" else 0)
    (tmp_path / "a.jsonl").write_text("\n".join(LINES) + "\n")
    good("ingest", "a.jsonl", cwd=tmp_path)
    return tmp_path


def positions(folder: Path, where: str) -> list[int]:
    store = Store.open(folder / ".esctl")
    return [row["position"] for row in store.events(where=where).rows()]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("raw.ip.src = '10.0.0.2'", [2]),
        ("raw.ip.port > 100 and data.n = 1", [1]),
        ("raw.ip is null", [3, 4, 5]),
        ("raw.\"odd key\"[1].x = 'it''s'", [3]),
        ("raw.amount = 1234567890123456789012.5", [5]),
        ("raw.amount > 1234567890123456789012.4", [5]),
        ("raw.stream = entity and type = 'Closed'", [3]),
        ("contains(raw, '10.0.0.')", [1, 2]),
    ],
)
def test_a_condition_on_a_record_as_it_came(kept: Path, where: str, found: list[int]) -> None:
    assert positions(kept, where) == found


def test_columns_of_records_as_they_came(kept: Path) -> None:
    columns = 'position,raw.ip.src,raw.amount,"raw.""odd key""[1]"'
    rows = good("log", "--columns", columns, cwd=kept).rows
    assert [row["raw.ip.src"] for row in rows] == ["10.0.0.1", "10.0.0.2", None, None, None]
    assert rows[2]['raw."odd key"[1]'] == {"x": "it's"}
    assert b"1234567890123456789012.5" in good("log", "--columns", columns, cwd=kept).out
    (whole,) = good("log", "--where", "position = 1", "--columns", "raw", cwd=kept).rows
    assert whole["raw"] == RECORDS[0]
    assert "raw" not in good("log", cwd=kept).rows[0]


def test_sql_has_them_where_they_are_named(kept: Path) -> None:
    query = "select position, raw.ip.src as src from events where raw.ip.port = 443"
    assert good("sql", query, cwd=kept).rows == [{"position": 1, "src": "10.0.0.1"}]
    assert "raw" not in good("sql", "select * from events limit 1", cwd=kept).rows[0]
    (row,) = good("sql", "select e.raw as whole from events e where position = 1", cwd=kept).rows
    assert row["whole"] == RECORDS[0]


def test_a_path_that_no_record_has_is_refused(kept: Path) -> None:
    told = refused("log", "--columns", "raw.ipx", code=2, cwd=kept)
    assert told == ("no record listed has raw.ipx", "did you mean raw.ip?")
    told = refused("log", "--where", "raw.strem = 'o-1'", code=2, cwd=kept)
    assert told == ("--where: no record listed has raw.strem", "did you mean raw.stream?")


def test_rules_do_not_have_them(kept: Path) -> None:
    (kept / "esctl.toml").write_text('[projections.p.on."*"]\nset = { x = "raw.ip.src" }\n')
    assert "unknown name 'raw.ip.src'" in refused("replay", code=2, cwd=kept)[0]


def test_records_of_tables_are_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id;stream;n\n1;s-1;5\n2;s-2;6\n")
    good("ingest", "a.csv", cwd=tmp_path)
    assert positions(tmp_path, "raw.n = '6' or raw.n = 6") == [2]


def test_an_erased_record_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(LINES[:3]) + "\n")
    good("ingest", "--erasable", "a.jsonl", cwd=tmp_path)
    good("redact", "@1", "--reason", "r", "--yes", cwd=tmp_path)
    rows = good("log", "--columns", "position,raw.ip.src", cwd=tmp_path).rows
    assert [row["raw.ip.src"] for row in rows] == [None, "10.0.0.2", None]
