"""Small inputs as people have them, beside the repository, give the events that are expected of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.cases import case
from tests.support.cli_harness import esctl, good

Row = tuple[Any, ...]


def rows(folder: Path, columns: str = "time,type,entity,data") -> list[Row]:
    return [tuple(row.values()) for row in good("log", "--columns", columns, cwd=folder).rows]


def three() -> list[Row]:
    return [
        ("2024-03-01T10:00:00Z", "Opened", "acct-1", {"owner": "Müller"}),
        ("2024-03-02T10:00:00Z", "Deposited", "acct-1", {"amount": 10.1}),
        ("2024-03-03T10:00:00Z", "Deposited", "acct-1", {"amount": 5}),
    ]


@pytest.mark.parametrize(
    ("number", "name"),
    [("20", "le.jsonl"), ("24", "logs.zip"), ("24", "logs.tar.gz"), ("52", "seq.json-seq")],
)
def test_three_events_of_an_account(number: str, name: str, tmp_path: Path) -> None:
    assert name in case(number, tmp_path)
    good("ingest", name, cwd=tmp_path)
    assert rows(tmp_path) == three()


def test_unicode_text_of_a_spreadsheet(tmp_path: Path) -> None:
    case("20", tmp_path)
    done = good("ingest", "u.csv", cwd=tmp_path)
    assert "read as UTF-16" in done.err
    assert [row[:3] for row in rows(tmp_path)] == [
        ("2024-03-01T10:00:00Z", "Opened", "acct-1"), ("2024-03-02T10:00:00Z", "Deposited", "acct-1"),
    ]  # fmt: skip


def test_a_german_spreadsheet(tmp_path: Path) -> None:
    case("21", tmp_path)
    good("ingest", "semi.csv", "--decimal", ",", "--map", "entity=konto", "--map", "type=typ", cwd=tmp_path)
    assert rows(tmp_path) == [
        ("2024-03-01T09:00:00Z", "Eröffnung", "K-1", {"betrag": "1234.56"}),
        ("2024-03-13T10:00:00Z", "Einzahlung", "K-1", {"betrag": "99.90"}),
    ]


def test_what_spreadsheets_and_shells_write_before_a_table(tmp_path: Path) -> None:
    case("22", tmp_path)
    for name, count in (("sep.csv", 2), ("preamble.csv", 2), ("ps.csv", 1)):
        store = ("--store", name.removesuffix(".csv"))
        done = good("ingest", name, *store, cwd=tmp_path)
        found = good("log", "--columns", "entity,invalid", *store, cwd=tmp_path).rows
        assert sum(row["invalid"] is None for row in found) == count, name
        assert done.row["records"] - done.row["invalid"] == count


def test_a_file_that_was_cut_off_in_a_transfer_keeps_what_is_whole(tmp_path: Path) -> None:
    done = esctl("ingest", *case("25", tmp_path), cwd=tmp_path)
    assert done.code == 3
    assert "it ends before its own end" in done.err
    assert good("status", cwd=tmp_path).row["head"] == 1990


def test_lines_between_the_records_of_an_event_log(tmp_path: Path) -> None:
    done = good("ingest", *case("28", tmp_path), cwd=tmp_path)
    assert (done.row["records"], done.row["invalid"]) == (4, 2)
    found = [row for row in rows(tmp_path, "time,type,entity,actor,invalid") if row[-1] is None]
    assert found == [
        ("2024-03-01T10:00:00.123456Z", "4720", "dc1", "adm", None),
        ("2024-03-02T10:00:00.123456Z", "4726", "dc1", "adm", None),
    ]


def test_a_run_of_nul_bytes_is_in_no_event(tmp_path: Path) -> None:
    good("ingest", *case("29", tmp_path), cwd=tmp_path)
    assert rows(tmp_path, "entity,data") == [("x-1", {"a": 1}), ("x-1", {"a": 2})]


@pytest.mark.parametrize("name", ["cri.log", "cw.log"])
def test_what_stands_before_json_is_no_part_of_it(name: str, tmp_path: Path) -> None:
    case("30", tmp_path)
    good("ingest", name, cwd=tmp_path)
    assert rows(tmp_path) == [(f"2024-03-0{n}T00:00:00Z", "T", "x-1", {"n": n}) for n in (1, 2, 3)]


def test_a_key_before_each_message(tmp_path: Path) -> None:
    case("30", tmp_path)
    good("ingest", "kv.tsv", cwd=tmp_path)
    found = rows(tmp_path, "time,type,entity,id,data")
    assert found[0] == ("2024-03-01T09:00:00Z", "CustomerRegistered", "cust-1", "a1", {"name": "N1", "limit": 100})
    assert [row[2] for row in found] == ["cust-1", "cust-1", "cust-1", "cust-2"]
    assert found[2][-1] is None


def test_what_goes_with_an_export_is_left_out_and_named(tmp_path: Path) -> None:
    done = good("ingest", *case("44", tmp_path), cwd=tmp_path)
    assert rows(tmp_path, "entity") == [("x-1",)]
    for name in ("README.md", "manifest.json", "checksums.sha256", "_SUCCESS"):
        assert name in done.err


def test_a_file_that_was_compressed_twice(tmp_path: Path) -> None:
    good("ingest", *case("53", tmp_path), cwd=tmp_path)
    assert rows(tmp_path, "entity,data") == [("x-1", {"n": 1}), ("x-1", {"n": 2})]
