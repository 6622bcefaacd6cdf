"""What is not read is named, and a source of which little could be read does not end well."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import pytest

from esctl.sources.formats.foreign import refusal
from tests.support.cli_harness import esctl, good, plain_event, refused, write_lines


def workbook() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in ("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"):
            archive.writestr(name, "<x/>")
    return made.getvalue()


FOREIGN = {
    "a.xlsx": (workbook(), "an Excel workbook (XLSX)", "CSV"),
    "a.journal": (b"LPKSHHRH" + bytes(90), "a systemd journal", "journalctl"),
    "a.db": (b"SQLite format 3\0" + bytes(90), "an SQLite database", "sqlite3"),
    "a.pdf": (b"%PDF-1.7\n", "a PDF document", "CSV"),
    "a.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(90), "an old Office document", "CSV"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c\0", "a 7-Zip archive", "unpack"),
    "a.html": (b"\n<!DOCTYPE html><html>Sign in</html>\n", "XML or HTML", "JSON Lines"),
    "a.xml": (b'<?xml version="1.0"?>\n<Events/>\n', "XML or HTML", "JSON Lines"),
    "b.xml": (b'Record 1\n<?xml version="1.0"?>\n<Event/>\n', "XML or HTML", "JSON Lines"),
    "a.png": (b"\x89PNG\r\n\x1a\n\0\0", "an image", "leave it out"),
    "a.orc": (b"ORC\n\x03\x00\x00\x12", "ORC", "Parquet"),
    "a.jsonl": ('{"id":1}'.encode("utf-32"), "UTF-32 text", "iconv"),
    "a.z": (zlib.compress(b'{"id":1}\n'), "zlib data", "zlib-flate"),
    "a.csv": (b"id,type\r1,T\r2,T\r", "text whose lines end in carriage returns alone", "tr '\\r' '\\n'"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_format_that_is_not_read_is_named(name: str, tmp_path: Path) -> None:
    data, what, way = FOREIGN[name]
    (tmp_path / name).write_bytes(data)
    told, hint = refused("ingest", name, code=3, cwd=tmp_path)
    assert told.startswith(f"{name} looks like {what}")
    assert way in hint
    assert good("status", cwd=tmp_path).row["head"] == 0


@pytest.mark.parametrize("word", ["ORCID", "ORC", "GIF89", "regfee", "PGDMP_id"])
def test_a_text_may_begin_with_the_name_of_a_format(word: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{word},id,type,time,entity\nx,1,T,2024-03-01T00:00:00Z,y\n")
    assert good("ingest", "a.csv", cwd=tmp_path).row["new"] == 1


def test_what_stands_beside_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "b.jsonl", [plain_event(1)])
    for name in ("a.xlsx", "c.pdf"):
        (tmp_path / "in" / name).write_bytes(FOREIGN.get(name, FOREIGN["a.pdf"])[0])
    told, _ = refused("ingest", "in", code=3, cwd=tmp_path)
    assert told == (
        "in/a.xlsx looks like an Excel workbook (XLSX), which is not read (and 1 more sources); "
        "1 new records are in the log"
    )
    refused("ingest", "in", "--strict", "--store", "other", code=3, cwd=tmp_path)
    assert good("status", "--store", "other", cwd=tmp_path).row["head"] == 0


def test_it_is_read_as_what_is_declared(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(FOREIGN["a.xml"][0])
    assert esctl("ingest", "a.xml", "--input-format", "json-document", cwd=tmp_path).row["records"] == 1


@pytest.mark.parametrize("head", [b"", b'{"a":1}', b"<134>1 x", b"MZ, a\n", b"Objection\n", b"a <b>\n", b"id,<?xml\n"])
def test_text_is_not_foreign(head: bytes) -> None:
    assert refusal("a", head) is None


def test_a_source_of_which_nothing_could_be_read_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"dear all\nsee below\n")
    done = esctl("ingest", "a.txt", cwd=tmp_path)
    assert done.code == 3
    assert done.row["invalid"] == 2
    assert "a.txt: none of its 2 records could be read: no JSON" in done.err
    assert "hint: they are kept: esctl log --invalid" in done.err
    assert good("status", cwd=tmp_path).row["head"] == 2


def test_a_source_of_which_most_could_not_be_read_is_a_finding(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1), plain_event(2)])
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b"garbage\n" * 3)
    done = esctl("ingest", "a.jsonl", cwd=tmp_path)
    assert done.code == 1
    assert "a.jsonl: 3 of its 5 records could not be read" in done.err
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b"garbage\n")
    good("ingest", "a.jsonl", cwd=tmp_path)  # it is known by now what it is


def test_a_table_without_a_header_is_told_how_to_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("".join(f"{n},2024-03-0{n},Opened,a b\n" for n in range(1, 7)))
    done = esctl("ingest", "a.csv", cwd=tmp_path)
    assert done.code == 3
    assert "esctl ingest --no-header a.csv --store NAME" in done.err
